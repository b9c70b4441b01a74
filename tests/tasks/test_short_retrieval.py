"""Retrieval all the way: from files and a model to a record, against a second computation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fgbench.api import Evaluation, evaluate

from ..fakes import FakeAdapter, grid_of, text_vector
from ..layouts import coco_captions, coco_pictures
from ..references import Float64, place_in_order

PICTURES = 30


def captions() -> list[tuple[int, str]]:
    """Six captions per picture, those of all pictures interleaved; the first ones shared by pairs of pictures."""
    rows = [(image, f"Caption {k} of {image}") for k in range(1, 6) for image in range(PICTURES, 0, -1)]
    return [(image, f"Shared by {(image + 1) // 2}") for image in range(1, PICTURES + 1)] + rows


@pytest.fixture
def root(tmp_path: Path) -> Path:
    coco_pictures(tmp_path, range(1, PICTURES + 1))
    coco_captions(tmp_path, captions())
    return tmp_path


def run(root: Path, adapter: FakeAdapter, **options: str) -> Evaluation:
    return evaluate(adapter, "short-retrieval", "coco", data_root=root, output=root / "out", **options)  # type: ignore[arg-type]


def expected(root: Path, adapter: FakeAdapter, numbers: list[int]) -> dict[str, float]:
    """Recall by a loop over all pairs."""
    weight = adapter.module.get_parameter("weight").detach().double().numpy()
    images, texts, owners = [], [], []
    for place, number in enumerate(numbers):
        with Image.open(root / f"coco/val2017/{number:012d}.png") as image:
            rows, columns = grid_of(image.size)
            cells = np.asarray(image.resize((columns, rows), Image.Resampling.BOX), dtype=np.float64)
        images.append((cells @ weight).sum(axis=(0, 1)))
        for text in [text for owner, text in captions() if owner == number][:5]:
            texts.append(text_vector(text.lower(), "plain").double().numpy())
            owners.append(place)
    similarity = unit(images) @ unit(texts).T
    t2i = np.array([place_in_order(similarity[:, text], owner) for text, owner in enumerate(owners)])
    own = [[text for text, owner in enumerate(owners) if owner == image] for image in range(len(numbers))]
    i2t = np.array([min(place_in_order(similarity[image], text) for text in own[image]) for image in range(len(own))])
    ranks = {"i2t": i2t, "t2i": t2i}
    return {f"{way}_r{k}": float((rank < k).mean()) for way, rank in ranks.items() for k in (1, 5, 10)}


def unit(vectors: list[Float64]) -> Float64:
    table = np.stack(vectors)
    return np.asarray(table / np.linalg.norm(table, axis=1, keepdims=True))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_gives_the_numbers_of_a_plain_loop(root: Path, seed: int) -> None:
    adapter = FakeAdapter(seed=seed)
    wanted = expected(root, adapter, list(range(1, PICTURES + 1)))
    assert 0 < wanted["i2t_r10"] < 1, "the data should not be trivial"
    (record,) = run(root, adapter).records
    assert {score["metric"]: score["value"] for score in record["scores"]} == pytest.approx(wanted)
    assert {score["metric"]: score["n"] for score in record["scores"]} == {
        metric: PICTURES if metric.startswith("i2t") else 5 * PICTURES for metric in wanted
    }
    assert record["counts"]["texts"] == PICTURES // 2 + 4 * PICTURES
    assert record["counts"]["ties"]["i2t"] > 0


def test_the_sixth_caption_is_neither_encoded_nor_scored(root: Path) -> None:
    adapter = FakeAdapter()
    run(root, adapter)
    assert not [text for text in adapter.texts_encoded if text.startswith("caption 5")]
    assert len(adapter.texts_encoded) == PICTURES // 2 + 4 * PICTURES


def test_pictures_that_are_skipped_leave_with_their_captions(root: Path) -> None:
    """The gallery shrinks: the numbers are those of a set that never had them."""
    adapter = FakeAdapter()
    (root / "coco/val2017/000000000004.png").unlink()
    (root / "coco/val2017/000000000009.png").write_bytes(b"")
    left_out = run(root, adapter)
    assert left_out.records == ()
    assert left_out.exit_code == 3
    (record,) = run(root, adapter, on_error="skip").records
    kept = [number for number in range(1, PICTURES + 1) if number not in (4, 9)]
    assert {score["metric"]: score["value"] for score in record["scores"]} == pytest.approx(
        expected(root, adapter, kept)
    )
    assert record["counts"]["skipped"] == {"image_missing": 1, "image_unreadable": 1}
    assert record["counts"]["evaluated"] == PICTURES - 2
    with np.load(root / "out/fake/coco.items.npz") as items:
        assert items["id"].tolist() == [str(number) for number in kept]
        assert items["t2i_image"].tolist() == np.repeat(np.arange(PICTURES - 2), 5).tolist()
