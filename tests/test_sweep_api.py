"""A sweep is what single runs give, with one run of the model."""

from __future__ import annotations

from pathlib import Path

import pytest

from fgbench import evaluate
from fgbench.data.mini.boxes import write_boxes
from fgbench.data.mini.detections import write_detections
from fgbench.errors import DataMissingError, UsageError
from fgbench.sweep_api import sweep

from .fakes import FakeAdapter


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    write_boxes(folder)
    write_detections(folder)
    return folder


def test_rows_are_those_of_single_runs(root: Path, tmp_path: Path) -> None:
    adapter = FakeAdapter()
    over = {"alpha": ["0", "0.5"], "temperature": ["0.1", "0.02"]}
    found = sweep(adapter, "lvis-minival", over, data_root=root, output=tmp_path)
    encoded = adapter.images_encoded
    assert encoded == 48
    assert [dict(chosen) for chosen, _ in found.rows] == [
        {"alpha": alpha, "temperature": temperature} for alpha in ("0", "0.5") for temperature in ("0.1", "0.02")
    ]
    for chosen, scores in found.rows:
        [record] = evaluate(adapter, dataset="lvis-minival", data_root=root, output=tmp_path, protocol=chosen).records
        assert [{**score, "interval": None} for score in record["scores"]] == [
            {**score.__dict__, "interval": None} for score in scores
        ]
        assert record["protocol"]["choices"]["alpha"] == chosen["alpha"]
    assert adapter.images_encoded == encoded
    alone, fused = ({s.metric: s.value for s in found.rows[n][1] if s.subset == "fused"} for n in (0, 2))
    detector = {s.metric: s.value for s in found.rows[0][1] if s.subset == "detector"}
    assert alone == detector
    assert fused != detector


def test_mistakes_say_what_to_do(root: Path, tmp_path: Path) -> None:
    def run(over: dict[str, list[str]], dataset: str = "lvis-minival", data: Path = root) -> None:
        sweep(FakeAdapter(), dataset, over, data_root=data, output=tmp_path)

    with pytest.raises(UsageError, match="depends on per_image"):
        run({"per_image": ["100"]})
    with pytest.raises(UsageError, match="leave open"):
        run({"beta": ["1"]})
    with pytest.raises(UsageError, match="allows"):
        run({"temperature": ["0.3"]})
    with pytest.raises(UsageError, match="one dataset"):
        run({"alpha": ["0"]}, "lvis-minival,lvis-val")
    with pytest.raises(DataMissingError):
        run({"alpha": ["0"]}, data=tmp_path)
