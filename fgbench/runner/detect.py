"""Run a detector over the pictures of a dataset: batched, resumable, all detections kept.

The pictures, by ascending id, are dealt to shards of a fixed number; a finished shard is one atomic file. The shards
follow from the pictures alone, and within one the batches hold pictures of equal shape after the detector's own
treatment, so nothing is padded. Pairs of a chunk are selected as in LLMDet's LVIS evaluation: all chunks are joined
without a further cut, no threshold, no non-maximum suppression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fgbench.data.images import decode
from fgbench.data.proposal_arrays import Float32, Int64, Proposals, from_rows
from fgbench.data.proposals import SUFFIX, write_index, write_shard
from fgbench.detector import Chunk, Detected, DetectionPictures, Detector
from fgbench.errors import DataError, ModelError
from fgbench.runner.detect_shards import (
    IMAGES_PER_SHARD,
    DetectionReport,
    by_id,
    check_files,
    clear,
    describe_run,
    plan_of,
    reuse,
)
from fgbench.runner.device import BatchRunner, computing
from fgbench.runner.progress import Progress
from fgbench.runner.ranks import ALONE, Ranks
from fgbench.runner.store import appeared

if TYPE_CHECKING:
    import torch
    from torch import Tensor


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
    ranks: Ranks = ALONE,
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
        ranks: the processes that share the shards; all of them call this.

    Raises:
        UsageError: the folder holds proposals of another detector or dataset.
        DataMissingError: picture files are not there.
        DataError: a picture cannot be decoded, or has another size than its annotation says.
        ModelError: the detector gives no finite numbers, or a single picture does not fit into memory.
        StoreError: a shard cannot be written.
    """
    pictures = by_id(pictures)
    check_files(pictures)
    chunks = detector.prepare(pictures.names)
    metadata = describe_run(detector, pictures, chunks, facts)
    plan = plan_of(metadata)
    report = DetectionReport(images=len(pictures.image_ids))
    shards = {
        f"{number:05d}": np.arange(start, min(start + IMAGES_PER_SHARD, report.images))
        for number, start in enumerate(range(0, report.images, IMAGES_PER_SHARD))
    }
    ranks.agree("the detector and the pictures", plan)
    there: set[str] = set()
    if ranks.first:
        if fresh:
            clear(folder)
        there = reuse(folder, plan, report)
    there = set(ranks.gather(sorted(there))[0])
    share = ranks.deal(list(shards.items()), lambda shard: [shard[0]])
    engine = _Engine(detector, pictures, chunks, device, batch_size, workers)
    with ranks.watching(progress).stage("detecting", sum(len(positions) for _, positions in share)) as advance:
        for name, positions in share:
            if name in there:
                advance(len(positions))
                continue
            shard = engine.shard(positions, plan, advance)
            write_shard(folder, name, shard)
            report.add(shard)
            report.made += 1
    report.splits = engine.runner.splits
    report = report.of_all(ranks)
    if ranks.first:
        for name in shards:
            appeared(folder / f"{name}{SUFFIX}")
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
