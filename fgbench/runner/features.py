"""From stored rows to what a task asked for: normalised embeddings, class prototypes, label maps, region scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fgbench.requests import (
    Answer,
    ClassPrompts,
    ClassScores,
    Embeddings,
    Float32,
    Images,
    LabelMaps,
    PredictedMaps,
    Regions,
    RegionScores,
    Request,
)
from fgbench.runner.label_maps import unpack
from fgbench.runner.passes import Address
from fgbench.runner.reduce_region_scores import class_scores
from fgbench.runner.store import AnswerStore, ChunkStore, FeatureStore

UNDECODED = "image_unreadable"
"""Why a row has no answer although its picture was there."""

FLOOR = 1e-12
"""Smallest norm that vectors are divided by: an all-zero region stays zero instead of becoming NaN."""


class Gathered(NamedTuple):
    """Answers to the requests of one dataset.

    Attributes:
        answers: by request name (:data:`fgbench.requests.Answer`).
        distinct_texts: number of different texts.
        truncated: how many of them were longer than the model's text length.
    """

    answers: dict[str, Any]
    distinct_texts: int = 0
    truncated: int = 0


def gather(
    requests: Mapping[str, Request],
    addresses: Mapping[str, Address],
    store: FeatureStore,
    reduced: AnswerStore,
    dim: int,
) -> Gathered:
    """Read the rows of each request; rows that were never stored belong to pictures that could not be decoded."""
    answers: dict[str, Answer] = {}
    truncated: dict[bytes, bool] = {}
    for name, request in requests.items():
        address = addresses[name]
        if address.classes:
            _, flags = store.read(address.classes)
            truncated.update(zip(address.classes, flags.astype(bool).tolist(), strict=True))
        if isinstance(request, LabelMaps):
            answers[name] = label_maps(address, reduced)
        elif isinstance(request, RegionScores):
            answers[name] = _region_scores(request, address, reduced)
        elif isinstance(request, (Images, Regions)):
            answers[name] = _pictured(address, store, dim)
        else:
            vectors, flags = store.read(address.keys)
            truncated.update(zip(address.keys, flags.astype(bool).tolist(), strict=True))
            if isinstance(request, ClassPrompts):
                answers[name] = Embeddings(prototypes(vectors, len(request.templates), request.classes))
            else:
                answers[name] = Embeddings(normalise(vectors) if len(vectors) else np.zeros((0, dim), np.float32))
    return Gathered(answers, len(truncated), sum(truncated.values()))


def _pictured(address: Address, store: FeatureStore, dim: int) -> Embeddings:
    stored, failed = _stored(address, store)
    vectors, _ = store.read([key for key, have in zip(address.keys, stored, strict=True) if have])
    table = np.zeros((address.size, dim), dtype=np.float32)
    if len(vectors):
        table[address.rows[stored]] = normalise(vectors)
    return Embeddings(table, failed)


def label_maps(address: Address, reduced: AnswerStore) -> PredictedMaps:
    """Stored label maps, read one at a time."""
    stored, failed = _stored(address, reduced)
    keys = {int(row): key for row, key, have in zip(address.rows, address.keys, stored, strict=True) if have}
    return PredictedMaps(lambda row: unpack(reduced.read([keys[row]])[0]), address.size, failed)


def _region_scores(request: RegionScores, address: Address, reduced: AnswerStore) -> ClassScores:
    stored = reduced.has(address.keys)
    kept = [(int(row), key) for row, key, have in zip(address.rows, address.keys, stored, strict=True) if have]
    answers = reduced.read([key for _, key in kept])
    by_image = {row: answer for (row, _), answer in zip(kept, answers, strict=True)}
    return class_scores(request, by_image, dict(address.failed), UNDECODED)


def _stored(address: Address, store: ChunkStore) -> tuple[npt.NDArray[np.bool_], dict[int, str]]:
    """Which keys are stored, and why rows have no answer."""
    stored = store.has(address.keys)
    return stored, {**address.failed, **{int(row): UNDECODED for row in address.rows[~stored]}}


def normalise(vectors: Float32) -> Float32:
    """Divide each row of float32 [n, D] by its L2 norm (at least ``FLOOR``)."""
    norm = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))[:, None]
    result: Float32 = vectors / np.maximum(norm, np.float32(FLOOR))
    return result


def prototypes(vectors: Float32, templates: int, groups: Sequence[int] | None = None) -> Float32:
    """Class prototypes: normalise, mean over the templates of a name, normalise; then likewise over a class's names.

    Args:
        vectors: float32 [names * templates, D], name by name.
        templates: number of templates.
        groups: class of each name, ascending from 0 without gaps; None: every name is a class.

    Returns:
        float32 [classes, D].
    """
    if not len(vectors):
        return vectors
    mean: Float32 = normalise(vectors).reshape(-1, templates, vectors.shape[1]).mean(axis=1, dtype=np.float32)
    names = normalise(mean)
    if groups is None:
        return names
    starts = np.flatnonzero(np.diff(np.asarray(groups), prepend=-1))
    return normalise(np.add.reduceat(names, starts, axis=0))
