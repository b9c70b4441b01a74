"""Embeddings that mean nothing."""

from __future__ import annotations

import numpy as np

from fgbench.requests import ClassPrompts, Embeddings, Images, Regions, Request, Texts


def random_embeddings(request: Request, generator: np.random.Generator, dim: int = 3) -> Embeddings:
    """One random unit vector per row; few dimensions, so that some answers are right."""
    if isinstance(request, Images):
        number = len(request.images)
    elif isinstance(request, Regions):
        number = len(request.boxes)
    elif isinstance(request, Texts):
        number = len(request.texts)
    else:
        assert isinstance(request, ClassPrompts)
        number = len(request.names)
    vectors = generator.normal(size=(number, dim)).astype(np.float32)
    return Embeddings(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
