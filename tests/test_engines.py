"""Every kind of model through ``evaluate``: what its records say."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from torch import nn

from fgbench import evaluate
from fgbench.data.mini.label_maps import write_label_maps
from fgbench.engines import with_choices
from fgbench.errors import UsageError
from fgbench.segmenter import SegmenterInfo

from .fakes import FakeAdapter


class Everything:
    """A segmenter that sees one class everywhere: the first of VOC's, the aeroplane."""

    def __init__(self) -> None:
        self.info = SegmenterInfo(
            "one-class", "tests", "made for tests", "catseg", "nothing", "first", notes=("a toy",)
        )
        self.module: nn.Module = nn.Linear(1, 1)

    def set_prompts(self, classes: Sequence[Sequence[str]]) -> None:
        assert [names[0] for names in classes][:2] == ["aeroplane", "bicycle"]

    def predict(self, image: Image.Image, size: tuple[int, int]) -> npt.NDArray[np.uint16]:
        return np.zeros(size[::-1], dtype=np.uint16)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engines")
    write_label_maps(folder)
    return folder


def run(model: Any, root: Path, output: Path, **options: Any) -> Any:
    return evaluate(model, dataset="voc-20", data_root=root, output=output, device="cpu", **options)


def test_a_segmenter_s_record_names_its_own_protocol(root: Path, tmp_path: Path) -> None:
    [record] = run(Everything(), root, tmp_path).records
    assert record["protocol"]["id"] == "catseg"
    assert record["protocol"]["trained_on"] == "nothing"
    assert record["protocol"]["details"] == record["protocol"]["choices"] == {}  # those of the training-free protocol
    assert (record["model"]["kind"], record["model"]["notes"]) == ("segmenter", ["a toy"])
    values = {score["metric"]: score["value"] for score in record["scores"]}
    with (tmp_path / "one-class/voc-20.classes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows[:2]] == ["aeroplane", "bicycle"]
    pixels = np.array([int(row["pixels"]) for row in rows])
    assert values["pixel_accuracy"] == pytest.approx(pixels[0] / pixels.sum())
    assert values["miou"] == pytest.approx(pixels[0] / pixels.sum() / (pixels > 0).sum())
    assert rows[1]["iou"] == ""  # no bicycle in the world
    assert [int(row["predicted"]) for row in rows] == [pixels.sum(), *[0] * 19]


def test_a_dual_encoder_s_record_names_choices_and_window(root: Path, tmp_path: Path) -> None:
    [record] = run(FakeAdapter(window=96), root, tmp_path, protocol={"windows": "whole"}).records
    assert record["protocol"]["id"] == "training-free"
    assert record["protocol"]["choices"]["windows"] == "whole"
    assert "region_mode" not in record["protocol"]
    assert (record["model"]["kind"], record["model"]["window"]) == ("dual encoder", 96)
    assert record["model"]["name"] == "fake?windows=whole"
    saved = json.loads((tmp_path / "fake_windows=whole/voc-20.json").read_text(encoding="utf-8"))
    assert saved == record


def test_regions_are_no_business_of_segmenters(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="region-mode is meaningless"):
        run(Everything(), root, tmp_path, region_mode="roi")


def test_a_model_of_another_kind_is_refused_with_the_reason(root: Path, tmp_path: Path) -> None:
    result = evaluate(Everything(), dataset="coco", data_root=root, output=tmp_path, device="cpu")
    assert result.exit_code == 3
    dense = run(FakeAdapter(dense=False), root, tmp_path)
    assert (dense.exit_code, dense.records) == (3, ())
    assert "dense features" in dense.not_evaluated[0].reason


def test_names_with_choices() -> None:
    assert with_choices("m", {}) == "m"
    assert with_choices("m", {"a": "1", "b": "2"}) == "m?a=1&b=2"
    assert with_choices("m?seed=1", {"a": "1"}) == "m?seed=1&a=1"


def test_compiling_is_recorded_and_gives_features_of_their_own(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[Any] = []

    def compile_(function: Any, *, dynamic: bool) -> Any:
        compiled.append(function)
        return function

    monkeypatch.setattr("torch.compile", compile_)
    adapter = FakeAdapter()
    adapter.module.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    [plain] = run(adapter, root, tmp_path).records
    assert compiled == []
    [record] = run(adapter, root, tmp_path, compile=True).records
    # Once for the texts, once for the pictures; all three layers.
    assert len(compiled) == 6
    assert record["model"]["name"] == "fake?compile=true"
    assert record["arguments"]["effective"]["compile"] is True
    assert record["timings"]["counters"]["rows_reused"] == 0
    assert record["scores"] == plain["scores"]
    with pytest.raises(UsageError, match="--compile: fake has no repeated blocks"):
        run(FakeAdapter(), root, tmp_path, compile=True)
    with pytest.raises(UsageError, match="--compile is for dual encoders, and one-class is none"):
        run(Everything(), root, tmp_path, compile=True)
