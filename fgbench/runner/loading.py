"""Pictures from disk to tensors, in worker processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL.Image import Image, Resampling

from fgbench.adapter import Preprocessor
from fgbench.data.images import Probe, decode, probe
from fgbench.errors import DataError
from fgbench.requests import ImageRef
from fgbench.runner.cuts import Cut
from fgbench.runner.passes import ImageJob
from fgbench.runner.regions import cut

if TYPE_CHECKING:
    from torch import Tensor


class Prepared(NamedTuple):
    """A job on its way to the model.

    Attributes:
        job: the job.
        inputs: tensors of each pass, or None if the picture could not be decoded.
        problem: why not.
    """

    job: ImageJob
    inputs: list[Mapping[str, Tensor]] | None
    problem: str = ""


def probe_all(images: Sequence[ImageRef], *, threads: int = 8) -> Iterator[tuple[ImageRef, Probe | DataError]]:
    """Probe many pictures, in order. Reading and hashing release the interpreter lock, so threads help."""

    def attempt(ref: ImageRef) -> tuple[ImageRef, Probe | DataError]:
        try:
            return ref, probe(ref)
        except DataError as error:
            return ref, error

    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(attempt, images)


def prepare_all(
    jobs: Sequence[ImageJob], preprocessor: Preprocessor, *, workers: int, pin_memory: bool
) -> Iterator[Prepared]:
    """Decode and preprocess jobs, in order, ahead of the consumer.

    Args:
        jobs: what to load.
        preprocessor: of the model; sent to the workers.
        workers: processes; 0 loads in this one.
        pin_memory: copy tensors to page-locked memory, for faster transfer to a CUDA device.
    """
    from torch.utils.data import DataLoader

    if workers:
        # Workers are forked after the tokeniser may have started threads. They never touch it, so its warning would
        # only frighten.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    loader: DataLoader[Any] = DataLoader(
        _Jobs(jobs, preprocessor),  # type: ignore[arg-type]
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=pin_memory,
    )
    for job, (inputs, problem) in zip(jobs, loader, strict=True):
        yield Prepared(job, inputs, problem)


class _Jobs:
    """A map-style dataset: what a worker process does with one job."""

    def __init__(self, jobs: Sequence[ImageJob], preprocessor: Preprocessor) -> None:
        self._jobs = jobs
        self._preprocessor = preprocessor

    def __len__(self) -> int:
        return len(self._jobs)

    def __getitem__(self, index: int) -> tuple[list[dict[str, Tensor]] | None, str]:
        if index >= len(self):
            raise IndexError(index)
        job = self._jobs[index]
        try:
            image = decode(job.image)
        except DataError as error:
            return None, str(error)
        scaled: dict[tuple[int, int] | None, Image] = {None: image}
        return [dict(self._preprocessor(_part(scaled, each.cut), each.cut.view)) for each in job.passes], ""


def _part(scaled: dict[tuple[int, int] | None, Image], part: Cut) -> Image:
    """What a pass sees; ``scaled`` holds the picture at the sizes seen so far."""
    if part.resized and part.resized not in scaled:
        scaled[part.resized] = scaled[None].resize(part.resized, Resampling.BILINEAR)
    picture = scaled[part.resized]
    return picture if part.crop is None else cut(picture, part.crop)
