"""What the ranks of a run tell each other between stages: files, broken pictures, counters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from fgbench.data.images import Probe
from fgbench.errors import StoreError
from fgbench.requests import ImageRef
from fgbench.runner.ranks import Ranks
from fgbench.runner.store import ChunkStore

Unit = tuple[Sequence[bytes], Sequence[str]]
"""Keys of answers, and digests of the pictures that they are made of."""


def share_files(ranks: Ranks, stores: Sequence[ChunkStore], *, everyone: bool) -> None:
    """Meet, and take in what the other ranks have stored.

    Args:
        ranks: the processes.
        stores: of this rank, in the same order on all.
        everyone: False if only the first rank will read on.

    Raises:
        StoreError: two ranks made the same chunk, or a file cannot be read here.
    """
    written = ranks.gather([store.written for store in stores])
    for number, store in enumerate(stores):
        names = [name for by_store in written for name in by_store[number]]
        if len(set(names)) < len(names):
            raise StoreError(f"{store.folder}: two processes made the same chunk. Please report this.")
        if everyone or ranks.first:
            store.adopt(names)


def share_broken(ranks: Ranks, broken: dict[ImageRef, str]) -> None:
    """Meet, and take in which pictures the other ranks could not decode."""
    own = [[ref.path, ref.member, ref.span, message] for ref, message in broken.items()]
    for path, member, span, message in (each for of_rank in ranks.gather(own) for each in of_rank):
        broken[ImageRef(path, member, tuple(span) if span else None)] = message


def total(ranks: Ranks, counters: Mapping[str, int]) -> dict[str, int]:
    """Meet, and add the counters of all ranks."""
    everywhere = ranks.gather(dict(counters))
    return {name: sum(each[name] for each in everywhere) for name in counters}


def check_complete(
    has: Callable[[Sequence[bytes]], npt.NDArray[np.bool_]],
    units: Iterable[Unit],
    broken: Iterable[ImageRef],
    probes: Mapping[ImageRef, Probe | str],
) -> None:
    """Make sure that nothing was left out: what is not stored belongs to a picture that could not be decoded.

    Args:
        has: which keys are stored.
        units: everything that should be.
        broken: pictures that could not be decoded.
        probes: of all pictures.

    Raises:
        StoreError: something is missing.
    """
    units = list(units)
    stored = iter(has([key for keys, _ in units for key in keys]).tolist())
    lacking = [digests for keys, digests in units if False in [next(stored) for _ in keys]]
    if lacking:
        excused = {probe.digest for ref in broken if isinstance(probe := probes[ref], Probe)}
        lost = [digests for digests in lacking if excused.isdisjoint(digests)]
        if lost:
            raise StoreError(
                f"The answers for {len(lost)} inputs are neither stored nor explained by broken pictures. Was the "
                "features folder changed during the run? Run the same command again."
            )
