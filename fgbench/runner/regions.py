"""From a box to an embedding: RoIAlign on the dense map, or the global embedding of a crop.

Source: the official FG-CLIP 2 box scripts (docs/protocols.md, "Region modes").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from fgbench.data.images import MAX_PIXELS

if TYPE_CHECKING:
    from torch import Tensor

EMPTY_CROP = (224, 224)
"""Size of the black picture that stands for a crop without pixels (a box thinner than one pixel); official rule."""

MAX_SIDE = 65_500
MAX_COVER = 1000
"""Boxes with a longer side, of more pixels than any picture may have, or so many times as large as their picture are
refused: no region of a picture, but an attack on the memory (as a crop) or on the time (as samples of a RoI).
"""


def box_problem(box: npt.NDArray[np.float64], width: int, height: int) -> str | None:
    """Why a box [x, y, w, h] in pixels cannot be evaluated on a picture of this size, or None.

    Boxes that reach over the edge, or are thinner than a pixel, are fine and are used as they are.
    """
    x, y, w, h = box
    if not np.isfinite(box).all() or w <= 0 or h <= 0 or max(w, h) > MAX_SIDE:
        return "degenerate_box"
    if w * h > min(MAX_PIXELS, MAX_COVER * width * height):
        return "degenerate_box"
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        return "box_outside_image"
    return None


def pool(tokens: Tensor, grid: tuple[int, int], size: tuple[int, int], boxes: npt.NDArray[np.float64]) -> Tensor:
    """RoIAlign with one output cell per box: scale 1, adaptive sampling, aligned.

    Args:
        tokens: float [N, D]; the first rows * columns tokens, row by row, cover the whole picture.
        grid: (rows, columns).
        size: (width, height) of the original picture in pixels.
        boxes: float64 [m, 4]; x, y, w, h in pixels; not rounded, not clipped.

    Returns:
        float32 [m, D], not normalised.
    """
    import torch
    from torchvision.ops import roi_align

    rows, columns = grid
    scale = (columns, rows)
    corner = boxes[:, :2] / size * scale
    opposite = (boxes[:, :2] + boxes[:, 2:]) / size * scale
    corners = torch.from_numpy(np.concatenate([np.zeros((len(boxes), 1)), corner, opposite], axis=1).astype(np.float32))
    dense = tokens[: rows * columns].float().T.reshape(1, -1, rows, columns).contiguous()
    pooled: Tensor = roi_align(
        dense,
        corners.to(dense.device, non_blocking=True),
        output_size=1,
        spatial_scale=1.0,
        sampling_ratio=-1,
        aligned=True,
    )
    return pooled.flatten(1)


def crop_box(box: npt.NDArray[np.float64]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a crop: x, y, w, h are cut to integers first."""
    x, y, w, h = (int(value) for value in box)
    return x, y, x + w, y + h


def crop_size(crop: tuple[int, int, int, int]) -> tuple[int, int]:
    """(width, height) of what :func:`cut` returns."""
    width, height = crop[2] - crop[0], crop[3] - crop[1]
    return (width, height) if width > 0 and height > 0 else EMPTY_CROP


def cut(image: Image.Image, crop: tuple[int, int, int, int]) -> Image.Image:
    """Cut a crop out of a picture; black where it reaches over the edge, all black if it has no pixels."""
    if crop_size(crop) != (crop[2] - crop[0], crop[3] - crop[1]):
        return Image.new("RGB", EMPTY_CROP)
    return image.crop(crop)
