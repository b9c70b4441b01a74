"""A finished run, compared with the results that loops give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fgbench
from fgbench.adapter import Adapter
from fgbench.api import Evaluation

from .brute_force import CLOSE, Result


@dataclass(frozen=True)
class Run:
    """A finished evaluation with the outcomes of its items (a later run with the same folder replaces the files)."""

    result: Evaluation
    outcomes: Mapping[str, Mapping[str, npt.NDArray[Any]]]

    def record(self, dataset: str) -> dict[str, Any]:
        """The record of a dataset; a dataset without one shows its reason."""
        reasons = {each.dataset: each.reason for each in self.result.not_evaluated}
        assert dataset not in reasons, reasons[dataset]
        [found] = [each for each in self.result.records if each["dataset"] == dataset]
        return found

    @property
    def counters(self) -> dict[str, int]:
        """What was encoded."""
        return dict(self.result.records[0]["timings"]["counters"])


def evaluate(adapter: Adapter, dataset: str | list[str], **options: Any) -> Run:
    result = fgbench.evaluate(adapter, None, dataset, device="cpu", **options)
    suffix = f".limit-{options['limit']}" if "limit" in options else ""
    outcomes = {}
    for found in result.records:
        with np.load(result.folder / f"{found['dataset']}{suffix}.items.npz") as arrays:
            outcomes[found["dataset"]] = dict(arrays)
    return Run(result, outcomes)


def compare(run: Run, dataset: str, wanted: Result) -> None:
    """Every number and the rank of every item are reproduced.

    Where float32 may decide between two inputs the value lies in the interval; that is rare.
    """
    found = run.record(dataset)
    scores = {(row["subset"], row["metric"]): row for row in found["scores"]}
    assert set(scores) == set(wanted.metrics)
    for key, bounds in wanted.metrics.items():
        assert scores[key]["n"] == bounds.n, key
        assert bounds.low <= scores[key]["value"] <= bounds.high, key
        assert bounds.high - bounds.low < 2.5 / bounds.n, "these data show nothing: too much is close"
    for name, ranks in wanted.ranks.items():
        values = run.outcomes[dataset][name].tolist()
        assert len(values) == len(ranks)
        assert all(each.low <= value <= each.high for value, each in zip(values, ranks, strict=True)), name
        assert sum(each.low == each.high for each in ranks) > 0.9 * len(ranks)
    for name, margins in wanted.margins.items():
        assert run.outcomes[dataset][name].tolist() == pytest.approx(margins, abs=CLOSE)
    assert found["counts"]["skipped"] == {}
    assert found["counts"]["evaluated"] == found["counts"]["expected"] > 0
