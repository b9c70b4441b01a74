"""From small score maps to the best class of every pixel, a few classes at a time.

Upsampling and averaging over windows work on each class by itself, so classes may be taken in chunks and the result is
exactly that of the full map of classes × height × width, which is never made.

Memory: a chunk of c classes needs c × height × width × 4 bytes twice, once at the size that windows are pasted at and
once at the size of the answer; :func:`chunk_size` keeps each of the two within ``CHUNK_BYTES``. A window of the chunk
and a few numbers per pixel come on top.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fgbench.requests import PredictedMaps
from fgbench.runner.windows import Box, Size

if TYPE_CHECKING:
    from torch import Tensor

CHUNK_BYTES = 16 * 2**20
"""Memory of one float32 map of a chunk of classes. On a CPU 8 to 24 MiB are the fastest; above that, fresh pages are
taken for every map.
"""


def chunk_size(*sizes: Size) -> int:
    """How many classes to take at a time for maps of these sizes: within ``CHUNK_BYTES`` each, but at least one."""
    return max(1, CHUNK_BYTES // (4 * max(width * height for width, height in sizes)))


def upsample(maps: Tensor, size: Size) -> Tensor:
    """Bilinear interpolation in float32, pixel centres at half coordinates (``align_corners=False``), no antialiasing.

    Args:
        maps: float [c, h, w].
        size: (width, height) of the result.

    Returns:
        float32 [c, height, width]; ``maps`` themselves if they have that size.
    """
    import torch

    width, height = size
    maps = maps.float()
    if maps.shape[1:] == (height, width):
        return maps
    with torch.autocast(maps.device.type, enabled=False):
        return torch.nn.functional.interpolate(maps[None], (height, width), mode="bilinear", align_corners=False)[0]


class Mosaic:
    """Puts the windows of a picture together; where they overlap, their mean counts.

    Attributes:
        canvas: (width, height) of the picture.
        boxes: the windows.
    """

    def __init__(self, canvas: Size, boxes: Sequence[Box]) -> None:
        """
        Args:
            canvas: (width, height) of the picture.
            boxes: windows in it; together they cover all of it.
        """
        self.canvas = canvas
        self.boxes = tuple(boxes)
        width, height = canvas
        visits = np.zeros((height, width), dtype=np.float32)
        for left, top, right, bottom in self.boxes:
            if not (0 <= left < right <= width and 0 <= top < bottom <= height):
                raise ValueError(f"Window {(left, top, right, bottom)} is not inside a picture of {width} × {height}.")
            visits[top:bottom, left:right] += 1
        if not visits.all():
            raise ValueError(f"The windows leave {(visits == 0).sum()} of {visits.size} pixels out.")
        self._visits = visits

    def __call__(self, window: Callable[[int], Tensor]) -> Tensor:
        """Mean over the windows.

        Args:
            window: makes the maps of one window, float32 [c, height, width of its box]; called once for each.

        Returns:
            float32 [c, height, width of the canvas].
        """
        import torch

        first = window(0)
        if len(self.boxes) == 1:
            return first
        width, height = self.canvas
        total = first.new_zeros((len(first), height, width))
        for number, (left, top, right, bottom) in enumerate(self.boxes):
            total[:, top:bottom, left:right] += window(number) if number else first
        return total.div_(torch.from_numpy(self._visits).to(total.device, non_blocking=True))


def best_classes(count: int, chunk: int, scores: Callable[[int, int], Tensor]) -> npt.NDArray[np.uint16]:
    """The class with the highest score of every pixel, the lowest index among equal ones.

    Args:
        count: number of classes, at most 65,535.
        chunk: how many of them to ask for at a time.
        scores: float32 [last - first, height, width] of classes ``first`` to ``last`` (exclusive); without NaN.

    Returns:
        uint16 [height, width].
    """
    return np.asarray(best_on_device(count, chunk, scores).cpu().numpy()).astype(np.uint16)


def best_on_device(count: int, chunk: int, scores: Callable[[int, int], Tensor]) -> Tensor:
    """As :func:`best_classes`, without waiting for the device: int16, or int32 if that is too small."""
    import torch

    if not 0 < count <= PredictedMaps.NO_CLASS:
        raise ValueError(f"Expected 1 to {PredictedMaps.NO_CLASS} classes, but got {count}.")
    best, winner = scores(0, min(chunk, count)).max(dim=0)
    for first in range(chunk, count, chunk):
        value, index = scores(first, min(first + chunk, count)).max(dim=0)
        better = value > best
        best = torch.where(better, value, best)
        winner = torch.where(better, index + first, winner)
    return winner.to(torch.int16 if count <= 2**15 else torch.int32)
