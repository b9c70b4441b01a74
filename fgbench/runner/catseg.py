"""CAT-Seg's way from a picture to a label map, around a network that is given.

Four overlapping crops of the picture squashed to a square, and the whole picture squashed to the size of a crop, pass
the network. The sigmoids of its logits are averaged over the crops, then half and half with those of the whole picture;
the highest wins at the size of the answer, the lowest index among equal ones. Everything after the network works on
each class by itself and is done a few classes at a time.

Source: Cho et al., "CAT-Seg: Cost Aggregation for Open-Vocabulary Semantic Segmentation" (CVPR 2024), the
sliding-window test of its published code, used there for all six datasets: docs/protocols.md, "Segmentation".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fgbench.errors import ModelError
from fgbench.runner.pixel_scores import Mosaic, best_classes, chunk_size, upsample
from fgbench.runner.windows import Box, Size, scaled

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

SHORT_SIDE = 640
LONGEST = 2560
"""Sides of the picture before it is squashed, in pixels: short one, and long one at most."""

SQUARE: Size = (640, 640)
"""(width, height) of the squashed picture that crops are cut from."""

CROP: Size = (384, 384)
CROPS: tuple[Box, ...] = tuple((left, top, left + CROP[0], top + CROP[1]) for top in (0, 256) for left in (0, 256))
"""The crops; their stride is int(384 · (1 - 0.333)) = 256 pixels."""


def segment(
    image: Image, size: Size, logits: Callable[[Tensor], Tensor], chunk: int | None = None
) -> npt.NDArray[np.uint16]:
    """The class of every pixel.

    Args:
        image: RGB.
        size: (width, height) of the answer.
        logits: the network, from :func:`views` to what :func:`fuse` takes. It moves the views to its device, subtracts
            mean and divides by standard deviation, and resizes them to its backbone's input (384 for ViT-B/16, 336 for
            ViT-L/14; bilinear) itself.
        chunk: as in :func:`fuse`.

    Returns:
        uint16 [height, width].

    Raises:
        ModelError: logits of another shape, NaN or infinity.
    """
    return fuse(logits(views(image)), size, chunk)


def views(image: Image) -> Tensor:
    """What passes the network: the crops, row by row, then the whole picture.

    The picture is first resized to a short side of 640 pixels (Pillow's bilinear on 8 bits, with its antialiasing).
    That is interpolated to the square and to the size of a crop (bilinear on floats, without antialiasing).

    Args:
        image: RGB.

    Returns:
        float32 [5, 3, 384, 384], from 0 to 255.
    """
    import torch
    from PIL.Image import Resampling

    resized = image.resize(scaled(image.size, SHORT_SIDE, LONGEST), Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(resized, dtype=np.float32)).permute(2, 0, 1)
    square = upsample(pixels, SQUARE)
    crops = [square[:, top:bottom, left:right] for left, top, right, bottom in CROPS]
    return torch.stack([*crops, upsample(pixels, CROP)])


def fuse(logits: Tensor, size: Size, chunk: int | None = None) -> npt.NDArray[np.uint16]:
    """From logits to the class of every pixel.

    Args:
        logits: float [5, K, h, w] of the :func:`views`, of any h and w (96 each in CAT-Seg); at most 65,535 classes.
        size: (width, height) of the answer.
        chunk: classes at a time, which does not change the answer; None: as many as memory is meant for.

    Returns:
        uint16 [height, width].

    Raises:
        ModelError: logits of another shape, NaN or infinity.
    """
    import torch

    if logits.dim() != 4 or len(logits) != len(CROPS) + 1 or not logits.numel():
        raise ModelError(f"Logits are {list(logits.shape)}; expected [{len(CROPS) + 1}, classes, h, w].")
    if not bool(torch.isfinite(logits).all()):
        raise ModelError("NaN or infinity among the logits of a picture. The weights may be damaged.")
    mosaic = Mosaic(SQUARE, CROPS)

    def scores(first: int, last: int) -> Tensor:
        def probabilities(view: int) -> Tensor:
            # Not in place: maps that have the size of a crop already are the caller's.
            return upsample(logits[view, first:last], CROP).sigmoid()

        total = mosaic(probabilities)
        total += upsample(probabilities(-1), SQUARE)
        return upsample(total.div_(2), size)

    return best_classes(logits.shape[1], chunk or chunk_size(SQUARE, size), scores)
