"""Devices, precision, and what to do when memory runs out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

from fgbench.errors import ModelError, UsageError
from fgbench.runner.ranks import ALONE, Ranks

if TYPE_CHECKING:
    import torch
    from torch import nn

T = TypeVar("T")
R = TypeVar("R")

Precision = Literal["fp32", "bf16", "fp16"]


def resolve_device(name: str) -> str:
    """What ``auto`` means here: CUDA, then MPS, then CPU. Other names stay."""
    import torch

    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def choose_device(name: str, ranks: Ranks = ALONE) -> torch.device:
    """Resolve ``auto`` or check a device name. Of several processes each takes the CUDA device of its local rank.

    Raises:
        UsageError: not a device, or not on this machine.
    """
    import torch

    name = resolve_device(name)
    if name == "cuda" and ranks.world > 1:
        there = torch.cuda.device_count()
        if ranks.local_rank >= there:
            raise UsageError(
                f"Local rank {ranks.local_rank} has no GPU of its own: this machine shows {there}. Start as many "
                "processes per machine as it has GPUs, or name one device for all of them, for example cuda:0 or cpu."
            )
        name = f"cuda:{ranks.local_rank}"
    try:
        device = torch.device(name)
        if device.type == "cuda" and device.index is not None:
            torch.cuda.set_device(device)  # streams and page-locked memory belong to the current device
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"Device {name!r} cannot be used here ({_first_line(error)}). Try --device auto or --device cpu."
        ) from error
    return device


@contextlib.contextmanager
def computing(device: torch.device, precision: Precision) -> Iterator[None]:
    """Inference mode, with autocast for half precisions; TF32 is off, so that fp32 means fp32."""
    import torch

    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    try:
        with torch.inference_mode(), torch.autocast(device.type, dtype=dtype, enabled=precision != "fp32"):
            yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


class BatchRunner:
    """Runs a function on batches and halves the batch when memory runs out.

    Attributes:
        splits: how often a batch had to be halved.
    """

    def __init__(self) -> None:
        self.splits = 0
        self._limit: int | None = None

    def __call__(self, function: Callable[[Sequence[T]], R], items: Sequence[T]) -> list[R]:
        """Apply ``function`` to ``items`` in as few pieces as fit; once a size has failed, it is not tried again.

        Raises:
            ModelError: a single item does not fit.
        """
        limit = self._limit  # one of the pieces may lower it
        if limit and len(items) > limit:
            return [
                part for start in range(0, len(items), limit) for part in self(function, items[start : start + limit])
            ]
        try:
            return [function(items)]
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            if len(items) == 1:
                raise ModelError(
                    f"Out of memory on a batch of one ({_first_line(error)}). Use a device with more memory, "
                    "--precision bf16, or a smaller model."
                ) from error
        # Outside the except block: the traceback would keep the failed batch's tensors alive.
        release()
        self.splits += 1
        self._limit = (len(items) + 1) // 2
        return self(function, items)


def release() -> None:
    """Give memory that nobody uses any more back to the device."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def place(module: nn.Module, device: torch.device) -> None:
    """Move a network to the device, ready for inference; on CUDA with channels last, where convolutions are faster."""
    import torch

    if device.type == "cuda":
        module.to(memory_format=torch.channels_last)
    module.to(device).eval()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def out_of_memory(error: BaseException) -> bool:
    """Does an error say that memory ran out, of the device or of the machine?"""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
