"""Every score of every dataset is the value of its sample, and has an interval around it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fgbench.data.mini import write_mini
from fgbench.errors import DataError, DataMissingError
from fgbench.requests import ClassScores, Generate, LabelMaps, PredictedMaps, RegionScores, Replies, Request
from fgbench.results import samples
from fgbench.results.folder import rows, save
from fgbench.results.intervals import intervals
from fgbench.results.samples import load, of_record, outcomes_path, read_outcomes
from fgbench.selection import datasets
from fgbench.spec import MetricKey
from fgbench.task import HasSamples, Loaded, Scores

from ..tasks.reading import opened
from .answers import random_embeddings

MAIN_SUITE = [name for name in datasets() if not datasets().get(name)[1].optional]


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mini")
    write_mini(root)
    return root


def answer(request: Request, loaded: Loaded, generator: np.random.Generator) -> Any:
    """Something that a model might have said, at random."""
    if isinstance(request, LabelMaps):
        truth = loaded.items

        def read(row: int) -> Any:
            labels = truth.decode(truth.raw(row), row)
            guess = generator.integers(0, len(request.classes.names), labels.shape)
            # Half of the pixels are right, so that no number is 0.
            return np.where(generator.random(labels.shape) < 0.5, np.minimum(labels, 19), guess % 20).astype(np.uint16)

        return PredictedMaps(read, len(request.images))
    if isinstance(request, RegionScores):
        boxes, temperatures = len(request.boxes), len(request.temperatures)
        return ClassScores(
            generator.random(len(request.pair_box)).astype(np.float32),
            generator.random((boxes, temperatures)).astype(np.float32),
            generator.integers(0, len(request.classes.names), boxes),
            np.ones(boxes, dtype=np.float32),
        )
    if isinstance(request, Generate):
        return Replies(
            [str(generator.choice(["A", "B", "red", "yes", "[0.1,0.1,0.6,0.6]", "?"])) for _ in request.prompts]
        )
    return random_embeddings(request, generator)


@pytest.fixture(scope="module")
def scored(mini: Path) -> dict[str, Scores]:
    """The whole suite with random answers."""
    generator = np.random.default_rng(0)
    found = {}
    for name in MAIN_SUITE:
        case = opened(name, mini)
        answers = {key: answer(request, case.loaded, generator) for key, request in case.requests.items()}
        found[name] = case.task.score(case.spec, case.loaded, answers)
    return found


def test_all_29_datasets_have_scores(scored: dict[str, Scores]) -> None:
    assert len(scored) == 29
    assert all(scores.scores for scores in scored.values())


@pytest.mark.parametrize("name", MAIN_SUITE)
def test_every_score_is_the_value_of_its_sample_and_lies_in_its_interval(scored: dict[str, Scores], name: str) -> None:
    task, spec = datasets().get(name)
    assert isinstance(task, HasSamples)
    scores = scored[name]
    samples = task.samples(spec, scores.outcomes)
    assert list(samples) == [MetricKey(score.subset, score.metric) for score in scores.scores]
    found = intervals(task, spec, scores.outcomes)
    for score in scores.scores:
        key = MetricKey(score.subset, score.metric)
        assert samples[key].value() == pytest.approx(score.value, abs=1e-12)
        assert len(samples[key].ids) == score.n == len(np.unique(samples[key].ids))
        interval = found[key]
        assert interval is None or interval["low"] <= score.value <= interval["high"]
        assert (interval is None) == (len(samples[key].sums) < 2)


def test_items_of_one_picture_are_one_unit(scored: dict[str, Scores]) -> None:
    for name, fewer in {"fg-ovd": True, "coco-box": True, "gqa": True, "textvqa": True, "imagenet-1k": False}.items():
        task, spec = datasets().get(name)
        assert isinstance(task, HasSamples)
        sample = next(iter(task.samples(spec, scored[name].outcomes).values()))
        assert (len(sample.sums) < len(sample.ids)) == fewer, name


class TestTables:
    def test_strata_make_up_the_whole(self, scored: dict[str, Scores]) -> None:
        for name, table in {"coco-box": "sizes", "lvis-box": "frequency", "coco": "caption-length"}.items():
            columns = scored[name].tables[table]
            metric = "t2i_r1" if name == "coco" else "top1"
            score = next(score for score in scored[name].scores if score.metric == metric)
            assert columns["n"].sum() == score.n
            assert (columns["n"] * columns[metric]).sum() == pytest.approx(score.n * score.value)

    def test_attributes_are_told_for_every_item_but_the_trivial_ones(self, scored: dict[str, Scores]) -> None:
        columns = scored["fg-ovd"].tables["attributes"]
        assert set(columns["subset"]) == {"hard", "medium", "easy"}
        assert {"colour", "pattern"} <= set(columns["attribute"])
        assert ((columns["top1"] >= 0) & (columns["top1"] <= 1)).all()


def record(name: str, scores: Scores) -> dict[str, Any]:
    found = intervals(*datasets().get(name), scores.outcomes)
    return {
        "schema": "fgbench.result/1", "dataset": name, "task": "t", "language": "en", "protocol": {"id": "paper"},
        "model": {"name": "m", "adapter": "a", "source": "s", "revision": None, "sha256": "0"},
        "scores": [{**each.__dict__, "interval": found[MetricKey(each.subset, each.metric)]} for each in scores.scores],
        "main": [], "counts": {"expected": 1, "evaluated": 1, "skipped": {}, "published": None},
        "environment": {"precision": "fp32", "packages": {"fgbench": "0"}}, "arguments": {"effective": {}},
    }  # fmt: skip


class TestFiles:
    @pytest.fixture
    def saved(self, scored: dict[str, Scores], tmp_path: Path) -> Path:
        return save(record("coco", scored["coco"]), scored["coco"].outcomes, tmp_path)

    def test_from_the_disk_back_to_the_scores(self, saved: Path, scored: dict[str, Scores]) -> None:
        found = load(saved)
        assert {key: sample.value() for key, sample in found.items()} == pytest.approx(
            {(score.subset, score.metric): score.value for score in scored["coco"].scores}
        )

    def test_the_csv_has_the_interval_at_its_end(self, saved: Path) -> None:
        content = json.loads(saved.read_text())
        row = next(rows(content))
        assert list(row)[-2:] == ["low", "high"]
        assert float(row["low"]) == content["scores"][0]["interval"]["low"]
        del content["scores"][0]["interval"]  # a record of an older version
        assert next(rows(content))["low"] is None

    def test_no_outcomes(self, saved: Path) -> None:
        outcomes_path(saved).unlink()
        with pytest.raises(DataMissingError, match=r"coco\.items.npz: there are no outcomes"):
            load(saved)

    @pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut"])
    def test_a_damaged_file(self, saved: Path, content: bytes) -> None:
        outcomes_path(saved).write_bytes(content)
        with pytest.raises(DataError, match="not a readable file of outcomes"):
            load(saved)

    def test_objects_are_not_unpickled(self, saved: Path) -> None:
        np.savez(outcomes_path(saved), id=np.array([{}], dtype=object))
        with pytest.raises(DataError, match="not a readable file of outcomes"):
            load(saved)

    def test_a_bomb_is_not_unpacked(self, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(samples, "MAX_BYTES", 1000)
        with pytest.raises(DataError, match=r"would take [\d,]+ bytes; at most 1,000 are read"):
            read_outcomes(outcomes_path(saved))

    def test_an_older_file_lacks_arrays(self, scored: dict[str, Scores]) -> None:
        older = {key: value for key, value in scored["gqa"].outcomes.items() if key != "image"}
        with pytest.raises(DataError, match=r"array 'image' is not in it.*Evaluate again"):
            of_record(record("gqa", scored["gqa"]), older)

    def test_arrays_that_do_not_fit(self, scored: dict[str, Scores]) -> None:
        cut = {**scored["gqa"].outcomes, "id": scored["gqa"].outcomes["id"][:-1]}
        with pytest.raises(DataError, match="do not fit together"):
            of_record(record("gqa", scored["gqa"]), cut)

    def test_outcomes_are_written_without_pickles(self, scored: dict[str, Scores]) -> None:
        for scores in scored.values():
            np.savez(io.BytesIO(), allow_pickle=False, **scores.outcomes)
