"""Pictures and batches for the tests of FG-CLIP 2, made without the engine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fgbench.adapter import ImageFeatures
from fgbench.adapters.fgclip2 import FgClip2Adapter
from fgbench.requests import TextKind

KINDS: tuple[TextKind, ...] = ("short", "box", "long")


def tensors(adapter: FgClip2Adapter, image: Image.Image, budget: int | None = None) -> Mapping[str, Tensor]:
    preprocessor = adapter.preprocessor
    picture: Mapping[str, Tensor] = preprocessor(image, preprocessor.view("dense", image.size, budget))
    return picture


def collate(pictures: list[Mapping[str, Tensor]], length: int | None = None, padding: int = 0) -> dict[str, Tensor]:
    longest = length or max(len(picture["patches"]) for picture in pictures)
    patches = torch.full((len(pictures), longest, 768), padding, dtype=torch.uint8)
    for row, picture in zip(patches, pictures, strict=True):
        row[: len(picture["patches"])] = picture["patches"]
    return {"patches": patches, "shape": torch.stack([picture["shape"] for picture in pictures])}


def encode(
    adapter: FgClip2Adapter, image: Image.Image, budget: int | None = None, dense: bool = False
) -> ImageFeatures:
    features: ImageFeatures = adapter.encode_images(collate([tensors(adapter, image, budget)]), dense=dense)
    return features


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))
