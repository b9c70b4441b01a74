"""Second implementations, slow and plain, that share nothing with the ones they check."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]


def average_over_box(dense: Float64, box: Box, size: tuple[int, int]) -> Float64:
    """RoIAlign of Mask R-CNN, one output cell, written from its definition.

    The map of rows × columns × D lies over the picture, cell centres at whole coordinates after a shift by half a cell
    (``aligned``). One sample per started cell of the box in each direction, bilinear, averaged; a sample more than one
    cell outside the map is zero, nearer ones take the value at the border.
    """
    rows, columns, dim = dense.shape
    x, y, w, h = box
    left, top = x / size[0] * columns - 0.5, y / size[1] * rows - 0.5
    width, height = w / size[0] * columns, h / size[1] * rows
    across, down = math.ceil(width), math.ceil(height)
    total = np.zeros(dim)
    for j in range(down):
        for i in range(across):
            total += _bilinear(dense, top + (j + 0.5) * height / down, left + (i + 0.5) * width / across)
    return np.asarray(total / (across * down))


def _bilinear(dense: Float64, y: float, x: float) -> Float64:
    rows, columns, dim = dense.shape
    if not (-1 <= y <= rows and -1 <= x <= columns):
        return np.zeros(dim)
    y, x = min(max(y, 0.0), rows - 1.0), min(max(x, 0.0), columns - 1.0)
    top, left = math.floor(y), math.floor(x)
    bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
    fy, fx = y - top, x - left
    upper = dense[top, left] * (1 - fx) + dense[top, right] * fx
    lower = dense[bottom, left] * (1 - fx) + dense[bottom, right] * fx
    return np.asarray(upper * (1 - fy) + lower * fy)


def place_in_order(similarity: Float64, target: int) -> int:
    """How many come before the target: those more similar, and the equally similar ones with a lower index."""
    order = sorted(range(len(similarity)), key=lambda item: (-similarity[item], item))
    return order.index(target)
