"""Detection all the way: from pictures, proposals and a model to a record, against a second computation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fgbench.api import evaluate
from fgbench.data.proposals import Proposals
from fgbench.detect_api import export_results
from fgbench.score_api import score

from ..fakes import FakeAdapter, grid_of, text_vector
from ..layouts import Row
from ..metrics import lvis_loop
from ..references import Float64, average_over_box
from .lvis_files import NAMES, lvis, pictures, random_set, store


@pytest.fixture
def root(tmp_path: Path) -> Path:
    file, found = random_set(8, seed=4)
    lvis(tmp_path, file)
    pictures(tmp_path, file)
    store(tmp_path, found)
    return tmp_path


def unit(vector: Float64) -> Float64:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def prototypes() -> Float64:
    """One unit vector per class: the mean over the 80 prompts, in lower case, _ as a blank."""
    templates = (Path(__file__).parents[2] / "tasks/data/templates_80.txt").read_text().splitlines()
    rows = []
    for name in NAMES:
        texts = [line.replace("{}", name.replace("_", " ")).lower() for line in templates]
        vectors = torch.stack([text_vector(text, "plain").double() for text in texts])
        rows.append(unit((vectors / vectors.norm(dim=1, keepdim=True)).mean(dim=0).numpy()))
    return np.stack(rows)


def expected(root: Path, file: Row, found: Proposals, adapter: FakeAdapter, alpha: float, temperature: float) -> Any:
    """AP of s^(1 - alpha) · softmax(cosine / T)^alpha with float64 numbers, one detection at a time."""
    weight = adapter.module.get_parameter("weight").detach().double().numpy()
    classes = prototypes()
    rows = []
    for box, category, own in zip(found.det_box, found.det_category, found.det_score, strict=True):
        number = int(found.image_ids[found.box_image[box]])
        x, y, right, bottom = (float(value) for value in found.box[box])
        with Image.open(root / f"coco/val2017/{number:012d}.png") as image:
            height, width = grid_of(image.size)
            cells = np.asarray(image.resize((width, height), Image.Resampling.BOX), dtype=np.float64)
            region = average_over_box(cells @ weight, (x, y, right - x, bottom - y), image.size)
        logit = classes @ unit(region) / temperature
        p = np.exp(logit[category - 1] - logit.max()) / np.exp(logit - logit.max()).sum()
        fused = float(own) ** (1 - alpha) * p**alpha
        rows.append({"image_id": number, "category_id": int(category), "bbox": [x, y, right - x, bottom - y]})
        rows[-1]["score"] = fused
    precision, _ = lvis_loop.box_ap(file, rows)
    return float(np.nanmean(precision[0].mean(axis=0)))


@pytest.mark.parametrize(("alpha", "temperature"), [("0.5", "0.01"), ("0.25", "0.1")])
def test_a_run_gives_the_numbers_of_a_plain_loop(root: Path, tmp_path: Path, alpha: str, temperature: str) -> None:
    adapter = FakeAdapter(seed=3)
    file, found = random_set(8, seed=4)
    result = evaluate(
        adapter, None, "lvis-minival", data_root=root, output=tmp_path / "results",
        protocol={"alpha": alpha, "temperature": temperature}, save_visuals=2,
    )  # fmt: skip
    assert not result.not_evaluated
    (record,) = result.records
    values = {(each["subset"], each["metric"]): each["value"] for each in record["scores"]}
    wanted = expected(root, file, found, adapter, float(alpha), float(temperature))
    assert values["fused", "ap"] == pytest.approx(wanted, abs=1e-9)
    alone = expected(root, file, found, adapter, 0.0, 0.01)
    assert values["detector", "ap"] == pytest.approx(alone, abs=1e-9)
    assert values["fused", "ap"] != values["detector", "ap"]
    assert record["protocol"]["choices"] == {
        "alpha": alpha, "temperature": temperature, "labels": "keep", "per_image": "all",
    }  # fmt: skip
    assert record["counts"]["evaluated"] == 8
    assert adapter.images_encoded == 8, "one pass per picture, whatever the number of boxes"
    assert len(list(result.folder.glob("lvis-minival.visuals/*.png"))) == 2
    with np.load(result.folder / "lvis-minival.items.npz") as items:
        assert np.nanmean(items["ap/fused"]) == pytest.approx(values["fused", "ap"])


def test_a_missing_picture_leaves_the_set_if_it_may(root: Path, tmp_path: Path) -> None:
    (root / "coco/val2017/000000000003.png").unlink()
    refused = evaluate(FakeAdapter(), None, "lvis-minival", data_root=root, output=tmp_path / "a")
    assert "1 of its pictures are not on disk" in refused.not_evaluated[0].reason
    (record,) = evaluate(
        FakeAdapter(), None, "lvis-minival", data_root=root, output=tmp_path / "b", on_error="skip"
    ).records
    assert record["counts"]["evaluated"] == 7
    assert record["counts"]["skipped"] == {"image_missing": 1}


def test_exported_proposals_scored_as_predictions_have_the_detector_s_ap(root: Path, tmp_path: Path) -> None:
    exported = tmp_path / "results.json"
    export_results(root / "lvis/proposals/minival", exported)
    (record,) = score("lvis-minival", exported, name="any", data_root=root, output=tmp_path / "out").records
    (own,) = evaluate(FakeAdapter(), None, "lvis-minival", data_root=root, output=tmp_path / "out").records
    values = {(each["subset"], each["metric"]): each["value"] for each in own["scores"]}
    assert {(each["subset"], each["metric"]): each["value"] for each in record["scores"]} == {
        key: value for key, value in values.items() if key[0].startswith("detector")
    }
    assert record["model"]["name"] == "any"
