"""CircularEval: a question is right only if it is right with its options in every rotated order.

Source: Liu et al., MMBench, ECCV 2024, section 4.1. An N-option question has N rows; row k has the options rotated by k
places and the published ``index`` of the question plus k times a million.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

ROTATION = 1_000_000


class Circular(NamedTuple):
    """Outcome per question, for q questions in ascending order.

    Attributes:
        question: int64 [q]; index of the row that is not rotated.
        correct: bool [q]; every row that is there is right. The score of CircularEval.
        vanilla: bool [q]; the row that is not rotated is right.
        complete: bool [q]; there are as many rows as options, one per rotation. The references judge what is there; a
            question that is not complete should be refused, or its result marked.
    """

    question: npt.NDArray[np.int64]
    correct: npt.NDArray[np.bool_]
    vanilla: npt.NDArray[np.bool_]
    complete: npt.NDArray[np.bool_]


def base_index(index: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Index of the question that each row belongs to: int64 [n]."""
    return index % ROTATION


def circular(correct: npt.NDArray[np.bool_], index: npt.NDArray[np.int64], options: npt.NDArray[np.int64]) -> Circular:
    """Group rows to questions.

    Args:
        correct: bool [n]; the row was answered rightly.
        index: int64 [n]; as published, not negative.
        options: int64 [n]; number of options of the row.

    Raises:
        ValueError: arrays of different lengths, or a negative index.
    """
    if not len(correct) == len(index) == len(options):
        raise ValueError(f"Expected arrays of one length, got {len(correct)}, {len(index)} and {len(options)}.")
    if (index < 0).any():
        raise ValueError(f"Expected no negative index, got {index.min()}.")
    order = np.argsort(index % ROTATION * ROTATION + index // ROTATION, kind="stable")
    question, start, rows = np.unique(base_index(index)[order], return_index=True, return_counts=True)
    rotation = np.arange(len(index)) - np.repeat(start, rows)
    in_place = (index[order] // ROTATION == rotation) & (options[order] == np.repeat(rows, rows))
    right = correct[order]
    return Circular(
        question=question,
        correct=_all(right, start),
        vanilla=right[start] & (index[order][start] < ROTATION),
        complete=_all(in_place, start),
    )


def _all(rows: npt.NDArray[np.bool_], start: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    return np.logical_and.reduceat(rows, start) if len(start) else np.zeros(0, dtype=bool)
