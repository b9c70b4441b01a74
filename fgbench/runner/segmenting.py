"""The engine of trained segmenters: label maps, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

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
from fgbench.runner.store import AnswerStore, row_key
from fgbench.runner.windows import target_size
from fgbench.segmenter import Segmenter

if TYPE_CHECKING:
    import torch

CHUNK_IMAGES = 16


class SegmenterEngine:
    """Executes a plan with a segmenter (:class:`fgbench.runner.engine.Engine`).

    Attributes:
        broken: see :class:`fgbench.runner.engine.Engine`.
    """

    def __init__(self, segmenter: Segmenter, device: torch.device, precision: Precision, store: AnswerStore) -> None:
        """
        Args:
            segmenter: on its device.
            device: where it runs.
            precision: of activations.
            store: receives the label maps.
        """
        self.broken: dict[ImageRef, str] = {}
        self._segmenter = segmenter
        self._device = device
        self._precision = precision
        self._store = store
        self._addresses: dict[str, dict[str, Address]] = {}
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
        total = sum(len(each.images) for each in _maps(requests))
        with progress.stage("images", total) as advance:
            for dataset, asked in requests.items():
                addresses = self._addresses[dataset] = {}
                for name, request in asked.items():
                    assert isinstance(request, LabelMaps)
                    addresses[name] = self._address(request, probes)
                    self._segment(request, addresses[name], probes)
                    advance(len(request.images))
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

    def _segment(self, request: LabelMaps, address: Address, probes: Mapping[ImageRef, Probe | str]) -> None:
        have = self._store.has(address.keys)
        self._counters["rows_reused"] += int(have.sum())
        pictures = {  # equal contents under several names are one picture
            key: request.images[row]
            for key, row, stored in zip(address.keys, address.rows.tolist(), have, strict=True)
            if not stored
        }
        work = list(pictures.items())
        if not work:
            return
        self._segmenter.set_prompts(names_of_classes(request.classes))
        for start in range(0, len(work), CHUNK_IMAGES):
            made: dict[bytes, bytes] = {}
            for key, ref in work[start : start + CHUNK_IMAGES]:
                probe = probes[ref]
                assert isinstance(probe, Probe)
                try:
                    picture = decode(ref)
                except DataError as error:
                    self.broken[ref] = str(error)
                    continue
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


def names_of_classes(prompts: ClassPrompts) -> list[list[str]]:
    """The names of each class, as a segmenter's ``set_prompts`` wants them."""
    classes = range(len(prompts.names)) if prompts.classes is None else prompts.classes
    pairs = zip(classes, prompts.names, strict=True)
    return [[name for _, name in group] for _, group in groupby(pairs, key=lambda pair: pair[0])]


def _size(probe: Probe, request: LabelMaps) -> tuple[int, int]:
    return target_size((probe.width, probe.height), request.short_side)


def _maps(requests: Requests) -> Iterator[LabelMaps]:
    for asked in requests.values():
        for each in asked.values():
            assert isinstance(each, LabelMaps)  # all others were refused
            yield each
