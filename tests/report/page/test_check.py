from __future__ import annotations

import copy
from typing import Any

import pytest

from fgbench.report.page.check import problem

from .records import record


def changed(path: str, value: Any) -> dict[str, Any]:
    found = copy.deepcopy(record("coco"))
    *parents, last = path.split(".")
    place: Any = found
    for name in parents:
        place = place[int(name) if isinstance(place, list) else name]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return found


def test_a_record_of_a_run_can_be_shown_with_and_without_intervals() -> None:
    assert problem(record("coco")) is None
    assert problem(record("coco", interval=False)) is None
    assert problem(changed("scores.0.interval", None)) is None


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("model.name", 5, "model.name is 5; expected text."),
        ("model.name", KeyError, "model.name is missing; expected text."),
        ("model", "x", "model.name is missing"),
        ("model.paper", ["CLIP"], "model.paper is ['CLIP']; expected null or [method, backbone]."),
        ("model.revision", 3, "model.revision is 3; expected text or null."),
        ("protocol.id", None, "protocol.id is None; expected text."),
        ("environment.packages.fgbench", KeyError, "environment.packages.fgbench is missing"),
        ("notes", ["a", 1], "notes is ['a', 1]; expected a list of texts."),
        ("scores", {}, "scores is {}; expected a list."),
        ("scores.0.value", float("nan"), "scores[0].value is nan; expected a fraction from 0 to 1."),
        ("scores.0.value", 1e308, "scores[0].value is 1e+308; expected a fraction"),
        ("scores.0.value", 64.2, "scores[0].value is 64.2; expected a fraction"),
        ("scores.0.value", True, "scores[0].value is True; expected a fraction"),
        ("scores.0.value", "0.5", "scores[0].value is '0.5'; expected a fraction"),
        ("scores.0.n", -1, "scores[0].n is -1; expected a count."),
        ("scores.0.interval", [0, 1], "scores[0].interval is [0, 1]; expected an object or null."),
        ("scores.0.interval.low", KeyError, "scores[0].interval.low is missing"),
        ("scores.0.interval.high", 0, "is above high 0."),
        ("main", [{"subset": "*"}], "main[0] is {'subset': '*'}; expected an object with subset and metric."),
        ("counts.evaluated", 1.0, "counts.evaluated is 1.0; expected a count."),
        ("counts.skipped", {"image_missing": -2}, "expected counts by name."),
        ("counts.evaluated", 4000, "counts: expected is 5000, but evaluated and skipped make 4000."),
        ("arguments.effective", [], "arguments.effective is []; expected an object."),
    ],
)
def test_what_cannot_be_shown_is_named_with_its_field(path: str, value: Any, expected: str) -> None:
    found = problem(changed(path, value))
    assert found is not None
    assert expected in found


def test_a_number_that_is_there_twice_is_refused() -> None:
    twice = record("coco")
    twice["scores"].append(twice["scores"][0])
    assert problem(twice) == "scores: */i2t_r1 is there more than once."


def test_a_long_value_is_cut() -> None:
    found = problem(changed("dataset", ["x" * 999]))
    assert found is not None
    assert len(found) < 120
