"""Interpolated average precision of many categories at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

RECALL_POINTS: Float64 = np.linspace(0.0, 1.0, 101)


class Curves(NamedTuple):
    """What is left of precision-recall curves.

    Attributes:
        precision: float64 [..., C]; average precision; NaN for categories without objects.
        recall: float64 [..., C]; recall of all detections together; NaN likewise.
    """

    precision: Float64
    recall: Float64


def interpolated(right: Mask, wrong: Mask, category: Int64, objects: Int64) -> Curves:
    """Mean over 101 recall points of the best precision at that recall or a higher one.

    Source: the evaluators of COCO and LVIS: precision = TP / (TP + FP + 2^-52), made non-increasing from the right; at
    each recall point the value at the first detection that reaches it, 0 if none does.

    Only right detections matter: precision falls at a wrong one, so the best value to the right of any point is at a
    right one.

    Args:
        right: bool [T, n]; true positives, by threshold; detections ordered by category, then descending score.
        wrong: bool [T, n]; false positives. A detection may be neither.
        category: int64 [n]; ascending, in [0, C).
        objects: int64 [C]; number of objects to be found.

    Returns:
        Arrays [T, C].
    """
    start = np.searchsorted(category, np.arange(len(objects) + 1))
    level, place = np.nonzero(right)
    hits, errors = _counts(right), _counts(wrong)
    first, number = hits[:, start[:-1]], np.diff(hits[:, start], axis=1)
    owner = category[place]
    hit = hits[level, place + 1] - first[level, owner]
    error = errors[level, place + 1] - errors[level, start[owner]]
    curve = level * len(objects) + owner
    best = _best_to_the_right(hit / (hit + error + np.spacing(1.0)), curve)
    # Position of each (threshold, category) in the flat list of right detections, which has the same order.
    begin = (np.cumsum(number) - number.ravel()).reshape(number.shape)
    needed = _needed(objects)
    reached = needed <= number[:, :, None]
    position = np.where(reached, begin[:, :, None] + needed - 1, len(best))
    average = np.append(best, 0.0)[position].mean(axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        recall = np.where(objects > 0, number / objects, np.nan)
    return Curves(np.where(objects > 0, average, np.nan), recall)


def _counts(flags: Mask) -> Int64:
    """How many are set before each position: int64 [T, n + 1]."""
    total = np.zeros((flags.shape[0], flags.shape[1] + 1), dtype=np.int64)
    np.cumsum(flags, axis=1, out=total[:, 1:])
    return total


def _best_to_the_right(value: Float64, group: Int64) -> Float64:
    """Largest value from each position to the end of its group (groups ascend): exact, values are only compared."""
    distinct, rank = np.unique(value, return_inverse=True)
    size = max(1, len(distinct))
    key = rank.reshape(-1) - group * size
    return distinct[np.maximum.accumulate(key[::-1])[::-1] + group * size]


def _needed(objects: Int64) -> Int64:
    """How many objects have to be found to reach each recall point: int64 [C, 101], at least 1.

    The smallest k with k / objects >= point in float64 arithmetic, which decides as the evaluators' search does.
    """
    total = np.maximum(objects, 1)[:, None].astype(np.float64)
    count = np.ceil(RECALL_POINTS * total)
    count -= (count - 1) / total >= RECALL_POINTS
    count += count / total < RECALL_POINTS
    return np.maximum(count, 1).astype(np.int64)
