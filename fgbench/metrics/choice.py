"""One of several texts: accuracy of picking the right candidate for a region."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fgbench.requests import Float32

_BLOCK_VALUES = 1 << 24


class Choices(NamedTuple):
    """Outcome per item.

    Attributes:
        correct: bool [n]; no candidate is better than the right one. A tie counts as correct.
        tied: bool [n]; correct, and a wrong candidate is exactly as good.
        margin: float32 [n]; similarity of the right candidate minus that of the best other one.
    """

    correct: npt.NDArray[np.bool_]
    tied: npt.NDArray[np.bool_]
    margin: Float32


def choose(
    queries: Float32, candidates: Float32, index: npt.NDArray[np.int64], *, block_values: int = _BLOCK_VALUES
) -> Choices:
    """Compare each query with its own list of candidates; the first of the list is the right one.

    Tie rule of the official FG-OVD script: correct iff ``score[0] >= max(score)``. Two equal entries of ``index``
    are the same candidate and therefore exactly equally similar, whatever rounding does.

    Args:
        queries: float32 [n, D].
        candidates: float32 [m, D].
        index: int64 [n, k]; rows of ``candidates``, the right one first; -1 fills lists shorter than k.
        block_values: number of gathered values held at a time.

    Returns:
        One outcome per query.

    Raises:
        ValueError: a list has no right candidate or no other one.
    """
    if len(index) and ((index[:, 0] < 0).any() or index.shape[1] < 2 or (index[:, 1] < 0).any()):
        raise ValueError("Expected every item to have a right candidate and at least one other.")
    margin = np.empty(len(index), dtype=np.float32)
    step = max(1, block_values // max(1, index.shape[1] * queries.shape[1]))
    for start in range(0, len(index), step):
        rows = index[start : start + step]
        score = np.einsum("nd,nkd->nk", queries[start : start + step], candidates[rows])
        score = np.where(rows == rows[:, :1], score[:, :1], score)
        score[rows < 0] = -np.inf
        margin[start : start + step] = score[:, 0] - score[:, 1:].max(axis=1)
    return Choices(correct=margin >= 0, tied=margin == 0, margin=margin)
