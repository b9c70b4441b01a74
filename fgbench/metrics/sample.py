"""What a score is a function of: a statistic of sums over items, and which items belong together.

Every score of the suite has this form. A share of right answers is the sum of the outcomes divided by their number; a
mean IoU is a function of the true, predicted and common pixels of each class, summed over pictures. So one way of
resampling, and one way of comparing two models, serve them all (:mod:`fgbench.metrics.resampling`,
:mod:`fgbench.metrics.pairing`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Float64: TypeAlias = npt.NDArray[np.float64]
Int64: TypeAlias = npt.NDArray[np.int64]
Statistic: TypeAlias = Callable[[Float64], Float64]
"""From sums [..., k] to values [...]; NaN where it is not defined."""


def ratio(sums: Float64) -> Float64:
    """A mean: the sum of the values (``[..., 0]``) over their number (``[..., 1]``)."""
    return np.asarray(sums[..., 0] / sums[..., 1])


@dataclass(frozen=True, eq=False)
class Sample:
    """The n items behind one score.

    Attributes:
        ids: [n], integers or strings; names of the items, the same for every model that is evaluated on them.
        unit: what is resampled, in a word: ``image``, ``question``, ``category``. Items of one unit stay together,
            because what makes one of them easy makes the others easy too.
        units: int64 [n]; the unit of each item, any numbers.
        parts: float64 [n, k]; what each item adds to the sums.
        statistic: the score as a function of the sums.

    Raises:
        ValueError: no items, or arrays of different lengths.
    """

    ids: npt.NDArray[Any]
    unit: str
    units: Int64
    parts: Float64
    statistic: Statistic = ratio

    def __post_init__(self) -> None:
        if self.parts.ndim != 2 or not len(self.ids) == len(self.units) == len(self.parts):
            raise ValueError(
                f"Expected n ids, n units and [n, k] parts, got {len(self.ids)}, {len(self.units)} and "
                f"{list(self.parts.shape)}."
            )
        if not len(self.ids):
            raise ValueError("Expected at least one item.")

    @classmethod
    def mean(cls, ids: npt.NDArray[Any], values: npt.NDArray[Any], unit: str, units: Int64 | None = None) -> Sample:
        """The items of a score that is the mean of a value per item.

        Args:
            ids: [n].
            values: [n]; numbers or truth values.
            unit: as in the class.
            units: int64 [n]; None if every item is a unit of its own.
        """
        parts = np.stack([np.asarray(values, dtype=np.float64), np.ones(len(values))], axis=1)
        return cls(ids, unit, np.arange(len(ids)) if units is None else units, parts)

    @property
    def values(self) -> Float64 | None:
        """The value of each item: float64 [n]; None if the score is no mean of values."""
        return self.parts[:, 0] if self.statistic is ratio else None

    @property
    def is_binary(self) -> bool:
        """Is the score the share of items that are right, each of them right or wrong?"""
        return self.values is not None and bool(np.isin(self.values, (0.0, 1.0)).all())

    @cached_property
    def sums(self) -> Float64:
        """float64 [U, k]; what each unit adds, by ascending number of the unit."""
        _, row = np.unique(self.units, return_inverse=True)
        order = np.argsort(row, kind="stable")
        start = np.flatnonzero(np.diff(row[order], prepend=-1))
        if len(start) == len(row):
            return self.parts[order]
        return np.asarray(np.add.reduceat(self.parts[order], start, axis=0))

    def value(self) -> float:
        """The score."""
        return float(self.statistic(self.parts.sum(axis=0)))

    def only(self, rows: npt.NDArray[Any]) -> Sample:
        """Some of the items (row numbers or truth values), in this order."""
        return replace(self, ids=self.ids[rows], units=self.units[rows], parts=self.parts[rows])
