from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.metrics.choice import choose
from fgbench.requests import Float32


@dataclass(frozen=True)
class Problem:
    queries: Float32
    candidates: Float32
    lists: list[list[int]]

    @property
    def index(self) -> npt.NDArray[np.int64]:
        """The lists as a table, filled with -1."""
        table = np.full((len(self.lists), max(map(len, self.lists))), -1, dtype=np.int64)
        for row, entries in enumerate(self.lists):
            table[row, : len(entries)] = entries
        return table


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    dim = draw(st.integers(1, 3))
    vector = st.lists(st.integers(-2, 2), min_size=dim, max_size=dim)
    candidates = draw(st.lists(vector, min_size=1, max_size=6))
    entries = st.lists(st.integers(0, len(candidates) - 1), min_size=2, max_size=5)
    lists = draw(st.lists(entries, min_size=1, max_size=6))
    queries = [draw(vector) for _ in lists]
    return Problem(np.array(queries, dtype=np.float32), np.array(candidates, dtype=np.float32), lists)


@given(problems(), st.integers(1, 50))
def test_it_agrees_with_a_loop_over_the_candidates(problem: Problem, block_values: int) -> None:
    found = choose(problem.queries, problem.candidates, problem.index, block_values=block_values)
    for row, entries in enumerate(problem.lists):
        right, *others = (float(problem.queries[row] @ problem.candidates[entry]) for entry in entries)
        assert found.margin[row] == right - max(others)
        assert found.correct[row] == (right >= max(others))
        assert found.tied[row] == (right == max(others))


def test_the_right_text_among_the_wrong_ones_is_a_tie_whatever_rounding_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal entries of the table are one candidate: nobody may beat himself by a last bit."""
    real = np.einsum

    def rounding_by_place(*arguments: Any) -> Any:
        score = real(*arguments)
        return score + np.arange(score.shape[1], dtype=np.float32) * 1e-6

    monkeypatch.setattr(np, "einsum", rounding_by_place)
    candidates = np.array([[0.5, 0.5], [-1.0, 0.0], [0.0, -1.0]], dtype=np.float32)
    found = choose(np.ones((1, 2), dtype=np.float32), candidates, np.array([[0, 1, 2, 0]]))
    assert (found.correct.tolist(), found.tied.tolist(), found.margin.tolist()) == ([True], [True], [0.0])


def test_a_better_wrong_text_beats_a_repeated_right_one() -> None:
    found = choose(np.ones((1, 1), dtype=np.float32), np.array([[1], [2]], dtype=np.float32), np.array([[0, 0, 1]]))
    assert (found.correct.tolist(), found.tied.tolist(), found.margin.tolist()) == ([False], [False], [-1.0])


def test_filling_is_no_candidate_even_if_all_are_worse_than_zero() -> None:
    candidates = np.array([[-1], [-2], [5]], dtype=np.float32)
    found = choose(np.ones((1, 1), dtype=np.float32), candidates, np.array([[0, 1, -1, -1]]))
    assert found.correct.tolist() == [True]
    assert found.margin.tolist() == [1.0]


@pytest.mark.parametrize("index", [[[-1, 0]], [[0, -1]], [[0]], [[0, 1], [1, -1]]])
def test_an_item_without_right_or_wrong_text_is_refused(index: list[list[int]]) -> None:
    vectors = np.ones((2, 3), dtype=np.float32)
    with pytest.raises(ValueError, match="a right candidate and at least one other"):
        choose(vectors[: len(index)], vectors, np.array(index))


def test_no_items_give_no_outcomes() -> None:
    vectors = np.ones((2, 3), dtype=np.float32)
    found = choose(vectors[:0], vectors, np.zeros((0, 2), dtype=np.int64))
    assert found.correct.shape == found.tied.shape == found.margin.shape == (0,)
