"""What the end-to-end tests read from the records of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fgbench.api import Evaluation

Run = Callable[..., Evaluation]


def record(result: Evaluation, dataset: str) -> dict[str, Any]:
    """The record of a dataset."""
    [found] = [each for each in result.records if each["dataset"] == dataset]
    return found


def counters(result: Evaluation) -> dict[str, int]:
    """What the run encoded."""
    return dict(result.records[0]["timings"]["counters"])


def skipped(result: Evaluation, dataset: str) -> dict[str, int]:
    """What was skipped, after a look at the sum: evaluated and skipped items make up the dataset."""
    counts = record(result, dataset)["counts"]
    assert counts["evaluated"] + sum(counts["skipped"].values()) == counts["expected"]
    return dict(counts["skipped"])
