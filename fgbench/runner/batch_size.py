"""How many pictures per forward pass: the most that the device holds, found with the model itself and remembered.

The number changes how fast a run is. It does not change what the chunks are, which are cut by the plan; but batches are
composed differently, and that may change the last bits of a vector, so it stands in every record.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from fgbench.adapter import Adapter
from fgbench.data.atomic import write_atomic
from fgbench.errors import StoreError
from fgbench.runner.device import Precision, computing, out_of_memory, release
from fgbench.runner.jobs import CHUNK_PASSES
from fgbench.runner.transfer import collate, host_inputs

if TYPE_CHECKING:
    import torch

FIRST = 8
"""The size that is tried first."""

SIDE = 1024
"""Width and height of the picture that is tried: large enough for any dynamic patch budget."""


def largest(fits: Callable[[int], bool], first: int = FIRST, ceiling: int = CHUNK_PASSES) -> int:
    """The largest size that fits, by doubling or halving from ``first``; 1 if none does.

    Args:
        fits: does a batch of this size fit?
        first: where to begin.
        ceiling: no more than this; batches do not cross chunks.
    """
    size = min(first, ceiling)
    if not fits(size):
        while size > 1:
            size = (size + 1) // 2
            if fits(size):
                break
        return size
    while size < ceiling and fits(min(2 * size, ceiling)):
        size = min(2 * size, ceiling)
    return size


def largest_for(adapter: Adapter, device: torch.device, precision: Precision) -> int:
    """The largest batch of the most expensive kind that the model takes by default: dense, of a large picture."""
    dense = adapter.info.dense is not None
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    picture, preprocessor = Image.fromarray(noise), adapter.preprocessor
    inputs = preprocessor(picture, preprocessor.view("dense" if dense else "global", picture.size, None))

    def fits(size: int) -> bool:
        try:
            with computing(device, precision):
                adapter.encode_images(collate([inputs] * size, device, host_inputs(preprocessor)), dense=dense)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            return False
        return True

    def tried(size: int) -> bool:
        found = fits(size)
        release()  # here, where no traceback keeps tensors alive
        return found

    return largest(tried)


def remembered(file: Path, key: str, find: Callable[[], int], *, write: bool) -> int:
    """What was found before under a key, or is found now.

    Args:
        file: JSON that holds sizes by key; made when needed, and replaced if it is damaged.
        key: whatever the size depends on.
        find: finds it.
        write: keep what was found? One process of several does.
    """
    known = _read(file)
    size = known.get(key)
    if isinstance(size, int) and size >= 1:
        return size
    size = find()
    if write:
        try:
            write_atomic(file, (json.dumps({**_read(file), key: size}, indent=1) + "\n").encode())
        except StoreError:
            return size  # it will be found again
    return size


def key_of(device: torch.device, fingerprint: str) -> str:
    """Model (with its precision) and device, as a key."""
    import torch

    facts = torch.cuda.get_device_properties(device)
    return f"{fingerprint} on {facts.name}, {facts.total_memory:,} bytes"


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
