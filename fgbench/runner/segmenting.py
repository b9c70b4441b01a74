"""The engine of trained segmenters: label maps, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fgbench.data.images import Probe, decode
from fgbench.errors import DataError, ModelError
from fgbench.requests import ClassPrompts, ImageRef, LabelMaps, Request
from fgbench.runner.device import Precision, computing
from fgbench.runner.engine import Clock, Requests
from fgbench.runner.features import Gathered, label_maps
from fgbench.runner.label_maps import pack
from fgbench.runner.passes import Address
from fgbench.runner.progress import Progress
from fgbench.runner.ranks import ALONE, Ranks
from fgbench.runner.store import AnswerStore, row_key
from fgbench.runner.together import check_complete, share_broken, share_files, total
from fgbench.runner.windows import target_size
from fgbench.segmenter import Segmenter

if TYPE_CHECKING:
    import torch

CHUNK_IMAGES = 16


class _Chunk(NamedTuple):
    """Pictures that are looked at with the same prompts.

    Attributes:
        request: their classes and size.
        pictures: by the key of their answer.
    """

    request: LabelMaps
    pictures: dict[bytes, ImageRef]


class SegmenterEngine:
    """Executes a plan with a segmenter (:class:`fgbench.runner.engine.Engine`).

    Attributes:
        broken: see :class:`fgbench.runner.engine.Engine`.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        device: torch.device,
        precision: Precision,
        store: AnswerStore,
        ranks: Ranks = ALONE,
    ) -> None:
        """
        Args:
            segmenter: on its device.
            device: where it runs.
            precision: of activations.
            store: receives the label maps.
            ranks: the processes that share the work.
        """
        self.broken: dict[ImageRef, str] = {}
        self._segmenter = segmenter
        self._device = device
        self._precision = precision
        self._store = store
        self._addresses: dict[str, dict[str, Address]] = {}
        self._ranks = ranks
        self._prompted: LabelMaps | None = None
        self._counters = {"images_segmented": 0, "rows_reused": 0}

    def refusal(self, requests: Iterable[Request]) -> str | None:
        """See :class:`fgbench.runner.engine.Engine`."""
        if all(isinstance(each, LabelMaps) for each in requests):
            return None
        return f"asks for more than label maps, and {self._segmenter.info.name} is a segmenter."

    def execute(
        self, requests: Requests, probes: Mapping[ImageRef, Probe | str], progress: Progress, clock: Clock
    ) -> None:
        """See :class:`fgbench.runner.engine.Engine`."""
        chunks: list[_Chunk] = []
        known: set[bytes] = set()  # equal contents under several names, or in several datasets, are one picture
        for dataset, asked in requests.items():
            addresses = self._addresses[dataset] = {}
            for name, request in asked.items():
                assert isinstance(request, LabelMaps)  # all others were refused
                addresses[name] = self._address(request, probes)
                chunks.extend(_chunks(request, addresses[name], known))
        share = self._ranks.deal(chunks, lambda chunk: list(chunk.pictures))
        with progress.stage("images", sum(len(chunk.pictures) for chunk in share)) as advance:
            for chunk in share:
                self._segment(chunk, probes)
                advance(len(chunk.pictures))
        share_files(self._ranks, [self._store], everyone=False)
        share_broken(self._ranks, self.broken)
        self._counters = total(self._ranks, self._counters)
        if self._ranks.first:
            units = (([key], _digests(ref, probes)) for chunk in chunks for key, ref in chunk.pictures.items())
            check_complete(self._store.has, units, self.broken, probes)
        clock.lap("segment")

    def answers(self, dataset: str) -> Gathered:
        """See :class:`fgbench.runner.engine.Engine`."""
        return Gathered({name: label_maps(each, self._store) for name, each in self._addresses[dataset].items()})

    def counters(self) -> Mapping[str, int]:
        """See :class:`fgbench.runner.engine.Engine`."""
        return self._counters

    def _address(self, request: LabelMaps, probes: Mapping[ImageRef, Probe | str]) -> Address:
        prompts = repr(names_of_classes(request.classes))
        keys, rows, failed = [], [], {}
        for row, ref in enumerate(request.images):
            probe = probes[ref]
            if isinstance(probe, str):
                failed[row] = probe
                continue
            keys.append(row_key("segmenter", probe.digest, repr(_size(probe, request)), prompts))
            rows.append(row)
        return Address(keys, np.array(rows, dtype=np.int64), failed, len(request.images))

    def _segment(self, chunk: _Chunk, probes: Mapping[ImageRef, Probe | str]) -> None:
        request = chunk.request
        have = self._store.has(list(chunk.pictures))
        self._counters["rows_reused"] += int(have.sum())
        made: dict[bytes, bytes] = {}
        for (key, ref), stored in zip(chunk.pictures.items(), have.tolist(), strict=True):
            if stored:
                continue
            probe = probes[ref]
            assert isinstance(probe, Probe)
            try:
                picture = decode(ref)
            except DataError as error:
                self.broken[ref] = str(error)
                continue
            if self._prompted is not request:
                self._segmenter.set_prompts(names_of_classes(request.classes))
                self._prompted = request
            size = _size(probe, request)
            with computing(self._device, self._precision):
                found = self._segmenter.predict(picture, size)
            if found.dtype != np.uint16 or found.shape != size[::-1]:
                raise ModelError(
                    f"{self._segmenter.info.name}: predict returned {found.dtype} {list(found.shape)} for {ref}; "
                    f"expected uint16 [{size[1]}, {size[0]}]."
                )
            made[key] = pack(found)
            self._counters["images_segmented"] += 1
        if made:
            self._store.write(list(made), list(made.values()))


def _chunks(request: LabelMaps, address: Address, known: set[bytes]) -> Iterator[_Chunk]:
    """The pictures of a request that are not yet known, in chunks."""
    pictures: dict[bytes, ImageRef] = {}
    for key, row in zip(address.keys, address.rows.tolist(), strict=True):
        if key not in known:
            known.add(key)
            pictures[key] = request.images[row]
    work = list(pictures.items())
    for start in range(0, len(work), CHUNK_IMAGES):
        yield _Chunk(request, dict(work[start : start + CHUNK_IMAGES]))


def names_of_classes(prompts: ClassPrompts) -> list[list[str]]:
    """The names of each class, as a segmenter's ``set_prompts`` wants them."""
    classes = range(len(prompts.names)) if prompts.classes is None else prompts.classes
    pairs = zip(classes, prompts.names, strict=True)
    return [[name for _, name in group] for _, group in groupby(pairs, key=lambda pair: pair[0])]


def _size(probe: Probe, request: LabelMaps) -> tuple[int, int]:
    return target_size((probe.width, probe.height), request.short_side)


def _digests(ref: ImageRef, probes: Mapping[ImageRef, Probe | str]) -> list[str]:
    probe = probes[ref]
    return [probe.digest] if isinstance(probe, Probe) else []
