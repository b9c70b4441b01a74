"""Interpolated average precision against a plain loop over ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.metrics.average_precision import RECALL_POINTS, _needed, interpolated

from .lvis_loop import average_precision

VERDICTS = ("right", "wrong", "ignored")


def curves(verdicts: list[list[str]], objects: list[int]) -> Any:
    """AP and recall of each category, at one threshold."""
    flat = np.array([verdict for each in verdicts for verdict in each], dtype="U7")
    category = np.repeat(np.arange(len(verdicts)), [len(each) for each in verdicts])
    found = interpolated(flat[None] == "right", flat[None] == "wrong", category, np.array(objects, dtype=np.int64))
    return found.precision[0].tolist(), found.recall[0].tolist()


@pytest.mark.parametrize(
    ("verdicts", "objects", "precision", "recall"),
    [
        (["right"], 1, 1.0, 1.0),
        (["wrong"], 1, 0.0, 0.0),
        ([], 3, 0.0, 0.0),
        (["wrong", "right"], 1, 0.5, 1.0),
        (["ignored", "right", "ignored"], 1, 1.0, 1.0),
        (["right", "wrong", "wrong", "right"], 2, (51 * 1.0 + 50 * 0.5) / 101, 1.0),
        (["right", "wrong"], 2, 51 / 101, 0.5),
        (["wrong", "right", "right"], 3, (67 * 2 / 3) / 101, 2 / 3),
    ],
)
def test_by_hand(verdicts: list[str], objects: int, precision: float, recall: float) -> None:
    assert curves([verdicts], [objects]) == ([pytest.approx(precision)], [pytest.approx(recall)])


def test_without_objects_there_is_no_number() -> None:
    precision, recall = curves([["wrong"], ["right"]], [0, 1])
    assert np.isnan(precision[0])
    assert np.isnan(recall[0])
    assert (precision[1], recall[1]) == (pytest.approx(1.0), 1.0)


@given(st.lists(st.tuples(st.lists(st.sampled_from(VERDICTS), max_size=12), st.integers(0, 3)), min_size=1, max_size=4))
def test_several_categories_are_what_each_is_alone(rows: list[tuple[list[str], int]]) -> None:
    verdicts = [row[0] for row in rows]
    objects = [each.count("right") + more for each, more in rows]
    precision, recall = curves(verdicts, objects)
    for number, (each, count) in enumerate(zip(verdicts, objects, strict=True)):
        if count:
            falling = [(-float(rank), verdict) for rank, verdict in enumerate(each)]
            expected = average_precision(falling, count)
            assert (precision[number], recall[number]) == (pytest.approx(expected[0], abs=1e-12), expected[1])


def test_the_recall_points_are_reached_where_a_search_would_find_them() -> None:
    for objects in (1, 2, 3, 7, 49, 100, 101, 300, 12_345):
        recall = np.arange(1, objects + 1) / objects
        expected = np.searchsorted(recall, RECALL_POINTS, side="left") + 1
        np.testing.assert_array_equal(_needed(np.array([objects]))[0], expected)
