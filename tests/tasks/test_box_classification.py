"""Box classification all the way: from files and a model to a record, against a second computation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fgbench.api import evaluate
from fgbench.requests import ClassPrompts, Embeddings

from ..fakes import FakeAdapter, grid_of, text_vector
from ..layouts import Row, coco_instances, coco_pictures
from ..references import Box, Float64, average_over_box, place_in_order
from .reading import opened

CLASSES = {3: "Cat", 7: "tv", 20: "Hot dog", 44: "zebra", 50: "cup", 61: "kite", 90: "toothbrush"}


def boxes() -> list[Row]:
    """Sixty boxes on ten pictures of 24 × 16, also over the edge, below a pixel, and crowd regions."""
    generator = np.random.default_rng(5)
    rows = []
    for number in range(60):
        x, y = generator.uniform(-3, 20), generator.uniform(-3, 12)
        w, h = generator.uniform(3.5, 14), generator.uniform(3.5, 10)
        if number % 10 == 0:
            x, w = abs(x), 0.4
        rows.append(
            {
                "id": 1000 + number,
                "image_id": 10 - number % 10,
                "category_id": list(CLASSES)[int(generator.integers(7))],
                "bbox": [round(value, 2) for value in (x, y, w, h)],
                "iscrowd": int(number % 7 == 0),
            }
        )
    return rows


@pytest.fixture
def root(tmp_path: Path) -> Path:
    coco_pictures(tmp_path, range(1, 11))
    coco_instances(tmp_path, boxes(), range(1, 11), CLASSES)
    return tmp_path


def tokens(image: Image.Image, weight: Float64) -> Float64:
    """The fake's dense map: rows × columns × D."""
    rows, columns = grid_of(image.size)
    cells = np.asarray(image.resize((columns, rows), Image.Resampling.BOX), dtype=np.float64)
    return np.asarray(cells @ weight)


def region(image: Image.Image, box: Box, weight: Float64, mode: str) -> Float64:
    if mode == "roi":
        return average_over_box(tokens(image, weight), box, image.size)
    x, y, w, h = (int(value) for value in box)
    crop = image.crop((x, y, x + w, y + h)) if w and h else Image.new("RGB", (224, 224))
    return np.asarray(tokens(crop, weight).sum(axis=(0, 1)))


def prototypes() -> Float64:
    """One unit vector per class: the mean over the 80 prompts, in lower case."""
    templates = (Path(__file__).parents[2] / "tasks/data/templates_80.txt").read_text().splitlines()
    assert len(templates) == 80
    rows = []
    for name in CLASSES.values():
        vectors = [text_vector(line.replace("{}", name).lower(), "plain").double() for line in templates]
        mean = torch.stack([vector / vector.norm() for vector in vectors]).mean(dim=0)
        rows.append((mean / mean.norm()).numpy())
    return np.stack(rows)


@pytest.mark.parametrize("mode", ["roi", "crop"])
def test_a_run_gives_the_numbers_of_a_plain_loop(root: Path, tmp_path: Path, mode: str) -> None:
    adapter = FakeAdapter(seed=3)
    weight = adapter.module.get_parameter("weight").detach().double().numpy()
    classes = prototypes()
    ranks, crowd = [], []
    for row in boxes():
        with Image.open(root / f"coco/val2017/{row['image_id']:012d}.png") as image:
            vector = region(image, tuple(row["bbox"]), weight, mode)
        similarity = classes @ (vector / max(float(np.linalg.norm(vector)), 1e-12))
        ranks.append(place_in_order(similarity, list(CLASSES).index(row["category_id"])))
        crowd.append(bool(row["iscrowd"]))
    rank, plain = np.array(ranks), ~np.array(crowd)
    expected = {
        ("all", "top1"): ((rank < 1).mean(), 60),
        ("all", "top5"): ((rank < 5).mean(), 60),
        ("non-crowd", "top1"): ((rank[plain] < 1).mean(), int(plain.sum())),
        ("non-crowd", "top5"): ((rank[plain] < 5).mean(), int(plain.sum())),
    }
    assert 0 < expected["all", "top1"][0] < expected["all", "top5"][0] < 1, "the data should not be trivial"

    result = evaluate(adapter, None, "coco-box", data_root=root, output=tmp_path / "results", region_mode=mode)  # type: ignore[arg-type]
    (record,) = result.records
    found = {(score["subset"], score["metric"]): (score["value"], score["n"]) for score in record["scores"]}
    assert found == {key: (pytest.approx(value), n) for key, (value, n) in expected.items()}
    with np.load(result.folder / "coco-box.items.npz") as items:
        by_id = dict(zip(items["id"].tolist(), items["rank"].tolist(), strict=True))
    assert [by_id[row["id"]] for row in boxes()] == ranks


def test_the_same_picture_is_encoded_once_for_all_its_boxes(root: Path, tmp_path: Path) -> None:
    adapter = FakeAdapter()
    evaluate(adapter, None, "coco-box", data_root=root, output=tmp_path / "results")
    assert adapter.images_encoded == 10
    assert len(adapter.texts_encoded) == 7 * 80


def test_boxes_without_a_region_leave_the_denominator_and_are_counted(root: Path) -> None:
    found = opened("coco-box", root)
    vectors = np.zeros((60, 7), dtype=np.float32)
    vectors[np.arange(60), found.loaded.items.label] = 1
    failed = {0: "degenerate_box", 5: "image_missing", 6: "image_missing"}
    for row in failed:
        vectors[row] = 0
    scores = found.score(regions=Embeddings(vectors, failed), classes=Embeddings(np.eye(7, dtype=np.float32)))
    assert (scores.evaluated, dict(scores.skipped)) == (57, {"degenerate_box": 1, "image_missing": 2})
    assert {(each.value, each.n) for each in scores.scores if each.subset == "all"} == {(1.0, 57)}
    assert len(scores.outcomes["id"]) == 57
    assert int(found.loaded.items.ids[0]) not in scores.outcomes["id"].tolist()


def test_classes_without_a_box_are_ranked_all_the_same(root: Path) -> None:
    request = opened("coco-box", root, limit=1).requests["classes"]
    assert isinstance(request, ClassPrompts)
    assert list(request.names) == list(CLASSES.values())


def test_a_file_without_classes_has_no_result_but_stops_nothing(tmp_path: Path) -> None:
    coco_pictures(tmp_path, [1])
    coco_instances(tmp_path, boxes()[9:10], [1], {})
    result = evaluate(FakeAdapter(), None, "coco-box", data_root=tmp_path, output=tmp_path / "out", on_error="skip")
    assert result.records == ()
    assert "unknown_category 1" in result.not_evaluated[0].reason
