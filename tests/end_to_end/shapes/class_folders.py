"""The layouts of ImageNet: one folder per class.

The thousand class names of ImageNet do not name shapes, so these labels mean nothing: they exercise the layouts only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .files import write_pictures
from .scenes import SHAPES, Scene

WNIDS = ("n01440764", "n01443537", "n01484850", "n01491361", "n01494475", "n01496331")
"""The first six classes of ImageNet, one for each shape."""


def write_class_folders(scenes: Sequence[Scene], root: Path) -> None:
    """Write ImageNet-1K (wnid folders) and ImageNet-V2 (folders named by class number); class = the first shape."""
    shapes = list(SHAPES)
    for scene in scenes:
        index = shapes.index(scene.things[0].shape)
        folder = root / "imagenet/val" / WNIDS[index]
        write_pictures([scene], folder, lambda scene: f"ILSVRC2012_val_{scene.number:08d}.JPEG")
        folder = root / "imagenet-v2/imagenetv2-matched-frequency-format-val" / str(index)
        write_pictures([scene], folder, lambda scene: f"{scene.number:04d}.jpeg")
