"""Reductions: something small made of the features of one picture while they are at hand.

A label map, or how well boxes fit classes. The features themselves (a dense map per window, thousands of boxes per
picture) would fill any disk; a reduction's bytes do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from fgbench.requests import Float32
from fgbench.runner.cuts import Cut
from fgbench.runner.store import row_key

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class PassFeatures(NamedTuple):
    """What a pass gave, on the device; nothing is normalised.

    Attributes:
        pooled: float32 [D].
        tokens: float32 [N, D] or None; already token-normalised if the model declares that.
        grid: (rows, columns) of the tokens, or None.
    """

    pooled: Tensor
    tokens: Tensor | None
    grid: tuple[int, int] | None


class Classes(NamedTuple):
    """Where the prototypes of a reduction come from.

    Attributes:
        key: equal for equal prototypes.
        keys: rows of the filled templates in the feature store, class by class.
        templates: number of templates.
        groups: class of each name, or None if every name is a class.
    """

    key: bytes
    keys: tuple[bytes, ...]
    templates: int
    groups: tuple[int, ...] | None

    @classmethod
    def of(cls, keys: Sequence[bytes], templates: int, groups: Sequence[int] | None) -> Classes:
        """From the address of a request's class prompts."""
        grouped = None if groups is None else tuple(groups)
        return cls(row_key("classes", *keys, repr((templates, grouped))), tuple(keys), templates, grouped)


class Reduction(Protocol):
    """What the encoder does with the features of a picture.

    Attributes:
        key: of the answer.
        cuts: the passes it needs, in its order; one may occur several times.
        classes: the prototypes it needs.
    """

    @property
    def key(self) -> bytes: ...  # noqa: D102 - described above
    @property
    def cuts(self) -> tuple[Cut, ...]: ...  # noqa: D102
    @property
    def classes(self) -> Classes: ...  # noqa: D102

    def prepare(self, prototypes: Float32, device: torch.device) -> object:
        """Prototypes float32 [K, D] as :meth:`reduce` wants them; made once for all pictures."""

    def reduce(self, features: Sequence[PassFeatures], prepared: object) -> Callable[[], bytes]:
        """Have the device make the answer, from the features of each of ``cuts``; what is returned waits for it."""
