"""What a plan costs with one dual encoder: its work by kind, the measured seconds of each kind, and their product.

Nothing here loads a model or opens a picture: sizes, and the seconds per pass, come from the caller.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from fgbench.adapter import AdapterInfo, Preprocessor, RegionMode
from fgbench.data.images import Probe
from fgbench.requests import Generate, ImageRef, LabelMaps, Regions, RegionScores, Request
from fgbench.runner.jobs import JobBuilder

Size = tuple[int, int]

KEY_BYTES = 40
"""Of a stored vector, beside its values."""

MAP_BYTES = (0.01, 0.05, 0.5)
"""Of a stored label map per pixel, deflated: few large areas, usual, confetti."""

SHORTEST = 16
"""Texts up to so many bytes are of one kind; the next kinds are twice as long each."""


class Range(NamedTuple):
    """A quantity: low, expected, high."""

    low: float
    expected: float
    high: float

    def times(self, factor: float) -> Range:
        """So many times all three."""
        return Range(self.low * factor, self.expected * factor, self.high * factor)

    def plus(self, other: Range) -> Range:
        """The sum of two quantities."""
        return Range(self.low + other.low, self.expected + other.expected, self.high + other.high)


NOTHING = Range(0.0, 0.0, 0.0)


class PassKind(NamedTuple):
    """A kind of image pass: its view, and whether the dense map is asked for."""

    view: str
    dense: bool


class TextKindOf(NamedTuple):
    """A kind of text: the model's path for it, and its length in bytes, rounded up to a power of two."""

    path: str
    length: int


@dataclass(frozen=True)
class Work:
    """What a model has to do.

    Attributes:
        passes: image passes by kind.
        texts: distinct texts by kind.
        pictures: pictures to be decoded.
        vectors: embeddings to be stored.
        pixels: of all label maps.
        score_bytes: of all region scores.
        rows: rows of the largest answer, all requests of a dataset together.
    """

    passes: Counter[PassKind]
    texts: Counter[TextKindOf]
    pictures: int
    vectors: int
    pixels: int
    score_bytes: int
    rows: int


@dataclass(frozen=True)
class Rates:
    """Seconds per item, as measured.

    Attributes:
        passes, texts: of the model, by kind.
        preparing: decoding and preprocessing of one picture, by kind of pass.
    """

    passes: Mapping[PassKind, Range]
    texts: Mapping[TextKindOf, Range]
    preparing: Mapping[PassKind, Range]


class Price(NamedTuple):
    """What it costs: seconds of the text and image stages, bytes on disk."""

    texts: Range
    images: Range
    disk: Range

    @property
    def seconds(self) -> Range:
        """Both stages."""
        return self.texts.plus(self.images)


def answerable(info: AdapterInfo, region_mode: RegionMode, requests: Iterable[Request]) -> bool:
    """Can a dual encoder of this kind answer all of these?"""
    return not any(
        isinstance(each, Generate)
        or (info.dense is None and isinstance(each, LabelMaps))
        or (info.dense is None and region_mode == "roi" and isinstance(each, (Regions, RegionScores)))
        for each in requests
    )


def work_of(
    info: AdapterInfo,
    preprocessor: Preprocessor,
    region_mode: RegionMode,
    datasets: Iterable[Iterable[Request]],
    sizes: Mapping[ImageRef, Size],
) -> Work:
    """Count the work of some datasets, which share what they have in common.

    The engine's own job builder counts. Pictures count as different if their files are; what equal contents under two
    names save is not known before they are read.

    Args:
        info, preprocessor, region_mode: of the model and the run.
        datasets: the requests of each.
        sizes: (width, height) of every picture; those that are not here are not on disk.
    """
    probes: dict[ImageRef, Probe | str] = {ref: Probe(str(ref), *size) for ref, size in sizes.items()}
    builder = JobBuilder(info, preprocessor, region_mode, _Or(probes))
    pixels = score_bytes = rows = 0
    for requests in datasets:
        here = 0
        for request in requests:
            here += builder.address(request).size
            if isinstance(request, LabelMaps):
                pixels += sum(width * height for width, height in (sizes.get(ref, (0, 0)) for ref in request.images))
            elif isinstance(request, RegionScores):
                score_bytes += 4 * len(request.pair_box) + (4 * len(request.temperatures) + 12) * len(request.boxes)
        rows = max(rows, here)
    jobs = [job for chunk in builder.image_chunks() for job in chunk]
    texts = [job for chunk in builder.text_chunks() for job in chunk]
    return Work(
        passes=Counter(PassKind(each.cut.view, each.needs_dense) for job in jobs for each in job.passes),
        texts=Counter(text_kind(info.text_path[job.kind], job.text) for job in texts),
        pictures=len(jobs),
        vectors=sum(len(job.row_keys()) for job in jobs) + len(texts),
        pixels=pixels,
        score_bytes=score_bytes,
        rows=rows,
    )


class _Or(dict[ImageRef, "Probe | str"]):
    """Probes; pictures that are not among them are missing."""

    def __missing__(self, ref: ImageRef) -> str:
        return "image_missing"


def text_kind(path: str, text: str) -> TextKindOf:
    """The kind of a text."""
    length = SHORTEST
    while length < len(text.encode("utf-8", "replace")):
        length *= 2
    return TextKindOf(path, length)


def price(work: Work, rates: Rates, dim: int, *, overlapping: bool, workers: int) -> Price:
    """Multiply.

    Args:
        work: what is to be done.
        rates: seconds of everything in it.
        dim: values of a vector.
        overlapping: pictures are prepared while a device of its own computes; else both share the processor.
        workers: loading processes.
    """
    model = _sum(rates.passes[kind].times(count) for kind, count in work.passes.items())
    preparing = _sum(rates.preparing[kind].times(count) for kind, count in work.passes.items())
    if overlapping:
        preparing = preparing.times(1 / max(workers, 1))
        images = Range(*(max(pair) for pair in zip(model, preparing, strict=True)))
    else:
        images = model.plus(preparing)
    fixed = work.vectors * (4 * dim + KEY_BYTES) + work.score_bytes
    return Price(
        texts=_sum(rates.texts[kind].times(count) for kind, count in work.texts.items()),
        images=images,
        disk=Range(*(fixed + each * work.pixels for each in MAP_BYTES)),
    )


def deviation(
    expected: Price, work: Work, counters: Mapping[str, int], seconds: Mapping[str, float], processes: int = 1
) -> dict[str, float] | None:
    """How far an estimate was off, after a run; for ``timings`` of a record.

    Only what the run did is compared: a run that found half of it stored is expected to take half as long.

    Args:
        expected: the price of ``work``.
        work: of the plan.
        counters: ``image_passes`` and ``texts_encoded`` of the run.
        seconds: ``encode_images`` and ``encode_texts`` of the run.
        processes: that shared the work.

    Returns:
        ``estimated`` and ``actual`` seconds of both stages, and ``ratio``, actual by estimated (1 was right); None if
        nothing was encoded.
    """
    done = (
        counters["image_passes"] / max(sum(work.passes.values()), 1),
        counters["texts_encoded"] / max(sum(work.texts.values()), 1),
    )
    estimated = (expected.images.expected * done[0] + expected.texts.expected * done[1]) / processes
    if not 0 < estimated < math.inf:
        return None
    actual = seconds["encode_images"] + seconds["encode_texts"]
    return {"estimated": estimated, "actual": actual, "ratio": actual / estimated}


def _sum(ranges: Iterable[Range]) -> Range:
    total = NOTHING
    for each in ranges:
        total = total.plus(each)
    return total
