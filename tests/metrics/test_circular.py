from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.metrics.circular import ROTATION, base_index, circular

rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(1, 4), st.booleans()), max_size=14)


@given(rows)
def test_it_agrees_with_a_loop_over_the_questions(drawn: list[tuple[int, int, int, bool]]) -> None:
    index = np.array([base + rotation * ROTATION for base, rotation, _, _ in drawn], dtype=np.int64)
    options = np.array([count for _, _, count, _ in drawn], dtype=np.int64)
    correct = np.array([right for *_, right in drawn], dtype=bool)
    found = circular(correct, index, options)
    assert found.question.tolist() == sorted({base for base, *_ in drawn})
    for place, question in enumerate(found.question):
        mine = [row for row in drawn if row[0] == question]
        rotations = sorted(row[1] for row in mine)
        assert found.correct[place] == all(row[3] for row in mine)
        assert found.complete[place] == all(rotations == list(range(row[2])) for row in mine)
        if found.complete[place]:
            assert found.vanilla[place] == next(row[3] for row in mine if row[1] == 0)


def test_a_question_without_its_first_row_is_neither_vanilla_right_nor_complete() -> None:
    found = circular(np.array([True]), np.array([ROTATION + 7]), np.array([1]))
    assert found.question.tolist() == [7]
    assert found.correct.tolist() == [True]
    assert found.vanilla.tolist() == [False]
    assert found.complete.tolist() == [False]


def test_every_row_knows_its_question() -> None:
    assert base_index(np.array([7, 1_000_007, 3_000_008])).tolist() == [7, 7, 8]


def test_a_negative_index_and_arrays_of_different_lengths_are_refused() -> None:
    one, two = np.ones(1, dtype=np.int64), np.ones(2, dtype=np.int64)
    with pytest.raises(ValueError, match="no negative index, got -1"):
        circular(one > 0, -one, one)
    with pytest.raises(ValueError, match="one length, got 1, 2 and 2"):
        circular(one > 0, two, two)
