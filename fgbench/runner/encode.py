"""Running a model over chunks of work and storing what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fgbench.adapter import Adapter, TextFeatures
from fgbench.requests import Float32, ImageRef
from fgbench.runner.chunk_results import ChunkReductions, ChunkResults, ChunkRows
from fgbench.runner.compiling import compiled
from fgbench.runner.device import BatchRunner, Precision, computing
from fgbench.runner.features import prototypes
from fgbench.runner.from_model import check_image_features, check_text_features, to_host
from fgbench.runner.loading import Prepared, prepare_all
from fgbench.runner.passes import ImageJob, Pass, TextJob, pending
from fgbench.runner.reductions import PassFeatures, Reduction
from fgbench.runner.regions import pool
from fgbench.runner.store import AnswerStore, FeatureStore
from fgbench.runner.transfer import Transfer, collate, host_inputs

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Advance = Callable[[int], None]


@dataclass
class EncodeStats:
    """What encoding did; part of a record's timings.

    Attributes:
        image_passes: pictures and crops that went through the vision tower.
        images_decoded: pictures decoded.
        regions_pooled: boxes pooled from dense maps and stored.
        reductions: label maps and sets of region scores made.
        texts_encoded: texts that went through the text tower.
        rows_reused: embeddings and answers found in the stores.
        chunks_encoded: chunks with anything to encode.
        memory_splits: batches that had to be halved.
    """

    image_passes: int = 0
    images_decoded: int = 0
    regions_pooled: int = 0
    reductions: int = 0
    texts_encoded: int = 0
    rows_reused: int = 0
    chunks_encoded: int = 0
    memory_splits: int = 0


class _Trip(NamedTuple):
    """One pass, ready for the model."""

    job: ImageJob
    trip: Pass
    inputs: Mapping[str, Tensor]


class _Batch(NamedTuple):
    """Passes of one view; without any: its chunk ends here."""

    chunk: ChunkResults
    trips: list[_Trip]
    dense: bool = False


@dataclass
class Encoder:
    """Encodes with one model on one device.

    Attributes:
        adapter: the model.
        device: where it runs.
        precision: of activations; weights stay float32.
        batch_size: pictures per forward pass (texts: ``TEXTS_PER_IMAGE`` times as many).
        workers: loading processes.
        store: receives the embeddings.
        answers: receives what reductions make.
        stats: counters.
        broken: message for every picture that could not be decoded.
        compiled: parts of the network that run compiled.
    """

    adapter: Adapter
    device: torch.device
    precision: Precision
    batch_size: int
    workers: int
    store: FeatureStore
    answers: AnswerStore
    stats: EncodeStats = field(default_factory=EncodeStats)
    broken: dict[ImageRef, str] = field(default_factory=dict)
    compiled: Sequence[nn.Module] = ()
    _prepared: dict[tuple[type, bytes], object] = field(default_factory=dict)

    TEXTS_PER_IMAGE = 8

    @contextmanager
    def _computing(self) -> Iterator[None]:
        with computing(self.device, self.precision), compiled(self.compiled):
            yield

    def encode_images(self, chunks: Sequence[Sequence[ImageJob]], advance: Advance = lambda _: None) -> None:
        """Encode what the stores lack of each chunk; a finished chunk is on disk before the next one is.

        Texts come first (:meth:`encode_texts`): reductions need the class prototypes.

        Args:
            chunks: work, as cut by the job builder.
            advance: called with a number of finished jobs.

        Raises:
            ModelError: NaN or infinity from the model, or wrong shapes.
            StoreError: a chunk cannot be written.
        """
        work = []
        for chunk in chunks:
            keys = [key for job in chunk for key in job.row_keys()]
            answers = [key for job in chunk for key in job.answer_keys()]
            have = np.concatenate([self.store.has(keys), self.answers.has(answers)])
            self.stats.rows_reused += int(have.sum())
            jobs = pending(chunk, (key for key, stored in zip(keys + answers, have, strict=True) if not stored))
            advance(len(chunk) - len(jobs))
            if jobs:
                work.append(jobs)
        prepared = prepare_all(
            [job for jobs in work for job in jobs],
            self.adapter.preprocessor,
            workers=self.workers,
            pin_memory=self.device.type == "cuda",
        )
        runner = BatchRunner()
        with self._computing():
            for batch, inputs in Transfer(self.device)(self._batches(work, prepared), self._load):
                if batch.trips:
                    self._encode(batch, inputs, runner)
                else:
                    self._finish(batch.chunk)
                    advance(batch.chunk.jobs)
        self.stats.memory_splits += runner.splits

    def encode_texts(self, chunks: Sequence[Sequence[TextJob]], advance: Advance = lambda _: None) -> None:
        """Encode the texts that the store lacks; as :meth:`encode_images`."""
        runner = BatchRunner()
        with self._computing():
            for chunk in chunks:
                have = self.store.has([job.key for job in chunk])
                self.stats.rows_reused += int(have.sum())
                jobs = [job for job, stored in zip(chunk, have, strict=True) if not stored]
                if jobs:
                    self._text_chunk(jobs, runner)
                advance(len(chunk))
        self.stats.memory_splits += runner.splits

    def _text_chunk(self, jobs: Sequence[TextJob], runner: BatchRunner) -> None:
        size = self.batch_size * self.TEXTS_PER_IMAGE
        vectors: list[Tensor] = []
        truncated: list[bool] = []
        for start in range(0, len(jobs), size):
            for features in runner(self._text_batch, jobs[start : start + size]):
                vectors.append(features.vectors)
                truncated.extend(features.truncated)
        self.stats.texts_encoded += len(jobs)
        self.stats.chunks_encoded += 1
        rows = self._on_host(vectors, lambda row: repr(jobs[row].text))
        self.store.write([job.key for job in jobs], rows, np.array(truncated, dtype=np.uint8))

    def _batches(self, work: Sequence[Sequence[ImageJob]], prepared: Iterator[Prepared]) -> Iterator[_Batch]:
        """Batches of each chunk, as its pictures arrive, and then its end. Batches never cross chunks."""
        for jobs in work:
            chunk = ChunkResults(len(jobs), ChunkRows(), ChunkReductions(self.prepared))
            groups: dict[tuple[str, bool], list[_Trip]] = {}
            for _ in jobs:
                item = next(prepared)
                if item.inputs is None:
                    self.broken[item.job.image] = item.problem
                    continue
                self.stats.images_decoded += 1
                for trip, inputs in zip(item.job.passes, item.inputs, strict=True):
                    key = trip.cut.view, trip.needs_dense
                    group = groups.setdefault(key, [])
                    group.append(_Trip(item.job, trip, inputs))
                    if len(group) == self.batch_size:
                        yield _Batch(chunk, groups.pop(key), trip.needs_dense)
            for (_, dense), group in groups.items():
                yield _Batch(chunk, group, dense)
            yield _Batch(chunk, [])

    def _load(self, batch: _Batch) -> dict[str, Tensor]:
        return self._collate(batch.trips) if batch.trips else {}

    def _collate(self, trips: Sequence[_Trip]) -> dict[str, Tensor]:
        return collate([each.inputs for each in trips], self.device, host_inputs(self.adapter.preprocessor))

    def _encode(self, batch: _Batch, inputs: dict[str, Tensor] | None, runner: BatchRunner) -> None:
        """Run the model; a part of a batch that was too large is collated anew."""

        def run(part: Sequence[_Trip]) -> list[tuple[Tensor, PassFeatures]]:
            whole = inputs is not None and len(part) == len(batch.trips)
            return self._image_batch(part, inputs if whole and inputs else self._collate(part), batch.dense)

        found = (each for part in runner(run, batch.trips) for each in part)
        for each, (vectors, features) in zip(batch.trips, found, strict=True):
            batch.chunk.rows.add(each.trip.row_keys(), vectors, str(each.job.image))
            batch.chunk.reducing.take(each.job, each.trip.cut, features)

    def _finish(self, chunk: ChunkResults) -> None:
        """Store a chunk; the one place where the host waits for the device."""
        rows, reducing = chunk.rows, chunk.reducing
        self.stats.chunks_encoded += bool(rows.keys or reducing.keys)
        self.stats.reductions += len(reducing.keys)
        if rows.keys:
            self.store.write(rows.keys, self._on_host(rows.vectors, lambda row: rows.origins[row]))
        if reducing.keys:
            self.answers.write(reducing.keys, reducing.made())

    def _image_batch(
        self, trips: Sequence[_Trip], batch: Mapping[str, Tensor], dense: bool
    ) -> list[tuple[Tensor, PassFeatures]]:
        """Of each trip: its rows in the order of their keys, [rows, D], and its features; all on the device."""
        import torch

        features = self.adapter.encode_images(batch, dense=dense)
        grids = check_image_features(self.adapter.info, features, len(trips), dense)
        found = []
        for number, each in enumerate(trips):
            pooled = features.pooled[number].float()
            parts = [pooled[None]] if each.trip.pooled else []
            tokens, grid = None, None
            if dense and features.tokens is not None:
                grid = grids[number]
                tokens = features.tokens[number].float()
                if self.adapter.info.dense_pooling == "token-normalised":
                    tokens = torch.nn.functional.normalize(tokens, dim=-1)
            if each.trip.regions and tokens is not None and grid is not None:
                boxes = np.array(list(each.trip.regions.values()), dtype=np.float64)
                with torch.autocast(self.device.type, enabled=False):
                    parts.append(pool(tokens, grid, each.job.size, boxes))
                self.stats.regions_pooled += len(boxes)
            found.append((torch.cat(parts or [pooled[None][:0]]), PassFeatures(pooled, tokens, grid)))
        self.stats.image_passes += len(trips)
        return found

    def prepared(self, reduction: Reduction) -> object:
        """The prototypes that a reduction needs, on the device; made once for all pictures."""
        key = type(reduction), reduction.classes.key
        if key not in self._prepared:
            classes = reduction.classes
            vectors, _ = self.store.read(classes.keys)
            self._prepared[key] = reduction.prepare(prototypes(vectors, classes.templates, classes.groups), self.device)
        return self._prepared[key]

    def _text_batch(self, jobs: Sequence[TextJob]) -> TextFeatures:
        vectors, truncated = self.adapter.encode_texts([job.text for job in jobs], jobs[0].kind)
        check_text_features(self.adapter.info, vectors, truncated, len(jobs))
        return TextFeatures(vectors.float(), truncated)

    def _on_host(self, vectors: list[Tensor], origin: Callable[[int], str]) -> Float32:
        hint = " Half precision overflows in some models: try --precision fp32." if self.precision != "fp32" else ""
        return to_host(vectors, self.adapter.info.name, origin, hint)
