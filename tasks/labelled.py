"""Scoring of everything that names a class: boxes and whole pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fgbench.metrics.ranks import recall_at, target_ranks
from fgbench.metrics.sample import Sample
from fgbench.requests import ClassPrompts, Float32
from fgbench.spec import MetricKey, TextProtocol
from fgbench.task import Score

from .resources import lines

Mask = npt.NDArray[np.bool_]


class LabelScores(NamedTuple):
    """Result of :func:`score_labels`.

    Attributes:
        scores: top-k accuracy per subset.
        rank: int64 [n]; rank of the true class of each item, 0 = first.
        ties: items whose true class ties with another one.
    """

    scores: list[Score]
    rank: npt.NDArray[np.int64]
    ties: int


def score_labels(
    vectors: Float32,
    prototypes: Float32,
    label: npt.NDArray[np.int64],
    subsets: Mapping[str, Mask],
    metrics: Sequence[str],
) -> LabelScores:
    """Top-k accuracy; among equal similarities the lower class index comes first.

    Args:
        vectors: float32 [n, D], normalised.
        prototypes: float32 [classes, D], normalised.
        label: int64 [n]; true class.
        subsets: bool [n] by subset name; empty subsets are left out.
        metrics: names ``top<k>``.
    """
    ranks = target_ranks(vectors, prototypes, np.arange(len(vectors)), label)
    scores = [
        Score(subset, metric, recall_at(ranks.rank[mask], int(metric.removeprefix("top"))), int(mask.sum()))
        for subset, mask in subsets.items()
        if mask.any()
        for metric in metrics
    ]
    return LabelScores(scores, ranks.rank, int(ranks.tied.sum()))


def label_samples(
    ids: npt.NDArray[Any],
    rank: npt.NDArray[np.int64],
    image: npt.NDArray[np.int64] | None,
    subsets: Mapping[str, Mask],
    metrics: Sequence[str],
) -> dict[MetricKey, Sample]:
    """The items behind the scores of :func:`score_labels`; those on one picture stay together.

    Args:
        ids: [n].
        rank: int64 [n].
        image: int64 [n]; the picture of each item, None if each has its own.
        subsets: bool [n] by subset name; empty subsets are left out.
        metrics: names ``top<k>``.
    """
    return {
        MetricKey(subset, metric): Sample.mean(
            ids[mask],
            rank[mask] < int(metric.removeprefix("top")),
            "image",
            image[mask] if image is not None else None,
        )
        for subset, mask in subsets.items()
        if mask.any()
        for metric in metrics
    }


def class_prompts(names: Sequence[str], text: TextProtocol) -> ClassPrompts:
    """One prototype per class, with the protocol's templates or the bare name."""
    return ClassPrompts(names, lines(text.templates) if text.templates else ("{}",), text.kind, text.lowercase)
