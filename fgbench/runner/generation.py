"""The engine of generative models: every prompt answered once, then replies for each dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from fgbench.data.images import Probe
from fgbench.generator import Generator
from fgbench.requests import Generate, ImageRef, Request
from fgbench.runner.device import Precision
from fgbench.runner.engine import Clock, Requests
from fgbench.runner.features import Gathered
from fgbench.runner.generate import Answerer, PromptJobs, gather_replies
from fgbench.runner.passes import Address
from fgbench.runner.progress import Progress
from fgbench.runner.ranks import ALONE, Ranks
from fgbench.runner.store import AnswerStore
from fgbench.runner.together import check_complete, share_broken, share_files, total

if TYPE_CHECKING:
    import torch


class GenerationEngine:
    """Executes a plan with a generator (:class:`fgbench.runner.engine.Engine`).

    Attributes:
        broken: see :class:`fgbench.runner.engine.Engine`.
    """

    def __init__(
        self,
        generator: Generator,
        device: torch.device,
        precision: Precision,
        batch_size: int,
        store: AnswerStore,
        ranks: Ranks = ALONE,
    ) -> None:
        """
        Args:
            generator: on its device.
            device: where it runs.
            precision: of activations.
            batch_size: prompts per batch.
            store: receives the replies.
            ranks: the processes that share the work.
        """
        self._answerer = Answerer(generator, device, precision, batch_size, store)
        self.broken = self._answerer.broken
        self._ranks = ranks
        self._counters: Mapping[str, int] = {}
        self._addresses: dict[str, dict[str, Address]] = {}

    def refusal(self, requests: Iterable[Request]) -> str | None:
        """See :class:`fgbench.runner.engine.Engine`."""
        if all(isinstance(each, Generate) for each in requests):
            return None
        return (
            f"needs embeddings, and {self._answerer.generator.info.name} only answers prompts. Give a dual encoder "
            "instead: 'fgbench list models' shows them."
        )

    def execute(
        self, requests: Requests, probes: Mapping[ImageRef, Probe | str], progress: Progress, clock: Clock
    ) -> None:
        """See :class:`fgbench.runner.engine.Engine`."""
        jobs = PromptJobs(probes)
        for dataset, asked in requests.items():
            addresses = self._addresses[dataset] = {}
            for name, request in asked.items():
                assert isinstance(request, Generate)  # all others were refused
                addresses[name] = jobs.address(request)
        every = jobs.chunks()
        chunks = self._ranks.deal(every, lambda chunk: [job.key for job in chunk])
        with progress.stage("prompts", sum(map(len, chunks))) as advance:
            self._answerer.answer(chunks, advance)
        store = self._answerer.store
        share_files(self._ranks, [store], everyone=False)
        share_broken(self._ranks, self.broken)
        self._counters = total(self._ranks, asdict(self._answerer.stats))
        if self._ranks.first:
            units = (([job.key], job.digests) for chunk in every for job in chunk)
            check_complete(store.has, units, self.broken, probes)
        clock.lap("generate")

    def answers(self, dataset: str) -> Gathered:
        """Replies to the requests of one dataset; ``truncated`` counts prompts whose reply was cut at the limit."""
        addresses = self._addresses[dataset]
        found = {name: gather_replies(address, self._answerer.store) for name, address in addresses.items()}
        truncated = {key for each in found.values() for key in each.truncated}
        return Gathered(
            {name: each.replies for name, each in found.items()},
            len({key for address in addresses.values() for key in address.keys}),
            len(truncated),
        )

    def counters(self) -> Mapping[str, int]:
        """See :class:`fgbench.runner.engine.Engine`."""
        return self._counters
