"""Picture treatment of transformers models of fixed resolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from fgbench.adapter import Purpose
from fgbench.errors import ModelError

from .clip_like import presentable
from .hf_files import load_image_processor

_RESAMPLE = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}


@dataclass(frozen=True)
class HfPreprocessor:
    """The checkpoint's own image processor, and for dense features the same without losing the borders.

    Attributes:
        processor: of transformers, on Pillow and numpy.
        size: side of the model's pictures in pixels.
        global_view: ``crop-224``, ``squash-224``, …
    """

    processor: Any
    size: int
    global_view: str

    def view(self, purpose: Purpose, size: tuple[int, int], budget: int | None) -> str:
        """The checkpoint's own treatment for global features, the whole picture squashed for dense ones."""
        return f"squash-{self.size}" if purpose == "dense" else self.global_view

    def __call__(self, image: Image.Image, view: str) -> Mapping[str, Tensor]:
        """``pixels``: float32 [3, size, size]."""
        changes: dict[str, Any] = {}
        if view != self.global_view:
            changes = {"size": {"height": self.size, "width": self.size}, "do_resize": True, "do_center_crop": False}
        pixels: Tensor = self.processor(images=presentable(image), return_tensors="pt", **changes)["pixel_values"][0]
        return {"pixels": pixels}

    def describe(self) -> str:
        """The treatment in one line."""
        name, step = type(self.processor).__name__, self.processor
        size = ", ".join(f"{key} {value}" for key, value in dict(step.size).items() if value)
        resample = _RESAMPLE.get(int(step.resample), str(step.resample))
        values = f"mean {step.image_mean}, std {step.image_std}"
        return f"transformers {name}: {self.global_view} ({size}), {resample}, {values}"


def fixed_preprocessor(folder: Path, size: int) -> HfPreprocessor:
    """The checkpoint's image processor, checked on a picture.

    Raises:
        ModelError: there is none, or it makes pictures of another size than the model takes.
    """
    processor = load_image_processor(folder)
    crops = bool(getattr(processor, "do_center_crop", None)) or "shortest_edge" in dict(processor.size)
    preprocessor = HfPreprocessor(processor, size, f"{'crop' if crops else 'squash'}-{size}")
    for view in (preprocessor.global_view, f"squash-{size}"):
        shape = tuple(preprocessor(Image.new("RGB", (40, 30)), view)["pixels"].shape)
        if shape != (3, size, size):
            raise ModelError(
                f"{folder}: preprocessor_config.json makes pictures of shape {list(shape)}; expected "
                f"[3, {size}, {size}], the size in config.json. Download both files again, from one revision."
            )
    return preprocessor
