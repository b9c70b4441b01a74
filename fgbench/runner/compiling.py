"""``--compile``: the repeated blocks of a network, compiled once for all of them.

Not the whole network. What differs from picture to picture (a grid of patches, positions resized to it) is Python
around the blocks; compiled with them, every new grid would be compiled again until PyTorch gives up. The blocks see
tensors only, and as all of a tower run the same code, compiling one is compiling all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fgbench.errors import UsageError

if TYPE_CHECKING:
    from torch import nn


def repeated_blocks(module: nn.Module, name: str) -> list[nn.Module]:
    """Members of every list of two or more modules of one class with weights; none inside another.

    In a transformer these are its layers, in a residual network the blocks of its stages.

    Args:
        module: the network.
        name: of the model, for the message.

    Raises:
        UsageError: there are none.
    """
    found = _repeated(module)
    if not found:
        raise UsageError(f"--compile: {name} has no repeated blocks (layers of one class) that could be compiled.")
    return found


def _repeated(module: nn.Module) -> list[nn.Module]:
    from torch import nn

    found: list[nn.Module] = []
    for child in module.children():
        members = list(child.children()) if isinstance(child, (nn.ModuleList, nn.Sequential)) else []
        alike = len(members) > 1 and len(set(map(type, members))) == 1
        if alike and all(any(True for _ in member.parameters()) for member in members):
            found += members
        else:
            found += _repeated(child)
    return found


@contextmanager
def compiled(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Inside, these modules run compiled; afterwards they are as before.

    Batch sizes and lengths are symbols of the compiled code (``dynamic=True``), so that a short last batch, or
    pictures of another number of patches, do not have it compiled again.
    """
    import torch

    own = [block.__dict__.get("forward") for block in blocks]
    try:
        for block in blocks:
            block.forward = torch.compile(block.forward, dynamic=True)
        yield
    finally:
        for block, forward in zip(blocks, own, strict=True):
            block.__dict__.pop("forward", None)
            if forward is not None:
                block.forward = forward
