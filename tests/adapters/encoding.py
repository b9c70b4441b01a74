"""Pictures for adapters, and encoding as the engine does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image


def picture(width: int = 64, height: int = 43, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def encode(adapter: Any, images: Sequence[Image.Image], *, dense: bool = False) -> Any:
    """One view, tensors padded with zeros at the end of the first dimension."""
    purpose = "dense" if dense else "global"
    tensors = [adapter.preprocessor(image, adapter.preprocessor.view(purpose, image.size, None)) for image in images]
    batch = {
        key: torch.nn.utils.rnn.pad_sequence([found[key] for found in tensors], batch_first=True) for key in tensors[0]
    }
    with torch.inference_mode():
        return adapter.encode_images(batch, dense=dense)


def texts(adapter: Any, texts: Sequence[str]) -> Any:
    with torch.inference_mode():
        return adapter.encode_texts(texts, "short")
