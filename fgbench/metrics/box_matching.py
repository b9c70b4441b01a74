"""Which detection finds which object: greedy matching of boxes by overlap, for all groups of a dataset at once.

A *group* is what is matched on its own: in LVIS, one category in one picture. Boxes of all groups stand one after
another in flat arrays. Only *edges* (pairs of a detection and an object that overlap enough to match at the lowest
threshold) are kept, and the detections of all groups that have the same rank are matched in one step.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

BLOCK_PAIRS = 1 << 20
"""Overlaps computed at a time: about 100 MiB of temporary arrays."""


class Edges(NamedTuple):
    """Overlapping pairs, ascending by detection and then by object.

    Attributes:
        detection: int64 [E].
        truth: int64 [E].
        iou: float64 [E].
    """

    detection: Int64
    truth: Int64
    iou: Float64


def overlap(a: Float64, b: Float64) -> Float64:
    """Intersection over union of boxes, row by row; continuous coordinates (no pixel is added to a side).

    Args:
        a: float64 [n, 4]; x, y, width, height.
        b: float64 [n, 4].

    Returns:
        float64 [n]; 0 where the boxes do not overlap.
    """
    width = np.minimum(a[:, 0] + a[:, 2], b[:, 0] + b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
    height = np.minimum(a[:, 1] + a[:, 3], b[:, 1] + b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
    both = np.where((width > 0) & (height > 0), width * height, 0.0)
    union = a[:, 2] * a[:, 3] + b[:, 2] * b[:, 3] - both
    return np.divide(both, union, out=np.zeros(len(a)), where=both > 0)


def edges(
    detections: Float64,
    detection_group: Int64,
    truths: Float64,
    truth_group: Int64,
    least: float,
    *,
    block_pairs: int = BLOCK_PAIRS,
) -> Edges:
    """Pairs of a detection and an object of the same group whose overlap is at least ``least``.

    Args:
        detections: float64 [n, 4]; x, y, width, height.
        detection_group: int64 [n].
        truths: float64 [m, 4].
        truth_group: int64 [m]; ascending.
        least: in (0, 1].
        block_pairs: overlaps computed at a time; one detection's are never divided.
    """
    first = np.searchsorted(truth_group, detection_group, side="left")
    count = np.searchsorted(truth_group, detection_group, side="right") - first
    end = np.cumsum(count)
    found: list[Edges] = []
    start = 0
    while start < len(count):
        done = end[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(end, done + block_pairs, side="right")))
        detection = np.repeat(np.arange(start, stop), count[start:stop])
        within = np.arange(len(detection)) - np.repeat(end[start:stop] - count[start:stop] - done, count[start:stop])
        truth = first[detection] + within
        iou = overlap(detections[detection], truths[truth])
        near = iou >= least
        found.append(Edges(detection[near], truth[near], iou[near]))
        start = stop
    if not found:
        nothing = np.zeros(0, dtype=np.int64)
        return Edges(nothing, nothing, np.zeros(0))
    return Edges(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def match(edges: Edges, detection_group: Int64, ignored: Mask, thresholds: Float64) -> npt.NDArray[np.int32]:
    """Let the detections of each group choose an object, the one with the best score first.

    A detection takes the free object with the highest overlap that reaches the threshold; an ignored object only if no
    other one is left for it. Of equal overlaps the later object wins. Every object is taken once at most. This is the
    rule of the LVIS and COCO evaluators (without crowd regions).

    Args:
        edges: from :func:`edges`.
        detection_group: int64 [n]; groups are contiguous, and within one the detections descend by score.
        ignored: bool [m]; of the objects.
        thresholds: float64 [T]; matched separately.

    Returns:
        int32 [T, n]; the object of each detection, -1 where there is none.
    """
    matched = np.full((len(thresholds), len(detection_group)), -1, dtype=np.int32)
    taken = np.zeros((len(thresholds), len(ignored)), dtype=bool)
    rank = _rank_with_edges(edges.detection, detection_group)
    preference = np.lexsort((-edges.truth, -edges.iou, ignored[edges.truth], edges.detection, rank))
    detection, truth, rank = edges.detection[preference], edges.truth[preference], rank[preference]
    iou = edges.iou[preference]
    bounds = np.flatnonzero(np.diff(rank, prepend=-1, append=-1))
    for start, stop in itertools.pairwise(bounds.tolist()):
        # One detection per group: no two of them compete for an object.
        candidate = truth[start:stop]
        free = (iou[start:stop] >= thresholds[:, None]) & ~taken[:, candidate]
        position = np.where(free, np.arange(stop - start), stop - start)
        segment = np.flatnonzero(np.diff(detection[start:stop], prepend=-1))
        best = np.minimum.reduceat(position, segment, axis=1)
        level, chooser = np.nonzero(best < stop - start)
        chosen = candidate[best[level, chooser]]
        taken[level, chosen] = True
        matched[level, detection[start:stop][segment[chooser]]] = chosen
    return matched


def _rank_with_edges(detection: Int64, group: Int64) -> Int64:
    """For each edge the rank of its detection among those of its group that have edges: int64 [E]."""
    if not len(detection):
        return detection
    new = np.diff(detection, prepend=-1) > 0
    number = np.cumsum(new) - 1
    groups = group[detection[new]]
    first = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
    rank = np.arange(len(groups)) - np.repeat(first, np.diff(first, append=len(groups)))
    of_edge: Int64 = rank[number]
    return of_edge
