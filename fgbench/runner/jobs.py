"""From requests to work: which inputs a model has to encode, and under which key each result is found.

A *pass* is one trip through the vision tower: a picture, or a crop of it, under one view. Requests of all datasets that
need the same pass share it; a pass can yield the global embedding and any number of regions. Work is cut into chunks
that depend only on the plan, never on what is already stored: a resumed run repeats exactly the chunks it lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fgbench.adapter import AdapterInfo, Preprocessor, RegionMode
from fgbench.data.images import Probe
from fgbench.requests import ClassPrompts, ImageRef, Images, Regions, Request, TextKind, Texts
from fgbench.runner.regions import box_problem, crop_box, crop_size
from fgbench.runner.store import row_key

CHUNK_PASSES = 64
CHUNK_TEXTS = 512

Crop = tuple[int, int, int, int]


@dataclass
class Pass:
    """One trip through the vision tower.

    Attributes:
        view: name of the preprocessing.
        crop: (left, top, right, bottom) in pixels, or None for the whole picture.
        pooled: key of the global embedding, or None if nobody wants it.
        regions: box by key.
    """

    view: str
    crop: Crop | None
    pooled: bytes | None = None
    regions: dict[bytes, tuple[float, float, float, float]] = field(default_factory=dict)

    def row_keys(self) -> list[bytes]:
        """Keys of everything this pass yields, in row order."""
        return [*([self.pooled] if self.pooled else []), *self.regions]

    def only(self, wanted: frozenset[bytes]) -> Pass:
        """This pass without the results that are not wanted."""
        regions = {key: box for key, box in self.regions.items() if key in wanted}
        return Pass(self.view, self.crop, self.pooled if self.pooled in wanted else None, regions)


@dataclass(frozen=True)
class ImageJob:
    """A picture with every pass that it makes.

    Attributes:
        image: a picture with this content.
        size: (width, height) in pixels.
        passes: at least one.
    """

    image: ImageRef
    size: tuple[int, int]
    passes: tuple[Pass, ...]

    def row_keys(self) -> list[bytes]:
        """Keys of all rows, in order."""
        return [key for each in self.passes for key in each.row_keys()]


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
    """

    keys: list[bytes]
    rows: npt.NDArray[np.int64]
    failed: Mapping[int, str]
    size: int


class JobBuilder:
    """Collects requests; hands out addresses at once and the merged work in the end."""

    def __init__(
        self,
        info: AdapterInfo,
        preprocessor: Preprocessor,
        region_mode: RegionMode,
        probes: Mapping[ImageRef, Probe | str],
    ) -> None:
        """
        Args:
            info: of the model.
            preprocessor: names the views.
            region_mode: how boxes become embeddings.
            probes: size and digest of every picture, or the reason why there is none.
        """
        self._info = info
        self._preprocessor = preprocessor
        self._region_mode = region_mode
        self._probes = probes
        self._passes: dict[str, dict[tuple[str, Crop | None], Pass]] = {}
        self._images_by_digest: dict[str, ImageRef] = {}
        self._texts: dict[bytes, TextJob] = {}

    def address(self, request: Request) -> Address:
        """Note what the request needs and tell where its rows will be."""
        if isinstance(request, Images):
            return self._images(request)
        if isinstance(request, Regions):
            return self._regions(request)
        return self._strings(request)

    def image_chunks(self) -> list[list[ImageJob]]:
        """All pictures, those with equal views next to each other, in chunks of about ``CHUNK_PASSES`` passes."""
        jobs = [
            ImageJob(self._images_by_digest[digest], self._size(digest), tuple(passes.values()))
            for digest, passes in self._passes.items()
        ]
        jobs.sort(key=lambda job: tuple((each.crop is not None, each.view) for each in job.passes))
        chunks: list[list[ImageJob]] = []
        room = 0
        for job in jobs:
            if room <= 0:
                chunks.append([])
                room = CHUNK_PASSES
            chunks[-1].append(job)
            room -= len(job.passes)
        return chunks

    def text_chunks(self) -> list[list[TextJob]]:
        """All texts by path and length (so that batches hold texts of nearly equal length), in chunks."""
        jobs = sorted(
            self._texts.values(),
            key=lambda job: (self._info.text_path[job.kind], len(job.text.encode("utf-8", "replace"))),
        )
        chunks: list[list[TextJob]] = []
        for job in jobs:
            path = self._info.text_path[job.kind]
            if not chunks or len(chunks[-1]) == CHUNK_TEXTS or self._info.text_path[chunks[-1][0].kind] != path:
                chunks.append([])
            chunks[-1].append(job)
        return chunks

    def _images(self, request: Images) -> Address:
        keys: list[bytes] = []
        rows: list[int] = []
        failed: dict[int, str] = {}
        for row, ref in enumerate(request.images):
            probe = self._probes[ref]
            if isinstance(probe, str):
                failed[row] = probe
                continue
            view = self._preprocessor.view("global", (probe.width, probe.height), request.budget)
            keys.append(self._pooled(ref, probe, view, None))
            rows.append(row)
        return Address(keys, np.array(rows, dtype=np.int64), failed, len(request.images))

    def _regions(self, request: Regions) -> Address:
        keys: list[bytes] = []
        rows: list[int] = []
        failed: dict[int, str] = {}
        for row, (image, box) in enumerate(zip(request.image_index, request.boxes, strict=True)):
            ref = request.images[image]
            probe = self._probes[ref]
            problem = probe if isinstance(probe, str) else box_problem(box, probe.width, probe.height)
            if isinstance(probe, str) or problem:
                failed[row] = str(problem)
                continue
            keys.append(self._region(ref, probe, box, request.budget))
            rows.append(row)
        return Address(keys, np.array(rows, dtype=np.int64), failed, len(request.boxes))

    def _region(self, ref: ImageRef, probe: Probe, box: npt.NDArray[np.float64], budget: int | None) -> bytes:
        if self._region_mode == "crop":
            crop = crop_box(box)
            return self._pooled(ref, probe, self._preprocessor.view("global", crop_size(crop), budget), crop)
        size = (probe.width, probe.height)
        view = self._preprocessor.view("dense", size, budget)
        trip = self._pass(ref, probe, view, None)
        if trip.pooled is None and view == self._preprocessor.view("global", size, budget):
            # The pass yields the global embedding anyway; a later run with another dataset will look for it.
            self._pooled(ref, probe, view, None)
        key = row_key("roi", probe.digest, view, box.tobytes())
        trip.regions[key] = (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
        return key

    def _pooled(self, ref: ImageRef, probe: Probe, view: str, crop: Crop | None) -> bytes:
        trip = self._pass(ref, probe, view, crop)
        if trip.pooled is None:
            trip.pooled = row_key("pooled", probe.digest, view, repr(crop))
        return trip.pooled

    def _pass(self, ref: ImageRef, probe: Probe, view: str, crop: Crop | None) -> Pass:
        self._images_by_digest.setdefault(probe.digest, ref)
        passes = self._passes.setdefault(probe.digest, {})
        return passes.setdefault((view, crop), Pass(view, crop))

    def _size(self, digest: str) -> tuple[int, int]:
        probe = self._probes[self._images_by_digest[digest]]
        assert isinstance(probe, Probe)
        return probe.width, probe.height

    def _strings(self, request: Texts | ClassPrompts) -> Address:
        strings = request.strings()
        path = self._info.text_path[request.kind]
        keys = []
        for text in strings:
            key = row_key("text", path, text)
            keys.append(key)
            if key not in self._texts:
                self._texts[key] = TextJob(text, request.kind, key)
        per_row = len(request.templates) if isinstance(request, ClassPrompts) else 1
        rows = np.arange(len(strings), dtype=np.int64) // per_row
        return Address(keys, rows, {}, len(strings) // per_row)


def pending(chunk: Sequence[ImageJob], missing: Iterable[bytes]) -> list[ImageJob]:
    """The part of a chunk whose results are missing."""
    wanted = frozenset(missing)
    jobs = []
    for job in chunk:
        passes = tuple(each.only(wanted) for each in job.passes if wanted.intersection(each.row_keys()))
        if passes:
            jobs.append(ImageJob(job.image, job.size, passes))
    return jobs
