"""What is printed for people: nothing cut at 80 columns, nothing said for nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fgbench.report import screen
from fgbench.spec import MetricKey
from fgbench.sweep_api import Sweep
from fgbench.task import Score

COUNTS = dict.fromkeys(("items", "images", "distinct_images", "regions", "texts", "distinct_texts", "missing"), 244_707)


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_six_digits_in_every_column_of_a_plan_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    row = {**COUNTS, "status": "ready", "problem": None}
    screen.print_plan({"total": COUNTS, "datasets": {"pascal-context-459": row}})
    text = capsys.readouterr().out
    assert "…" not in text
    line = next(line for line in text.splitlines() if "pascal-context-459" in line)
    assert line.split()[1:] == ["244,707"] * 7


def test_a_sweep_over_two_choices_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    keys = [MetricKey(subset, metric) for subset in ("fused", "detector") for metric in ("ap", "apr", "apc", "apf")]
    scores = [Score(key.subset, key.metric, 0.6288, 1203) for key in keys]
    screen.print_sweep(Sweep("lvis-minival", (({"alpha": "0.5", "temperature": "0.01"}, scores),)))
    text = capsys.readouterr().out
    assert "…" not in text
    assert text.count("62.88") == 8


@pytest.mark.parametrize(("seconds", "told"), [(0.4, False), (70.0, True)])
def test_an_estimate_of_a_moment_is_not_mentioned(seconds: float, told: bool) -> None:
    off = {"estimated": seconds, "actual": 2 * seconds, "ratio": 2.0}
    result: Any = SimpleNamespace(records=[{"timings": {"estimate": off}}] * 2)
    assert screen._distinct_estimates(result) == ([off] if told else [])
