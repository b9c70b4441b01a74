"""What a dual encoder returned, held against what it declared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fgbench.adapter import AdapterInfo, ImageFeatures
from fgbench.errors import ModelError
from fgbench.requests import Float32

if TYPE_CHECKING:
    from torch import Tensor


def check_image_features(info: AdapterInfo, features: ImageFeatures, count: int, dense: bool) -> list[tuple[int, int]]:
    """Refuse image features of another shape than declared.

    Args:
        info: of the adapter.
        features: of ``count`` pictures.
        count: how many were asked for.
        dense: was the dense map asked for?

    Returns:
        The token grid of each picture (rows, columns); empty unless ``dense``.

    Raises:
        ModelError: a shape that differs, or no dense map.
    """
    if tuple(features.pooled.shape) != (count, info.dim):
        raise ModelError(
            f"{info.name}: pooled features are {list(features.pooled.shape)}, expected [{count}, {info.dim}]."
        )
    if not dense:
        return []
    if features.tokens is None or features.grid is None:
        raise ModelError(f"{info.name} declares dense features ({info.dense}) but returned none.")
    if features.tokens.dim() != 3 or features.tokens.shape[::2] != (count, info.dim):
        raise ModelError(
            f"{info.name}: dense features are {list(features.tokens.shape)}, expected [{count}, N, {info.dim}]."
        )
    if tuple(features.grid.shape) != (count, 2):
        raise ModelError(f"{info.name}: token grids are {list(features.grid.shape)}, expected [{count}, 2].")
    # No wait for the device if the adapter leaves grids on the CPU, else one for the whole batch.
    grids = [(int(rows), int(columns)) for rows, columns in features.grid.tolist()]
    tokens = features.tokens.shape[1]
    for rows, columns in grids:
        if rows < 1 or columns < 1 or rows * columns > tokens:
            raise ModelError(f"{info.name}: a token grid of {rows} × {columns} does not fit {tokens} tokens.")
    return grids


def check_text_features(info: AdapterInfo, vectors: Tensor, truncated: Sequence[bool], count: int) -> None:
    """Refuse text features of another shape than declared.

    Raises:
        ModelError: not [count, D], or not one flag per text.
    """
    if tuple(vectors.shape) != (count, info.dim) or len(truncated) != count:
        raise ModelError(
            f"{info.name}: encode_texts returned {list(vectors.shape)} and {len(truncated)} flags for {count} texts; "
            f"expected [{count}, {info.dim}] and {count} flags."
        )


def to_host(vectors: list[Tensor], name: str, origin: Callable[[int], str], hint: str = "") -> Float32:
    """Bring the rows of a chunk to the CPU in one transfer.

    Args:
        vectors: [rows, D] each.
        name: of the model.
        origin: what a row was made of, for the message.
        hint: what to try, for the message.

    Returns:
        float32 [n, D].

    Raises:
        ModelError: NaN or infinity.
    """
    import torch

    rows: Float32 = torch.cat(vectors).cpu().numpy()
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise ModelError(
            f"{name} returned NaN or infinity for {len(bad)} of {len(rows)} inputs, the first is "
            f"{origin(int(bad[0]))}. The weights may be damaged.{hint}"
        )
    return rows
