"""The engine of dual encoders: every input encoded once, then answers for each dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from fgbench.adapter import RegionMode
from fgbench.data.images import Probe
from fgbench.requests import Generate, ImageRef, LabelMaps, Regions, RegionScores, Request
from fgbench.runner.encode import Encoder
from fgbench.runner.engine import Clock, Requests
from fgbench.runner.features import Gathered, gather
from fgbench.runner.jobs import JobBuilder
from fgbench.runner.passes import Address, ImageJob
from fgbench.runner.progress import Progress
from fgbench.runner.ranks import ALONE, Ranks
from fgbench.runner.together import check_complete, share_broken, share_files, total


class EmbeddingEngine:
    """Executes a plan with an adapter (:class:`fgbench.runner.engine.Engine`).

    Attributes:
        broken: see :class:`fgbench.runner.engine.Engine`.
    """

    def __init__(self, encoder: Encoder, region_mode: RegionMode, ranks: Ranks = ALONE) -> None:
        """
        Args:
            encoder: the model, its device and its stores.
            region_mode: how boxes become embeddings.
            ranks: the processes that share the work.
        """
        self.broken = encoder.broken
        self._encoder = encoder
        self._region_mode: RegionMode = region_mode
        self._ranks = ranks
        self._counters: Mapping[str, int] = {}
        self._requests: Requests = {}
        self._addresses: dict[str, dict[str, Address]] = {}

    def refusal(self, requests: Iterable[Request]) -> str | None:
        """See :class:`fgbench.runner.engine.Engine`."""
        info = self._encoder.adapter.info
        for each in requests:
            if isinstance(each, Generate):
                return (
                    f"needs generated text, and {info.name} alone only embeds pictures and texts. In the paper a chat "
                    "model was trained on top of such a vision tower: name that one with --chat, or evaluate it alone "
                    "with --model ('fgbench list models' shows the kind chat model)."
                )
            if info.dense is None and isinstance(each, LabelMaps):
                return f"needs dense features, and {info.name} has none in the space of its texts."
            if info.dense is None and self._region_mode == "roi" and isinstance(each, (Regions, RegionScores)):
                return f"needs region embeddings, and {info.name} has no dense features. Use --region-mode crop."
        return None

    def execute(
        self, requests: Requests, probes: Mapping[ImageRef, Probe | str], progress: Progress, clock: Clock
    ) -> None:
        """See :class:`fgbench.runner.engine.Engine`."""
        adapter = self._encoder.adapter
        builder = JobBuilder(adapter.info, adapter.preprocessor, self._region_mode, probes)
        self._requests = requests
        for dataset, each in requests.items():
            self._addresses[dataset] = {name: builder.address(request) for name, request in each.items()}
        every_image = builder.image_chunks()
        text_chunks = self._ranks.deal(builder.text_chunks(), lambda chunk: [job.key for job in chunk])
        image_chunks = self._ranks.deal(every_image, lambda chunk: [key for job in chunk for key in _keys(job)])
        stores = (self._encoder.store, self._encoder.answers)
        with progress.stage("texts", sum(map(len, text_chunks))) as advance:
            self._encoder.encode_texts(text_chunks, advance)
        share_files(self._ranks, stores, everyone=True)
        clock.lap("encode_texts")
        with progress.stage("images", sum(map(len, image_chunks))) as advance:
            self._encoder.encode_images(image_chunks, advance)
        share_files(self._ranks, stores, everyone=False)
        share_broken(self._ranks, self.broken)
        self._counters = total(self._ranks, asdict(self._encoder.stats))
        if self._ranks.first:
            self._check_complete([job for chunk in every_image for job in chunk], probes)
        clock.lap("encode_images")

    def answers(self, dataset: str) -> Gathered:
        """See :class:`fgbench.runner.engine.Engine`."""
        encoder = self._encoder
        return gather(
            self._requests[dataset], self._addresses[dataset], encoder.store, encoder.answers, encoder.adapter.info.dim
        )

    def counters(self) -> Mapping[str, int]:
        """See :class:`fgbench.runner.engine.Engine`."""
        return self._counters

    def _check_complete(self, jobs: list[ImageJob], probes: Mapping[ImageRef, Probe | str]) -> None:
        digests = {ref: probe.digest for ref, probe in probes.items() if isinstance(probe, Probe)}
        rows = ((job.row_keys(), (digests[job.image],)) for job in jobs)
        answers = ((job.answer_keys(), (digests[job.image],)) for job in jobs)
        check_complete(self._encoder.store.has, rows, self.broken, probes)
        check_complete(self._encoder.answers.has, answers, self.broken, probes)


def _keys(job: ImageJob) -> list[bytes]:
    return job.row_keys() + job.answer_keys()
