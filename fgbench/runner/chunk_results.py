"""What a chunk of pictures yields while it is encoded, until it is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fgbench.runner.cuts import Cut
from fgbench.runner.passes import ImageJob
from fgbench.runner.reductions import PassFeatures, Reduction

if TYPE_CHECKING:
    from torch import Tensor


class ChunkRows:
    """Embeddings of a chunk, on their way to the store.

    Attributes:
        keys, vectors, origins: of each row; what to call its input in messages.
    """

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.vectors: list[Tensor] = []
        self.origins: list[str] = []

    def add(self, keys: Sequence[bytes], vectors: Tensor, origin: str) -> None:
        """Rows of one pass; ``origin`` names it in messages."""
        if keys:
            self.keys.extend(keys)
            self.vectors.append(vectors)
            self.origins.extend([origin] * len(keys))


class ChunkReductions:
    """Reductions of a chunk: each is made as soon as its last pass is there, and the features are let go.

    Attributes:
        keys: of each finished reduction.
    """

    def __init__(self, prepared: Callable[[Reduction], object]) -> None:
        """
        Args:
            prepared: gives the prototypes that a reduction needs.
        """
        self.keys: list[bytes] = []
        self._made: list[Callable[[], bytes]] = []
        self._prepared = prepared
        self._held: dict[int, dict[Cut, PassFeatures]] = {}
        self._open: dict[int, list[Reduction]] = {}

    def take(self, job: ImageJob, cut: Cut, features: PassFeatures) -> None:
        """The features of one pass of a job."""
        waiting = self._open.setdefault(id(job), list(job.reductions))
        if not waiting:
            return
        held = self._held.setdefault(id(job), {})
        if any(cut in each.cuts for each in waiting):
            held[cut] = features
        for each in list(waiting):
            if all(needed in held for needed in each.cuts):
                self._made.append(each.reduce([held[needed] for needed in each.cuts], self._prepared(each)))
                self.keys.append(each.key)
                waiting.remove(each)
        if not waiting:
            held.clear()

    def made(self) -> list[bytes]:
        """The answer of each of ``keys``; waits for the device."""
        return [finish() for finish in self._made]


class ChunkResults(NamedTuple):
    """All of a chunk: how many pictures it has, and what was made of them."""

    jobs: int
    rows: ChunkRows
    reducing: ChunkReductions
