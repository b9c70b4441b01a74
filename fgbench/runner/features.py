"""From stored rows to what a task asked for: normalised embeddings and class prototypes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from fgbench.requests import ClassPrompts, Embeddings, Float32, Images, Regions, Request
from fgbench.runner.jobs import Address
from fgbench.runner.store import FeatureStore

FLOOR = 1e-12
"""Smallest norm that vectors are divided by: an all-zero region stays zero instead of becoming NaN."""


class Gathered(NamedTuple):
    """Answers to the requests of one dataset.

    Attributes:
        embeddings: by request name.
        distinct_texts: number of different texts.
        truncated: how many of them were longer than the model's text length.
    """

    embeddings: dict[str, Embeddings]
    distinct_texts: int
    truncated: int


def gather(
    requests: Mapping[str, Request], addresses: Mapping[str, Address], store: FeatureStore, dim: int
) -> Gathered:
    """Read the rows of each request; rows that were never stored belong to pictures that could not be decoded."""
    embeddings: dict[str, Embeddings] = {}
    truncated: dict[bytes, bool] = {}
    for name, request in requests.items():
        address = addresses[name]
        is_text = not isinstance(request, (Images, Regions))
        stored = np.ones(len(address.keys), dtype=bool) if is_text else store.has(address.keys)
        vectors, flags = store.read([key for key, have in zip(address.keys, stored, strict=True) if have])
        if is_text:
            truncated.update(zip(address.keys, flags.astype(bool).tolist(), strict=True))
        if isinstance(request, ClassPrompts):
            embeddings[name] = Embeddings(prototypes(vectors, len(request.templates)))
            continue
        table = np.zeros((address.size, dim), dtype=np.float32)
        if len(vectors):
            table[address.rows[stored]] = normalise(vectors)
        undecoded = {int(row): "image_unreadable" for row in address.rows[~stored]}
        embeddings[name] = Embeddings(table, {**address.failed, **undecoded})
    return Gathered(embeddings, len(truncated), sum(truncated.values()))


def normalise(vectors: Float32) -> Float32:
    """Divide each row of float32 [n, D] by its L2 norm (at least ``FLOOR``)."""
    norm = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))[:, None]
    result: Float32 = vectors / np.maximum(norm, np.float32(FLOOR))
    return result


def prototypes(vectors: Float32, templates: int) -> Float32:
    """Class prototypes: normalise, mean over the templates of a class, normalise.

    Args:
        vectors: float32 [classes * templates, D], class by class.
        templates: number of templates.

    Returns:
        float32 [classes, D].
    """
    if not len(vectors):
        return vectors
    mean: Float32 = normalise(vectors).reshape(-1, templates, vectors.shape[1]).mean(axis=1, dtype=np.float32)
    return normalise(mean)
