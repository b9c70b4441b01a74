"""The picture treatment of FG-CLIP 1, Chinese-CLIP and R2D2: the whole picture, resized to a square.

Workers ship bytes; the device turns them into the model's float32 values (:class:`ClipPixels`), which is exact because
a byte has only 256 values, and moves a quarter of the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from fgbench.adapter import Purpose

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class SquashPreprocessor:
    """Resizes a picture to a square, aspect ignored (:class:`fgbench.adapter.Preprocessor`).

    Attributes:
        size: side of the square in pixels.
        resample: Pillow's filter.
    """

    size: int
    resample: Image.Resampling = Image.Resampling.BICUBIC

    def view(self, purpose: Purpose, size: tuple[int, int], budget: int | None) -> str:
        """The same for both purposes: one pass gives pooled and dense features."""
        return f"squash-{self.size}"

    def __call__(self, image: Image.Image, view: str) -> Mapping[str, Tensor]:
        """``pixels``: uint8 [3, size, size]. A picture without pixels becomes a black one."""
        pixels = np.array(image.resize((self.size, self.size), self.resample))
        return {"pixels": torch.from_numpy(pixels).permute(2, 0, 1).contiguous()}

    def describe(self, mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD) -> str:
        """The treatment in one line."""
        return (
            f"squash-{self.size}, Pillow {self.resample.name.lower()} on 8 bits, mean {tuple(mean)}, std {tuple(std)}"
        )


class ClipPixels(nn.Module):
    """Turns a batch of bytes into the model's input, on the device where the module lies."""

    table: Tensor

    def __init__(self, mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD) -> None:
        super().__init__()
        # Not persistent: checkpoints do not hold it. Real values even while a model is laid out on the meta device.
        with torch.device("cpu"):
            self.register_buffer("table", pixel_table(mean, std), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Look the values up.

        Args:
            pixels: uint8 [B, 3, H, W].

        Returns:
            float32 [B, 3, H, W].
        """
        rows = torch.arange(0, 3 * 256, 256, device=pixels.device, dtype=torch.int32)[:, None, None]
        return self.table.index_select(0, (pixels + rows).flatten()).view(pixels.shape)


def pixel_table(mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """float32 [3 * 256]: the model's input for each channel and byte.

    ``x * (1 / 255)`` in float64, rounded to float32, then minus mean and divided by std in float32: the order and the
    precisions of transformers' CLIP image processor, on which the last bit depends.
    """
    scaled = (np.arange(256, dtype=np.float64) * (1 / 255)).astype(np.float32)
    low, scale = (np.array(values, dtype=np.float32)[:, None] for values in (mean, std))
    return torch.from_numpy(((scaled - low) / scale).reshape(-1))
