"""Matching boxes: overlaps, and the greedy choice, against plain loops and pycocotools."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.metrics.box_matching import Edges, edges, match, overlap

from . import lvis_loop

SEEDS = st.integers(0, 100_000)


def some_boxes(rng: np.random.Generator, count: int) -> Any:
    """Whole numbers close together: many overlaps, some equal ones."""
    return np.c_[rng.integers(0, 6, (count, 2)), rng.integers(0, 9, (count, 2))].astype(np.float64)


@given(SEEDS)
def test_overlap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = some_boxes(rng, 30), some_boxes(rng, 30)
    expected = [lvis_loop.iou(*pair) for pair in zip(a.tolist(), b.tolist(), strict=True)]
    np.testing.assert_array_equal(overlap(a, b), expected)


def test_overlap_is_that_of_pycocotools() -> None:
    mask = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 50, (2, 200, 4))
    expected = [mask.iou(x[None], y[None], [0])[0, 0] for x, y in zip(a, b, strict=True)]
    np.testing.assert_array_equal(overlap(a, b), expected)


@given(SEEDS, st.integers(1, 40))
def test_edges_are_the_overlapping_pairs_within_groups(seed: int, block: int) -> None:
    rng = np.random.default_rng(seed)
    found, objects = some_boxes(rng, 25), some_boxes(rng, 15)
    group, object_group = np.sort(rng.integers(0, 6, 25)), np.sort(rng.integers(0, 6, 15))
    expected = [
        (d, t)
        for d in range(25)
        for t in range(15)
        if group[d] == object_group[t] and lvis_loop.iou(found[d].tolist(), objects[t].tolist()) >= 0.5
    ]
    result = edges(found, group, objects, object_group, 0.5, block_pairs=block)
    assert list(zip(result.detection.tolist(), result.truth.tolist(), strict=True)) == expected
    np.testing.assert_array_equal(result.iou, overlap(found[result.detection], objects[result.truth]))


def test_nothing_overlaps_nothing() -> None:
    none, group = np.zeros((0, 4)), np.zeros(0, dtype=np.int64)
    assert len(edges(none, group, none, group, 0.5).iou) == 0
    assert len(edges(np.ones((2, 4)), np.array([0, 1]), none, group, 0.5).iou) == 0


def chosen(iou: list[list[float]], ignored: list[bool], threshold: float = 0.5) -> list[int]:
    """The objects that the detections of one group take; a row of overlaps per detection."""
    table = np.array(iou)
    detection, truth = np.nonzero(table >= 0.5)
    near = Edges(detection, truth, table[detection, truth])
    group = np.zeros(len(table), dtype=np.int64)
    return list(match(near, group, np.array(ignored), np.array([threshold]))[0].tolist())


@pytest.mark.parametrize(
    ("iou", "ignored", "expected"),
    [
        ([[0.6, 0.9]], [False, False], [1]),
        ([[0.9, 0.6]], [True, False], [1]),
        ([[0.9, 0.4]], [True, False], [0]),
        ([[0.7, 0.7]], [False, False], [1]),
        ([[0.7, 0.7]], [False, True], [0]),
        ([[0.9], [0.95]], [False], [0, -1]),
        ([[0.9, 0.6], [0.95, 0.5]], [False, False], [0, 1]),
        ([[0.4, 0.4], [0.6, 0.4]], [False, False], [-1, 0]),
    ],
    ids=[
        "highest overlap",
        "others before ignored ones",
        "an ignored one if nothing else is left",
        "the later of equals",
        "the other of equals",
        "the better score first",
        "the second takes what is left",
        "one without overlap does not count",
    ],
)
def test_by_hand(iou: list[list[float]], ignored: list[bool], expected: list[int]) -> None:
    assert chosen(iou, ignored) == expected


def test_each_threshold_on_its_own() -> None:
    near = Edges(np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([0.6, 0.9, 0.7]))
    found = match(near, np.zeros(2, dtype=np.int64), np.zeros(2, dtype=bool), np.array([0.5, 0.65, 0.8, 0.95]))
    assert found.tolist() == [[0, 1], [-1, 0], [-1, 0], [-1, -1]]
