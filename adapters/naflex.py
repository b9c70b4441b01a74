"""Variable-resolution pictures (NaFlex): FG-CLIP 2 and SigLIP 2 keep the aspect ratio and spend a budget of patches.

The rules and the arithmetic are those of the FG-CLIP 2 evaluation and of transformers' ``Siglip2ImageProcessorPil``,
bit for bit. Workers resize and cut the picture and ship bytes; the device turns them into the model's float32 values
(:class:`NaflexPixels`), which is exact because a byte has only 256 values, and moves a quarter of the data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from fgbench.adapter import Purpose
from fgbench.errors import UsageError

PATCH = 16
"""Side of a patch in pixels; every published NaFlex model uses 16."""

BUDGETS = (128, 256, 576, 784, 1024)
"""Budgets that the models were trained with, and between which the dynamic rule chooses."""

_VIEW = "naflex-"


def dynamic_budget(width: int, height: int) -> int:
    """The number of patches that FG-CLIP 2 allows a picture of this size (in pixels).

    The smallest of :data:`BUDGETS` that is at least the number of whole patches in the original picture; never more
    than the largest. Source: the image processor of the FG-CLIP 2 evaluation.
    """
    whole = (width // PATCH) * (height // PATCH)
    return next((budget for budget in BUDGETS if whole <= budget), BUDGETS[-1])


def target_size(width: int, height: int, budget: int) -> tuple[int, int]:
    """The (width, height) in pixels to which a picture is resized: multiples of 16, at most ``budget`` patches.

    One scale s serves both sides, a side becomes ``ceil(side * s / 16) * 16``. The scale is found by bisection; the
    number of steps belongs to the rule, for a finer s would give other sizes. Source: SigLIP 2, as in transformers.
    """
    tolerance = 1e-5
    low, high = tolerance / 10, 100.0
    while high - low >= tolerance:
        middle = (low + high) / 2
        if _patches(width, middle) * _patches(height, middle) <= budget:
            low = middle
        else:
            high = middle
    return _patches(width, low) * PATCH, _patches(height, low) * PATCH


def _patches(side: int, scale: float) -> int:
    return max(1, math.ceil(side * scale / PATCH))


def parse_budget(option: str | int | None) -> int | None:
    """The model option ``budget``: a positive number of patches, or None for the dynamic rule.

    Raises:
        UsageError: not a positive whole number.
    """
    if option is None:
        return None
    text = str(option)
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise UsageError(
            f"Model option budget={text}: expected a positive number of patches, for example "
            f"{', '.join(map(str, BUDGETS))}; leave it out for the dynamic rule."
        )
    return int(text)


@dataclass(frozen=True)
class NaflexPreprocessor:
    """Resizes a picture and cuts it into patches (:class:`fgbench.adapter.Preprocessor`).

    Attributes:
        budget: patches per picture in place of the dynamic rule. A budget that a protocol asks for goes before it.
        host_inputs: the shapes stay on the CPU, where the model reads them.
    """

    budget: int | None = None
    host_inputs: ClassVar[tuple[str, ...]] = ("shape",)

    def view(self, purpose: Purpose, size: tuple[int, int], budget: int | None) -> str:
        """``naflex-<budget>``, the same for both purposes: one pass gives pooled and dense features."""
        return f"{_VIEW}{budget or self.budget or dynamic_budget(*size)}"

    def __call__(self, image: Image.Image, view: str) -> Mapping[str, Tensor]:
        """Cut one RGB picture.

        Bilinear with antialiasing on 8-bit values (Pillow); no EXIF rotation, no crop. The axes are taken from the
        picture and never guessed, so crops of one or three pixels in height are treated like any other.

        Returns:
            ``patches``: uint8 [n, 768], row by row; a patch is (y, x, channel) with the channel fastest.
            ``shape``: int64 [2], rows and columns; rows * columns = n.
        """
        width, height = target_size(*image.size, int(view.removeprefix(_VIEW)))
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        rows, columns = height // PATCH, width // PATCH
        # The 48 bytes of a patch's line move as one value: half the time of moving them one by one.
        lines = pixels.reshape(rows, PATCH, columns, PATCH * 3).view(f"V{PATCH * 3}")[..., 0].swapaxes(1, 2)
        patches = np.array(lines, order="C").view(np.uint8).reshape(rows * columns, -1)
        return {"patches": torch.from_numpy(patches), "shape": torch.tensor([rows, columns])}


def pixel_table() -> Tensor:
    """float32 [256]: the model's input for each byte, from -1 to 1.

    ``x * (1 / 255)`` in float64, rounded to float32, then minus 0.5 and divided by 0.5 in float32: the order and the
    precisions of transformers' image processors, on which the last bit depends.
    """
    scaled = (np.arange(256, dtype=np.float64) * (1 / 255)).astype(np.float32)
    half = np.float32(0.5)
    return torch.from_numpy((scaled - half) / half)


class NaflexPixels(nn.Module):
    """Turns a batch of byte patches into the model's input, on the device where the module lies."""

    table: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Not persistent: checkpoints do not hold it. Real values even while a model is laid out on the meta device.
        with torch.device("cpu"):
            self.register_buffer("table", pixel_table(), persistent=False)

    def forward(self, patches: Tensor, shape: Tensor) -> tuple[Tensor, Tensor]:
        """Look the values up and find the padding.

        Args:
            patches: uint8 [B, N, 768]; pictures with fewer than N patches are padded at the end, with anything.
            shape: int64 [B, 2], rows and columns; may lie on the CPU.

        Returns:
            float32 [B, N, 768], zero where padded, and bool [B, N], true for real patches.
        """
        tokens = shape.prod(dim=1, keepdim=True).to(patches.device, non_blocking=True)
        real = torch.arange(patches.shape[1], device=patches.device) < tokens
        values = self.table.index_select(0, patches.flatten().int()).view(patches.shape)
        return values.masked_fill_(~real[..., None], 0.0), real
