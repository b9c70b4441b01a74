"""Batches on their way to the device: stacked, padded, and on CUDA copied while the model works on the last one.

The copy runs on a stream of its own, from page-locked memory (the loader pins what the workers send), into memory that
the allocator takes back only when the model's stream is done with it. On other devices a batch is made when it is its
turn.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from fgbench.runner.device import out_of_memory

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from fgbench.adapter import Preprocessor

T = TypeVar("T")


def host_inputs(preprocessor: Preprocessor) -> tuple[str, ...]:
    """Names of the tensors that stay in host memory (:class:`fgbench.adapter.Preprocessor`)."""
    return tuple(getattr(preprocessor, "host_inputs", ()))


def collate(
    inputs: Sequence[Mapping[str, Tensor]], device: torch.device, host: Collection[str] = ()
) -> dict[str, Tensor]:
    """Stack the tensors of a batch on the device; shorter ones are padded with zeros along the first dimension.

    Args:
        inputs: of each picture, on the CPU.
        device: where the batch goes; nothing here waits for it.
        host: names of tensors that stay on the CPU.
    """
    import torch

    batch = {}
    for name, first in inputs[0].items():
        tensors = [each[name] for each in inputs]
        place = torch.device("cpu") if name in host else device
        if len({tensor.shape for tensor in tensors}) == 1:
            stacked = torch.empty((len(tensors), *first.shape), dtype=first.dtype, device=place)
            for row, tensor in zip(stacked, tensors, strict=True):
                row.copy_(tensor, non_blocking=True)
        else:
            longest = max(len(tensor) for tensor in tensors)
            stacked = torch.zeros((len(tensors), longest, *first.shape[1:]), dtype=first.dtype, device=place)
            for row, tensor in zip(stacked, tensors, strict=True):
                row[: len(tensor)].copy_(tensor, non_blocking=True)
        batch[name] = stacked
    return batch


class Transfer:
    """Makes batches ready: on CUDA one ahead, on a stream of its own."""

    def __init__(self, device: torch.device) -> None:
        """
        Args:
            device: where the model is.
        """
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            import torch

            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __call__(
        self, items: Iterable[T], load: Callable[[T], dict[str, Tensor]]
    ) -> Iterator[tuple[T, dict[str, Tensor] | None]]:
        """Each item with its batch; None instead of a batch for which there was no memory.

        Args:
            items: what batches are made of.
            load: makes a batch, without waiting for the device.
        """
        if self._stream is None:
            for item in items:
                yield item, _made(load, item)
            return
        import torch

        ahead: tuple[T, dict[str, Tensor] | None] | None = None
        for item in items:
            with torch.cuda.stream(self._stream):
                batch = _made(load, item)
                copied = self._stream.record_event()
            if ahead:
                yield ahead
            ahead = item, self._handed_over(batch, copied)
        if ahead:
            yield ahead

    def _handed_over(self, batch: dict[str, Tensor] | None, copied: torch.cuda.Event) -> dict[str, Tensor] | None:
        """The batch, for use on the current stream: that one waits for the copy, the host does not."""
        import torch

        current = torch.cuda.current_stream()
        current.wait_event(copied)
        for tensor in (batch or {}).values():
            if tensor.device.type == "cuda":
                tensor.record_stream(current)
        return batch


def _made(load: Callable[[T], dict[str, Tensor]], item: T) -> dict[str, Tensor] | None:
    try:
        return load(item)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return None
