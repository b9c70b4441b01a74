"""The generation stage: from prompts to stored replies, as :mod:`fgbench.runner.encode` is for embeddings.

Prompts that are equal in text, pictures (by content), limit and stop strings are answered once, whoever asks. Work is
cut into chunks that follow from the plan alone, and every finished chunk is on disk before the next one is: a resumed
run repeats exactly the batches that it lacks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from fgbench.data.images import Probe, decode
from fgbench.errors import DataError, ModelError, StoreError
from fgbench.generator import Generator, Reply
from fgbench.requests import Generate, ImageRef, Prompt, Replies
from fgbench.runner.device import BatchRunner, Precision, computing
from fgbench.runner.features import UNDECODED
from fgbench.runner.passes import Address
from fgbench.runner.store import AnswerStore, row_key

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

CHUNK_PROMPTS = 64

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class GenerateStats:
    """What generating did; part of a record's timings.

    Attributes:
        prompts_answered: prompts that the model answered.
        replies_reused: replies found in the store.
        tokens_generated: new tokens, end tokens included.
        images_decoded: pictures decoded.
        chunks_generated: chunks with anything to answer.
        memory_splits: batches that had to be halved.
    """

    prompts_answered: int = 0
    replies_reused: int = 0
    tokens_generated: int = 0
    images_decoded: int = 0
    chunks_generated: int = 0
    memory_splits: int = 0


class PromptJob(NamedTuple):
    """A prompt to answer.

    Attributes:
        prompt: text, pictures, limit and stop strings.
        digests: contents of its pictures.
        key: of its reply.
    """

    prompt: Prompt
    digests: tuple[str, ...]
    key: bytes


class PromptJobs:
    """Collects requests; hands out addresses at once and the merged work in the end."""

    def __init__(self, probes: Mapping[ImageRef, Probe | str]) -> None:
        """
        Args:
            probes: size and digest of every picture, or the reason why there is none.
        """
        self._probes = probes
        self._jobs: dict[bytes, PromptJob] = {}

    def address(self, request: Generate) -> Address:
        """Note what the request needs and tell where its replies will be."""
        keys: list[bytes] = []
        rows: list[int] = []
        failed: dict[int, str] = {}
        for row, prompt in enumerate(request.prompts):
            probes = [self._probes[ref] for ref in prompt.images]
            reason = next((probe for probe in probes if isinstance(probe, str)), None)
            if reason is not None:
                failed[row] = reason
                continue
            digests = tuple(probe.digest for probe in probes if isinstance(probe, Probe))
            key = row_key("reply", prompt.text, str(prompt.max_tokens), str(len(digests)), *digests, *prompt.stop)
            self._jobs.setdefault(key, PromptJob(prompt, digests, key))
            keys.append(key)
            rows.append(row)
        return Address(keys, np.array(rows, dtype=np.int64), failed, len(request.prompts))

    def chunks(self) -> list[list[PromptJob]]:
        """All prompts in chunks: by limit, number of pictures and length, so that batches hold prompts of one shape."""

        def shape(job: PromptJob) -> tuple[int, int, int]:
            prompt = job.prompt
            return prompt.max_tokens, len(prompt.images), len(prompt.text.encode("utf-8", "replace"))

        chunks: list[list[PromptJob]] = []
        for job in sorted(self._jobs.values(), key=shape):
            if not chunks or len(chunks[-1]) == CHUNK_PROMPTS or shape(chunks[-1][0])[0] != shape(job)[0]:
                chunks.append([])
            chunks[-1].append(job)
        return chunks


class _Ready(NamedTuple):
    """A prompt with its pictures in memory; without a picture that could not be decoded, and then not answered."""

    job: PromptJob
    images: list[Image]
    problem: bool


@dataclass
class Answerer:
    """Answers prompts with one model on one device.

    Attributes:
        generator: the model.
        device: where it runs.
        precision: of activations.
        batch_size: prompts per batch.
        store: receives the replies.
        stats: counters.
        broken: message for every picture that could not be decoded.
    """

    generator: Generator
    device: torch.device
    precision: Precision
    batch_size: int
    store: AnswerStore
    stats: GenerateStats = field(default_factory=GenerateStats)
    broken: dict[ImageRef, str] = field(default_factory=dict)

    def answer(self, chunks: Sequence[Sequence[PromptJob]], advance: Callable[[int], None] = lambda _: None) -> None:
        """Answer what the store lacks of each chunk.

        Args:
            chunks: work, as cut by :class:`PromptJobs`.
            advance: called with a number of finished prompts.

        Raises:
            ModelError: the model does not keep to its protocol, or a single prompt does not fit the memory.
            StoreError: a chunk cannot be written.
        """
        work: list[list[list[PromptJob]]] = []
        for chunk in chunks:
            have = self.store.has([job.key for job in chunk])
            self.stats.replies_reused += int(have.sum())
            advance(int(have.sum()))
            jobs = [job for job, stored in zip(chunk, have, strict=True) if not stored]
            if jobs:
                work.append(list(self._batches(jobs)))
        runner = BatchRunner()
        loaded = _one_ahead(self._load, [batch for batches in work for batch in batches])
        for batches in work:
            replies: dict[bytes, bytes] = {}
            for batch in batches:
                for key, reply in self._run([each for each in next(loaded) if not each.problem], runner):
                    replies[key] = _pack(reply)
                advance(len(batch))
            if replies:
                self.store.write(list(replies), list(replies.values()))
                self.stats.chunks_generated += 1
        self.stats.memory_splits += runner.splits

    def _batches(self, jobs: Sequence[PromptJob]) -> Iterator[list[PromptJob]]:
        """Jobs of one chunk in batches with equally many pictures per prompt."""
        batch: list[PromptJob] = []
        for job in jobs:
            if batch and (len(batch) == self.batch_size or len(batch[0].digests) != len(job.digests)):
                yield batch
                batch = []
            batch.append(job)
        yield batch

    def _load(self, batch: Sequence[PromptJob]) -> list[_Ready]:
        """Decode the pictures of a batch, each content once."""
        decoded: dict[str, Image | None] = {}
        for job in batch:
            for ref, digest in zip(job.prompt.images, job.digests, strict=True):
                if digest in decoded:
                    continue
                try:
                    decoded[digest] = decode(ref)
                    self.stats.images_decoded += 1
                except DataError as error:
                    decoded[digest] = None
                    self.broken[ref] = str(error)
        ready = []
        for job in batch:
            images = [decoded[digest] for digest in job.digests]
            whole = [image for image in images if image is not None]
            ready.append(_Ready(job, whole, len(whole) < len(images)))
        return ready

    def _run(self, batch: Sequence[_Ready], runner: BatchRunner) -> Iterator[tuple[bytes, Reply]]:
        if not batch:
            return
        with computing(self.device, self.precision):
            replies = [reply for part in runner(self._generate, batch) for reply in part]
        for each, reply in zip(batch, replies, strict=True):
            self.stats.prompts_answered += 1
            self.stats.tokens_generated += reply.tokens
            yield each.job.key, cut_at_stop(reply, each.job.prompt.stop)

    def _generate(self, batch: Sequence[_Ready]) -> list[Reply]:
        texts = [each.job.prompt.text for each in batch]
        replies = self.generator.generate(texts, [each.images for each in batch], batch[0].job.prompt.max_tokens)
        if len(replies) != len(batch) or not all(isinstance(reply, Reply) for reply in replies):
            raise ModelError(
                f"{self.generator.info.name}: generate returned {len(replies)} answers to {len(batch)} prompts, of "
                f"type {', '.join(sorted({type(reply).__name__ for reply in replies})) or 'none'}; expected one "
                "fgbench.generator.Reply for each."
            )
        return replies


class Answered(NamedTuple):
    """Stored replies to a request.

    Attributes:
        replies: by row.
        truncated: keys of those that reached the limit without an end token.
    """

    replies: Replies
    truncated: frozenset[bytes]


def gather_replies(address: Address, store: AnswerStore) -> Answered:
    """Read the replies to a request; those that were never stored belong to pictures that could not be decoded.

    Raises:
        StoreError: what is stored is no reply.
    """
    texts = [""] * address.size
    failed = dict(address.failed)
    stored = store.has(address.keys)
    found = iter(store.read([key for key, have in zip(address.keys, stored, strict=True) if have]))
    truncated = set()
    for row, key, have in zip(address.rows.tolist(), address.keys, stored, strict=True):
        if not have:
            failed[row] = UNDECODED
            continue
        reply = _unpack(next(found))
        texts[row] = reply.text
        if reply.truncated:
            truncated.add(key)
        if reply.problem:
            failed[row] = reply.problem
    return Answered(Replies(texts, failed), frozenset(truncated))


def cut_at_stop(reply: Reply, stop: Sequence[str]) -> Reply:
    """End a reply before the first stop string; it then counts as complete."""
    places = [place for each in stop if each and (place := reply.text.find(each)) >= 0]
    return reply._replace(text=reply.text[: min(places)].strip(), truncated=False) if places else reply


def _one_ahead(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Apply a function to items in order, to the next one while the consumer is busy with the last."""
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(function, item) for item in items[:1]]
        for number in range(len(items)):
            result = waiting.pop().result()
            if number + 1 < len(items):
                waiting.append(pool.submit(function, items[number + 1]))
            yield result


def _pack(reply: Reply) -> bytes:
    return json.dumps(reply._asdict()).encode()


def _unpack(blob: bytes) -> Reply:
    try:
        return Reply(**json.loads(blob))
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"A stored reply cannot be understood ({error}). Run again with --fresh to have all prompts answered anew."
        ) from error
