"""Ranks against a plain sort, and against scikit-learn where there are no ties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import top_k_accuracy_score

from fgbench.metrics.ranks import best_per_query, recall_at, target_ranks
from fgbench.requests import Float32


@dataclass(frozen=True)
class Problem:
    """Vectors of small integers: their dot products are exact, so that equal means equal."""

    queries: Float32
    gallery: Float32
    query_index: npt.NDArray[np.int64]
    target_index: npt.NDArray[np.int64]


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Few different values: ties, negative similarities, double gallery rows and zero vectors abound."""
    dim = draw(st.integers(1, 3))
    vector = st.lists(st.integers(-2, 2), min_size=dim, max_size=dim)
    queries = draw(st.lists(vector, min_size=1, max_size=6))
    gallery = draw(st.lists(vector, min_size=1, max_size=9))
    targets = st.lists(st.integers(0, len(gallery) - 1), max_size=4)
    pairs = [(query, target) for query in range(len(queries)) for target in draw(targets)]
    return Problem(
        np.array(queries, dtype=np.float32),
        np.array(gallery, dtype=np.float32),
        np.array([query for query, _ in pairs], dtype=np.int64),
        np.array([target for _, target in pairs], dtype=np.int64),
    )


def by_sorting(problem: Problem) -> list[tuple[int, bool]]:
    """Rank and tie of every pair: the gallery sorted by falling similarity, then by index."""
    found = []
    for query, target in zip(problem.query_index.tolist(), problem.target_index.tolist(), strict=True):
        similarity = [sum(a * b for a, b in zip(problem.queries[query], row, strict=True)) for row in problem.gallery]
        order = sorted(range(len(similarity)), key=lambda item: (-similarity[item], item))
        found.append((order.index(target), similarity.count(similarity[target]) > 1))
    return found


@given(problems())
def test_ranks_are_places_in_the_sorted_gallery(problem: Problem) -> None:
    rank, tied = target_ranks(problem.queries, problem.gallery, problem.query_index, problem.target_index)
    assert list(zip(rank.tolist(), tied.tolist(), strict=True)) == by_sorting(problem)


@given(problems(), st.integers(1, 60))
def test_the_block_size_does_not_matter(problem: Problem, block_values: int) -> None:
    arguments = (problem.queries, problem.gallery, problem.query_index, problem.target_index)
    whole, parts = target_ranks(*arguments), target_ranks(*arguments, block_values=block_values)
    assert whole.rank.tolist() == parts.rank.tolist()
    assert whole.tied.tolist() == parts.tied.tolist()


@given(problems())
def test_the_best_rank_of_a_query_is_the_lowest_of_its_targets(problem: Problem) -> None:
    rank = target_ranks(problem.queries, problem.gallery, problem.query_index, problem.target_index).rank
    pairs = list(zip(problem.query_index.tolist(), rank.tolist(), strict=True))
    expected = [min(rank for query, rank in pairs if query == wanted) for wanted in dict.fromkeys(q for q, _ in pairs)]
    assert best_per_query(rank, problem.query_index).tolist() == expected


def unit(count: int, dim: int, seed: int) -> Float32:
    vectors = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


@pytest.mark.parametrize("block_values", [1, 700, 1 << 24])
@pytest.mark.parametrize("k", [1, 5, 10])
def test_top_k_accuracy_is_that_of_scikit_learn(k: int, block_values: int) -> None:
    queries, classes = unit(200, 16, 1), unit(37, 16, 2)
    label = np.random.default_rng(3).integers(0, 37, 200)
    rank = target_ranks(queries, classes, np.arange(200), label, block_values=block_values).rank
    expected = top_k_accuracy_score(label, queries.astype(np.float64) @ classes.T, k=k, labels=range(37))
    assert recall_at(rank, k) == pytest.approx(expected, abs=0)


@pytest.mark.parametrize("dim", [7, 64, 768])
@pytest.mark.parametrize("count", [3, 16, 37])
def test_double_gallery_rows_tie_whatever_rounding_does(dim: int, count: int) -> None:
    """A matrix product may give equal columns different last bits; the tie rule must not depend on that."""
    queries, gallery, every = unit(count, dim, dim), unit(count, dim, count), np.arange(count)
    similarity = queries.astype(np.float64) @ gallery.T.astype(np.float64)
    better = (similarity > similarity.diagonal()[:, None]).sum(axis=1)
    doubled = np.concatenate([gallery, gallery])
    for target, own_copies_before in ((every, 0), (every + count, 1)):
        rank, tied = target_ranks(queries, doubled, every, target)
        assert tied.all()
        assert rank.tolist() == (2 * better + own_copies_before).tolist()


def test_zeros_of_either_sign_make_equal_rows() -> None:
    gallery = np.array([[0.0, 1.0], [-0.0, 1.0]], dtype=np.float32)
    rank, tied = target_ranks(unit(1, 2, 0), gallery, *indices([0, 0], [0, 1]))
    assert rank.tolist() == [0, 1]
    assert tied.all()


def test_a_hit_below_zero_is_a_hit() -> None:
    rank, tied = target_ranks(
        np.array([[1.0]], dtype=np.float32), np.array([[-3.0], [-1.0], [-2.0]], dtype=np.float32), *indices([0], [1])
    )
    assert (rank.tolist(), tied.tolist()) == ([0], [False])


def test_if_all_are_equal_the_order_of_the_gallery_decides() -> None:
    same = np.ones((5, 2), dtype=np.float32)
    rank, tied = target_ranks(same[:1], same, *indices([0, 0, 0], [0, 2, 4]))
    assert rank.tolist() == [0, 2, 4]
    assert tied.all()


def test_a_zero_query_ties_with_everything() -> None:
    assert target_ranks(np.zeros((1, 4), dtype=np.float32), unit(3, 4, 0), *indices([0], [2])).rank.tolist() == [2]


def test_one_query_and_one_item_are_enough() -> None:
    rank, tied = target_ranks(unit(1, 4, 0), unit(1, 4, 1), *indices([0], [0]))
    assert (rank.tolist(), tied.tolist()) == ([0], [False])


def test_without_pairs_there_are_no_ranks() -> None:
    rank, tied = target_ranks(unit(3, 4, 0), unit(2, 4, 1), *indices([], []))
    assert rank.shape == tied.shape == (0,)
    assert best_per_query(rank, np.zeros(0, dtype=np.int64)).shape == (0,)
    assert np.isnan(recall_at(rank, 1))


def test_no_similarity_matrix_is_held() -> None:
    """70,000 × 30,000 similarities would take 8.4 GB."""
    queries, gallery = np.zeros((70_000, 1), dtype=np.float32), np.zeros((30_000, 1), dtype=np.float32)
    rank = target_ranks(queries, gallery, *indices([5, 69_999], [7, 29_999])).rank
    assert rank.tolist() == [7, 29_999]


@pytest.mark.parametrize(
    ("query_index", "target_index", "message"),
    [
        ([0, 1], [0], "one target per pair"),
        ([2], [0], "`query_index` to lie in"),
        ([-1], [0], "`query_index` to lie in"),
        ([0], [3], "`target_index` to lie in"),
        ([0], [-1], "`target_index` to lie in"),
        ([1, 0], [0, 0], "ascending"),
    ],
)
def test_wrong_indices_are_refused(query_index: list[int], target_index: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        target_ranks(unit(2, 4, 0), unit(3, 4, 1), *indices(query_index, target_index))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("broken", ["queries", "gallery"])
def test_vectors_that_are_not_finite_are_refused(value: float, broken: str) -> None:
    vectors = {"queries": unit(2, 4, 0), "gallery": unit(3, 4, 1)}
    vectors[broken][1, 2] = value
    with pytest.raises(ValueError, match=f"`{broken}` to be finite"):
        target_ranks(vectors["queries"], vectors["gallery"], *indices([0], [0]))


def test_recall_counts_the_first_k_places() -> None:
    rank = np.array([0, 1, 4, 5, 100])
    assert [recall_at(rank, k) for k in (1, 5, 6, 101)] == [0.2, 0.6, 0.8, 1.0]


def indices(query_index: list[int], target_index: list[int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return np.array(query_index, dtype=np.int64), np.array(target_index, dtype=np.int64)
