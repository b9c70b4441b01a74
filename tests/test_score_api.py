"""Scoring predictions made elsewhere, with a task that reads one number per item."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fgbench import selection
from fgbench.api import Evaluation
from fgbench.data.files import DatasetFiles
from fgbench.errors import DataError, DataMissingError, UsageError
from fgbench.registry import Registry
from fgbench.requests import Embeddings, Generate, Prompt, Replies
from fgbench.score_api import score, score_task
from fgbench.spec import DatasetSpec
from fgbench.task import Loaded, Predictions, Scores

from .fakes import FakeTask, dataset_spec

Run = Callable[..., Evaluation]


class Numbers(FakeTask):
    """Right answers are "1"; predictions are a JSON list of answers."""

    def load(self, spec: DatasetSpec, files: DatasetFiles, limit: int | None) -> Loaded:
        return Loaded(["a", "b", "c"], size={"*": 3}, notes=("made for the test",))

    def requests(self, spec: DatasetSpec, loaded: Loaded) -> Mapping[str, Any]:
        return {"replies": Generate([Prompt(text) for text in loaded.items])}

    def predictions(self, spec: DatasetSpec, loaded: Loaded, place: Path, options: Mapping[str, str]) -> Predictions:
        if set(options) - {"strip"}:
            raise UsageError("Expected the option strip.")
        texts = json.loads(place.read_text())
        return Predictions({"replies": Replies(texts)}, (f"{len(texts)} answers from a file",))

    def score(self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Any]) -> Scores:
        replies: Replies = features["replies"]
        if len(replies.texts) != 3:
            raise DataError("three answers were expected")
        right = np.array([text == "1" for text in replies.texts])
        embeddings = {"x": Embeddings(right[:, None].astype(np.float32))}
        return super().score(spec, Loaded([], {"*": 3}), embeddings)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    reading, other = Numbers({"numbers": {}}), FakeTask({"pictures": {}})
    registry: Registry[Any] = Registry("dataset")
    registry.add("numbers", (reading, reading.datasets[0]), origin="tests")
    registry.add("pictures", (other, dataset_spec("pictures")), origin="tests")
    monkeypatch.setattr(selection, "datasets", lambda: registry)

    def go(answers: object = ("1", "0", "1"), dataset: str = "numbers", **more: Any) -> Evaluation:
        place = tmp_path / "answers.json"
        place.write_text(json.dumps(answers))
        (tmp_path / "data").mkdir(exist_ok=True)
        return score(dataset, more.pop("place", place), data_root=tmp_path / "data", output=tmp_path / "out", **more)

    return go


def test_a_record_is_written(run: Run, tmp_path: Path) -> None:
    (record,) = run(name="their model", options={"strip": "no"}).records
    assert record["protocol"]["id"] == "external/their model"
    assert record["model"]["kind"] == "external"
    assert record["model"]["settings"] == {"strip": "no"}
    assert len(record["model"]["sha256"]) == 64
    assert list(record["notes"]) == ["made for the test", "3 answers from a file"]
    assert record["counts"]["expected"] == record["counts"]["evaluated"] == 3
    assert "their model" in (tmp_path / "out/results.csv").read_text()
    saved = json.loads((tmp_path / "out/their_model/numbers.json").read_text())
    assert saved == record
    assert str(tmp_path) not in json.dumps(saved)


def test_other_predictions_of_one_name_get_a_folder_of_their_own(run: Run) -> None:
    assert run(["1", "0", "1"]).folder == run(["1", "0", "1"]).folder != run(["1", "1", "1"]).folder


def test_mistakes_say_what_to_do(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Expected the option"):
        run(options={"shift": "1"})
    with pytest.raises(DataMissingError, match="no such predictions"):
        run(place=tmp_path / "nowhere")
    with pytest.raises(UsageError, match="works on embeddings"):
        run(dataset="pictures")
    with pytest.raises(UsageError, match="one dataset"):
        run(dataset="numbers,pictures")


def test_predictions_that_do_not_fit_are_not_scored(run: Run) -> None:
    result = run(["1"])
    assert (result.exit_code, result.records) == (1, ())
    assert "three answers" in result.not_evaluated[0].reason


def test_a_folder_with_a_file_per_dataset(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    monkeypatch.setattr(selection, "select", lambda task, dataset: [selection.datasets().get("numbers")])
    folder = tmp_path / "all"
    folder.mkdir()
    with pytest.raises(UsageError, match="called numbers"):
        score_task("fake-task", folder)
    (folder / "numbers.json").write_text(json.dumps(["1", "1", "1"]))
    (folder / "other.json").write_text("[]")
    result = score_task("fake-task", folder, name="x", data_root=tmp_path / "data", output=tmp_path / "out")
    assert [record["dataset"] for record in result.records] == ["numbers"]
    assert result.records[0]["arguments"]["passed"]["predictions"] == "numbers.json"
