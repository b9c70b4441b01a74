"""The best rows of each group, and groups in blocks."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fgbench.metrics.groups import spans, top_per_group

from . import lvis_loop


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.1, 0.2, 0.3]))), st.integers(1, 5), st.integers(1, 9))
def test_the_best_of_each_group_are_the_first_of_a_stable_sort(
    rows: list[tuple[int, float]], budget: int, block: int
) -> None:
    group, score = np.array([row[0] for row in rows], dtype=int), np.array([row[1] for row in rows], dtype=float)
    expected = lvis_loop.best([{"group": g, "score": s, "row": n} for n, (g, s) in enumerate(rows)], "group", budget)
    found = np.flatnonzero(top_per_group(group, score, budget, block=block)).tolist()
    assert found == [row["row"] for row in expected]


def test_many_groups_each_with_one_too_many() -> None:
    group = np.repeat(np.arange(1000), 3)
    assert top_per_group(group, np.zeros(3000), 3).all()
    assert top_per_group(group, np.zeros(3000), 2).reshape(-1, 3).tolist() == [[True, True, False]] * 1000


@given(st.lists(st.integers(0, 6)), st.integers(1, 10))
def test_spans_cover_every_group_once_and_are_bounded(count: list[int], block: int) -> None:
    found = list(spans(np.array(count, dtype=np.int64), block))
    assert [group for span in found for group in range(span.start, span.stop)] == list(range(len(count)))
    assert all(sum(count[span]) <= block or span.stop - span.start == 1 for span in found)
    for span, following in itertools.pairwise(found):
        assert sum(count[span]) + count[following.start] > block, "a span takes as many groups as it may"
