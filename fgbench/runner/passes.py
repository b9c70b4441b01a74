"""Passes and jobs: the units of work that an encoder executes.

A *pass* is one trip through the vision tower: a picture, or a crop of it, under one view. A job is a picture with all
its passes, and the reductions made of their features.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fgbench.requests import ImageRef, TextKind
from fgbench.runner.cuts import Cut
from fgbench.runner.reductions import Reduction


@dataclass
class Pass:
    """One trip through the vision tower.

    Attributes:
        cut: what it sees.
        pooled: key of the global embedding, or None if nobody wants it.
        regions: box by key.
        dense: does a reduction need the dense map?
    """

    cut: Cut
    pooled: bytes | None = None
    regions: dict[bytes, tuple[float, float, float, float]] = field(default_factory=dict)
    dense: bool = False

    @property
    def needs_dense(self) -> bool:
        """Is the dense map needed, for regions or for a reduction?"""
        return self.dense or bool(self.regions)

    def row_keys(self) -> list[bytes]:
        """Keys of all embeddings that this pass yields, in row order."""
        return [*([self.pooled] if self.pooled else []), *self.regions]

    def only(self, wanted: frozenset[bytes], *, dense: bool) -> Pass:
        """This pass without the results that are not wanted."""
        regions = {key: box for key, box in self.regions.items() if key in wanted}
        return Pass(self.cut, self.pooled if self.pooled in wanted else None, regions, dense)


@dataclass(frozen=True)
class ImageJob:
    """A picture with every pass that it makes.

    Attributes:
        image: a picture with this content.
        size: (width, height) in pixels.
        passes: at least one.
        reductions: what is made of their features.
    """

    image: ImageRef
    size: tuple[int, int]
    passes: tuple[Pass, ...]
    reductions: tuple[Reduction, ...] = ()

    def row_keys(self) -> list[bytes]:
        """Keys of all embeddings, in order."""
        return [key for each in self.passes for key in each.row_keys()]

    def answer_keys(self) -> list[bytes]:
        """Keys of the reductions, in order."""
        return [each.key for each in self.reductions]


@dataclass(frozen=True)
class TextJob:
    """A text to encode: ``kind`` is any kind that the model answers with the path in the key."""

    text: str
    kind: TextKind
    key: bytes


@dataclass(frozen=True)
class Address:
    """Where the rows of a request are found.

    Attributes:
        keys: one per row that has an embedding (for class prompts: per filled template).
        rows: int64; the request's row of each key.
        failed: reason by row.
        size: number of rows of the request.
        classes: keys of the class prompts that a reduction compares with, once each.
    """

    keys: list[bytes]
    rows: npt.NDArray[np.int64]
    failed: Mapping[int, str]
    size: int
    classes: tuple[bytes, ...] = ()


def pending(chunk: Sequence[ImageJob], missing: Iterable[bytes]) -> list[ImageJob]:
    """The part of a chunk whose results are missing."""
    wanted = frozenset(missing)
    jobs = []
    for job in chunk:
        reductions = tuple(each for each in job.reductions if each.key in wanted)
        held = {cut for each in reductions for cut in each.cuts}
        passes = tuple(
            each.only(wanted, dense=each.dense and each.cut in held)
            for each in job.passes
            if each.cut in held or wanted.intersection(each.row_keys())
        )
        if passes:
            jobs.append(ImageJob(job.image, job.size, passes, reductions))
    return jobs
