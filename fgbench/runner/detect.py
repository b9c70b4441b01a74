"""Run a detector over the pictures of a dataset: batched, resumable, all detections kept.

The pictures, by ascending id, are dealt to shards of :data:`IMAGES_PER_SHARD`; a finished shard is one atomic file. The
shards follow from the pictures alone, and within one the batches hold pictures of equal shape after the detector's own
treatment, so nothing is padded. Pairs of a chunk are selected as in LLMDet's LVIS evaluation: all chunks are joined
without a further cut, no threshold, no non-maximum suppression.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fgbench.data.images import decode
from fgbench.data.proposal_arrays import Float32, Int64, Proposals, from_rows
from fgbench.data.proposals import INDEX, SUFFIX, read_shard, write_index, write_shard
from fgbench.detector import Chunk, Detected, DetectionPictures, Detector
from fgbench.errors import DataError, DataMissingError, ModelError, UsageError
from fgbench.runner.device import BatchRunner, computing
from fgbench.runner.identity import _code, _weights
from fgbench.runner.progress import Progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor

IMAGES_PER_SHARD = 16
"""Work that a killed run repeats at most: minutes, with 31 chunks of LVIS names per picture."""

_FOR_PEOPLE = {"name", "source", "licence", "notes"}


@dataclass
class DetectionReport:
    """What a run did.

    Attributes:
        images: pictures of the dataset.
        reused, made: shards that were there, and that were made.
        damaged: names of shards that were made again because they failed their check.
        boxes, detections: unique boxes, and pairs of a box and a category.
        dropped: pairs that were left out, by reason.
        splits: how often a batch was halved because memory ran out.
    """

    images: int
    reused: int = 0
    made: int = 0
    damaged: list[str] = field(default_factory=list)
    boxes: int = 0
    detections: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    splits: int = 0

    def add(self, shard: Proposals) -> None:
        """Count what is in a shard."""
        self.boxes += len(shard.box)
        self.detections += len(shard)
        for reason, count in shard.metadata["dropped"].items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count


class _Picture(NamedTuple):
    """One of the pictures to be shown to the detector.

    Attributes:
        position: in the dataset.
        pixels: [3, H, W].
    """

    position: int
    pixels: Tensor


class _Rows(NamedTuple):
    """Detections of one picture: box float32 [n, 4] in pixels, class position int64 [n], score float32 [n]."""

    box: Float32
    label: Int64
    score: Float32


def run_detector(
    detector: Detector,
    pictures: DetectionPictures,
    folder: Path,
    *,
    device: torch.device,
    batch_size: int,
    workers: int,
    facts: Mapping[str, Any],
    fresh: bool,
    progress: Progress,
) -> DetectionReport:
    """Make the proposals of a dataset, or what is lacking of them.

    Args:
        detector: on the device, in evaluation mode.
        pictures: of the dataset.
        folder: where the proposals go.
        device: to compute on.
        batch_size: pictures per forward pass.
        workers: threads that load pictures.
        facts: about the dataset, for the metadata.
        fresh: make everything again.
        progress: told how far the run is.

    Raises:
        UsageError: the folder holds proposals of another detector or dataset.
        DataMissingError: picture files are not there.
        DataError: a picture cannot be decoded, or has another size than its annotation says.
        ModelError: the detector gives no finite numbers, or a single picture does not fit into memory.
        StoreError: a shard cannot be written.
    """
    pictures = _by_id(pictures)
    _check_files(pictures)
    chunks = detector.prepare(pictures.names)
    metadata = _metadata(detector, pictures, chunks, facts)
    plan = _plan(metadata)
    report = DetectionReport(images=len(pictures.image_ids))
    shards = {
        f"{number:05d}": np.arange(start, min(start + IMAGES_PER_SHARD, report.images))
        for number, start in enumerate(range(0, report.images, IMAGES_PER_SHARD))
    }
    if fresh:
        _clear(folder)
    there = _reuse(folder, plan, report)
    engine = _Engine(detector, pictures, chunks, device, batch_size, workers)
    with progress.stage("detecting", report.images) as advance:
        for name, positions in shards.items():
            if name in there:
                advance(len(positions))
                continue
            shard = engine.shard(positions, plan, advance)
            write_shard(folder, name, shard)
            report.add(shard)
            report.made += 1
    report.splits = engine.runner.splits
    totals = {"boxes": report.boxes, "detections": report.detections, "dropped": report.dropped}
    write_index(folder, {**metadata, **totals})
    return report


@dataclass
class _Engine:
    """A detector at work."""

    detector: Detector
    pictures: DetectionPictures
    chunks: Sequence[Chunk]
    device: torch.device
    batch_size: int
    workers: int
    runner: BatchRunner = field(default_factory=BatchRunner)

    def shard(self, positions: Int64, plan: str, advance: Callable[[int], None]) -> Proposals:
        """The proposals of some pictures."""
        found: dict[int, _Rows] = {}
        for batch in self._batches(positions):
            for part in self.runner(self._detect, batch):
                found.update(part)
            advance(len(batch))
        image_ids = self.pictures.image_ids[positions]
        rows = [found[position] for position in positions.tolist()]
        image = np.repeat(np.arange(len(rows)), [len(each.label) for each in rows])
        box, label, score = (np.concatenate(column) for column in zip(*rows, strict=True))
        whole = (box[:, 2:] > box[:, :2]).all(axis=1)
        metadata = {"plan": plan, "dropped": {"empty_box": int((~whole).sum())}}
        category = self.pictures.category_ids[label[whole]]
        return from_rows(image_ids, image[whole], box[whole], category, score[whole], metadata)

    def _batches(self, positions: Int64) -> Iterator[list[_Picture]]:
        """Pictures of equal shape, in the order in which the first of each shape stands in the shard."""
        by_shape: dict[tuple[int, ...], list[_Picture]] = {}
        with ThreadPoolExecutor(max(1, self.workers)) as pool:
            for picture in pool.map(self._load, positions.tolist()):
                by_shape.setdefault(tuple(picture.pixels.shape), []).append(picture)
        for same in by_shape.values():
            for start in range(0, len(same), self.batch_size):
                yield same[start : start + self.batch_size]

    def _load(self, position: int) -> _Picture:
        ref = self.pictures.images[position]
        image = decode(ref)
        expected = tuple(self.pictures.sizes[position].tolist())
        if image.size != expected:
            raise DataError(
                f"{ref}: {image.width}×{image.height} pixels, but the annotations of image "
                f"{self.pictures.image_ids[position]} say {expected[0]}×{expected[1]}. Is it another set's picture?"
            )
        return _Picture(position, self.detector.pixels(image))

    def _detect(self, batch: Sequence[_Picture]) -> dict[int, _Rows]:
        import torch

        parts: list[list[_Rows]] = [[] for _ in batch]
        with computing(self.device, "fp32"):
            seen = self.detector.look(torch.stack([each.pixels for each in batch]).to(self.device))
            for chunk in self.chunks:
                detected = self.detector.detect(seen, chunk)
                for part, picture, rows in zip(parts, batch, self._best(detected, chunk), strict=True):
                    part.append(self._in_pixels(rows, picture.position))
        return {
            picture.position: _Rows(*(np.concatenate(columns) for columns in zip(*part, strict=True)))
            for picture, part in zip(batch, parts, strict=True)
        }

    def _best(self, detected: Detected, chunk: Chunk) -> Iterator[_Rows]:
        """The best pairs of each picture, in descending score (of equal ones the lowest query, then class)."""
        scores = detected.scores.float().flatten(1)
        if detected.scores.shape[-1] != chunk.size or detected.boxes.shape != (*detected.scores.shape[:-1], 4):
            raise ModelError(
                f"{self.detector.info.name}: boxes {list(detected.boxes.shape)} and scores "
                f"{list(detected.scores.shape)} for {chunk.size} names; expected [B, Q, 4] and [B, Q, {chunk.size}]."
            )
        best, pair = scores.sort(dim=1, descending=True, stable=True)
        kept = self.detector.info.pairs_per_chunk
        for score, index, boxes in zip(best[:, :kept].cpu(), pair[:, :kept].cpu(), detected.boxes.cpu(), strict=True):
            yield _Rows(
                boxes[index // chunk.size].float().numpy(),
                (index % chunk.size + chunk.start).numpy(),
                score.numpy(),
            )

    def _in_pixels(self, rows: _Rows, position: int) -> _Rows:
        if not (np.isfinite(rows.box).all() and np.isfinite(rows.score).all()):
            raise ModelError(
                f"{self.detector.info.name}: NaN or infinity for image {self.pictures.image_ids[position]}."
            )
        width, height = self.pictures.sizes[position].tolist()
        scale = np.array([width, height, width, height], dtype=np.float32)
        return _Rows(np.clip(rows.box, 0, 1) * scale, rows.label, rows.score)


def _metadata(
    detector: Detector, pictures: DetectionPictures, chunks: Sequence[Chunk], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything that the proposals depend on; nothing that depends on the attempt."""
    info = asdict(detector.info)
    return {
        **facts,
        "detector": {**info, "notes": list(detector.info.notes)},
        "weights_sha256": _weights(detector.module),
        "code": _code(type(detector)),
        "prompts_sha256": _digest([chunk.prompt for chunk in chunks]),
        "chunks": len(chunks),
        "categories_sha256": _digest([pictures.category_ids.tolist(), list(pictures.names)]),
        "categories": len(pictures.names),
        "images_sha256": _digest([pictures.image_ids.tolist(), pictures.sizes.tolist()]),
        "images": len(pictures.image_ids),
        "images_per_shard": IMAGES_PER_SHARD,
    }


def _by_id(pictures: DetectionPictures) -> DetectionPictures:
    order = np.argsort(pictures.image_ids, kind="stable")
    images = [pictures.images[number] for number in order]
    return replace(pictures, image_ids=pictures.image_ids[order], images=images, sizes=pictures.sizes[order])


def _plan(metadata: Mapping[str, Any]) -> str:
    """Identifies a run: its metadata without what only people read."""
    detector = {key: value for key, value in metadata["detector"].items() if key not in _FOR_PEOPLE}
    return _digest({**metadata, "detector": detector})


def _reuse(folder: Path, plan: str, report: DetectionReport) -> set[str]:
    """Names of the shards that are there; damaged ones are to be made again.

    Raises:
        UsageError: a shard of another plan.
    """
    good: set[str] = set()
    for path in _shards(folder):
        try:
            shard = read_shard(path)
        except DataError:
            report.damaged.append(path.name)
            path.unlink()
            continue
        if shard.metadata.get("plan") != plan:
            raise UsageError(
                f"{folder} holds proposals of another detector, of another version of it, or of other pictures. Name "
                "another folder with --output, or pass --fresh to replace them."
            )
        good.add(path.name.removesuffix(SUFFIX))
        report.add(shard)
    report.reused = len(good)
    return good


def _clear(folder: Path) -> None:
    shards = _shards(folder)
    (folder / INDEX).unlink(missing_ok=True)
    for path in shards:
        path.unlink()


def _shards(folder: Path) -> list[Path]:
    """The shards there.

    Raises:
        UsageError: there are other files of arrays, perhaps somebody's weights.
    """
    found = sorted(folder.glob(f"*{SUFFIX}"))
    for path in found:
        if not re.fullmatch(r"\d{5}", path.stem):
            raise UsageError(f"{folder} holds {path.name}, which is no part of proposals. Name an empty --output.")
    return found


def _check_files(pictures: DetectionPictures) -> None:
    """Find out before hours of work that pictures are not there.

    Raises:
        DataMissingError: how many, and the first.
    """
    missing = [ref for ref in pictures.images if not Path(ref.path).exists()]
    if missing:
        raise DataMissingError(
            f"{len(missing):,} of {len(pictures.images):,} pictures are not there, the first is {missing[0]}. "
            "A detector has to see all of them."
        )


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
