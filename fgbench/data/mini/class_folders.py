"""The layouts of ImageNet: one folder per class, the picture shows one thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fgbench.data.mini.files import jpeg, write_bytes
from fgbench.data.mini.world import scene
from fgbench.data.mini.world.classes import IMAGENET
from fgbench.registry import resolve

FIRST, PER_CLASS = 5000, 3


def write_class_folders(root: Path) -> None:
    """Write ImageNet-1K (wnid folders) and ImageNet-V2 (folders named by class number), the same thirteen classes."""
    lines: Any = resolve("fgbench.tasks.resources:lines")
    names, wnids = lines("imagenet_classnames"), lines("imagenet_wnids")
    number = 0
    for kind, name in IMAGENET.items():
        index = names.index(name)
        for _ in range(PER_CLASS):
            for folder, start, file in (
                (f"imagenet/val/{wnids[index]}", FIRST, f"ILSVRC2012_val_{number + 1:08d}.JPEG"),
                (f"imagenet-v2/imagenetv2-matched-frequency-format-val/{index}", 2 * FIRST, f"{number:04d}.jpeg"),
            ):
                portrait = scene("evaluation", start + number, count=(1, 1), kinds=(kind,))
                write_bytes(root / folder / file, jpeg(portrait))
            number += 1
