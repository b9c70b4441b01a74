"""Files of expected results: what is written is read, and what cannot be right is refused with the field's name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fgbench.errors import DataError
from fgbench.models import parse
from fgbench.selection import select
from fgbench.selftest.expectation import Rule, from_records, read_expectation, write_expectation

RULE = Rule(items=3, share=0.02, pooled=0.01, pooled_metrics=("miou",))


def record(**fields: Any) -> dict[str, Any]:
    return {
        "dataset": "coco",
        "model": {"name": "small", "sha256": "ab"},
        "environment": {"packages": {"torch": "2"}},
        "protocol": {"id": "paper", "budget": None, "details": {"tie": "…"}},
        "data": {"images_sha256": "cd"},
        "scores": [{"subset": "*", "metric": "i2t_r1", "value": 0.5, "n": 10}],
        "main": [{"subset": "*", "metric": "i2t_r1", "value": 0.5}],
        **fields,
    }


def test_the_rule() -> None:
    assert RULE.allowed("top1", 10) == pytest.approx(0.3)
    assert RULE.allowed("top1", 150) == pytest.approx(0.02)
    assert RULE.allowed("top1", 0) == 3
    assert RULE.allowed("miou", 10) == 0.01


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made = from_records([record()], model="small?x=1", version=7, rule=RULE)
    write_expectation(made, tmp_path / "expected.json")
    assert read_expectation(tmp_path / "expected.json") == made
    assert made.weights == {"small": "ab"}
    [score] = made.datasets["coco"].scores
    assert score.allowed == pytest.approx(0.3)
    assert "details" not in made.datasets["coco"].protocol


def test_the_shipped_file_has_every_dataset_and_a_known_model() -> None:
    shipped = read_expectation()
    assert list(shipped.datasets) == [spec.id for _, spec in select(None, None)]
    parse(shipped.model)
    for _, spec in select(None, None):
        scores = shipped.datasets[spec.id].scores
        assert {(score.subset, score.metric) for score in scores} >= set(spec.main), spec.id
        for score in scores:
            assert score.allowed == shipped.rule.allowed(score.metric, score.n)
            assert 0 <= score.value <= 1


def test_no_metric_is_both() -> None:
    """What counts as a mean over queries is one: times n it is a whole number. Pooled metrics are named in the file."""
    shipped = read_expectation()
    for name, dataset in shipped.datasets.items():
        for score in dataset.scores:
            if score.metric not in shipped.rule.pooled_metrics:
                items = score.value * score.n
                # People may agree on an answer in part: tenths of an item.
                assert items * 10 == pytest.approx(round(items * 10), abs=1e-6), (name, score)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "fgbench.selftest/9"}, "fgbench.selftest/9"),
        ({"version": "4"}, "version"),
        ({"rule": {"items": -1, "share": 0, "pooled": 0, "pooled_metrics": []}}, "items"),
        ({"weights": {}}, "weights has no entry for small"),
        ({"datasets": {"coco": 5}}, "datasets.coco"),
        ({"datasets": {"coco": {"scores": [5]}}}, r"scores\[0\]"),
        ({"datasets": {"coco": {"scores": [{"subset": "*", "metric": "r", "value": None}]}}}, "value"),
    ],
)
def test_what_cannot_be_right_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "expected.json"
    write_expectation(from_records([record()], model="small", version=7, rule=RULE), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=said):
        read_expectation(path)


@pytest.mark.parametrize("content", ["", "[1]", "{"])
def test_no_file_of_expected_results(tmp_path: Path, content: str) -> None:
    path = tmp_path / "expected.json"
    if content:
        path.write_text(content)
    with pytest.raises(DataError, match=r"expected\.json"):
        read_expectation(path)
