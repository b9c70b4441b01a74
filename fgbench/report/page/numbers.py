"""Numbers of the report, in percent, and what they are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fgbench.spec import MetricKey


class Value(NamedTuple):
    """One number, in percent.

    Attributes:
        percent: the number.
        low, high: ends of its 95 % interval, or None.
        n: queries; 0 for a number that the paper reports.
        record: number of the record it comes from (:attr:`Result.number`), or None.
    """

    percent: float
    low: float | None = None
    high: float | None = None
    n: int = 0
    record: int | None = None

    @classmethod
    def of(cls, score: Mapping[str, Any], record: int) -> Value:
        """From an entry of a record's scores."""
        interval = score.get("interval") or {}
        low, high = (100 * interval[end] if interval else None for end in ("low", "high"))
        return cls(100 * score["value"], low, high, score["n"], record)


class Column(NamedTuple):
    """One number of a dataset."""

    dataset: str
    key: MetricKey
