"""Rows that belong to groups: the best of each, and groups in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Integers: TypeAlias = npt.NDArray[np.integer[Any]]
Floats: TypeAlias = npt.NDArray[np.floating[Any]]


def top_per_group(group: Integers, score: Floats, budget: int, *, block: int = 1 << 22) -> npt.NDArray[np.bool_]:
    """The ``budget`` best-scored rows of each group; of equal scores the earlier rows.

    Only groups above the budget are looked at, some at a time.

    Args:
        group: int [n]; from 0.
        score: float [n].
        budget: at least 1.
        block: rows looked at together (more if one group has more).

    Returns:
        bool [n].
    """
    count = np.bincount(group) if len(group) else np.zeros(0, dtype=np.int64)
    crowded = np.where(count > budget, count, 0)
    keep: npt.NDArray[np.bool_] = (crowded == 0)[group]
    for groups in spans(crowded, block):
        rows = np.flatnonzero((group >= groups.start) & (group < groups.stop) & ~keep)
        rows = rows[np.argsort(group[rows], kind="stable")]
        bounds = np.cumsum(crowded[groups])
        for start, stop in zip(bounds - crowded[groups], bounds, strict=True):
            if start < stop:
                members = rows[start:stop]
                values = score[members]
                least = np.partition(values, stop - start - budget)[stop - start - budget]
                above = values > least
                keep[members[above]] = True
                keep[members[values == least][: budget - np.count_nonzero(above)]] = True
    return keep


def spans(count: Integers, block: int) -> Iterator[slice]:
    """Cut groups of so many rows into runs of at most ``block`` rows, and at least one group."""
    end = np.cumsum(count)
    start = 0
    while start < len(count):
        done = end[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(end, done + block, side="right")))
        yield slice(start, stop)
        start = stop
