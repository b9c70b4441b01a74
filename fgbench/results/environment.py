"""On what a result was computed."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_PACKAGES = (
    "fgbench",
    "torch",
    "torchvision",
    "transformers",
    "open_clip_torch",
    "timm",
    "tokenizers",
    "numpy",
    "pillow",
)


def describe(device: torch.device | None, precision: str) -> dict[str, Any]:
    """Versions, device and precision; nothing that identifies the user or the machine.

    Args:
        device: where the model ran; None if there was no model.
        precision: of activations.
    """
    packages: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    return {
        "packages": packages,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": _device_name(device),
        "precision": precision,
        "threads": _threads() if device else None,
        "tf32": False,
        "byte_order": sys.byteorder,
    }


def _device_name(device: torch.device | None) -> str | None:
    if device is None or device.type != "cuda":
        return device.type if device else None
    import torch

    return torch.cuda.get_device_name(device)


def _threads() -> int:
    import torch

    return torch.get_num_threads()
