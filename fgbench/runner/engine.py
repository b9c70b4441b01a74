"""What executes a plan: a dual encoder (:mod:`fgbench.runner.embedding`) or a generative model
(:mod:`fgbench.runner.generation`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias

from fgbench.data.images import Probe
from fgbench.requests import ImageRef, Request
from fgbench.runner.progress import Progress

if TYPE_CHECKING:
    from fgbench.runner.features import Gathered

Requests: TypeAlias = Mapping[str, Mapping[str, Request]]
"""By dataset, then by the task's names."""


class Clock:
    """Wall-clock seconds per stage.

    Attributes:
        seconds: by stage.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """A stage ends here."""
        now = time.perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now


class Engine(Protocol):
    """A model at work.

    Attributes:
        broken: message for every picture that could not be decoded.
    """

    broken: dict[ImageRef, str]

    def refusal(self, requests: Iterable[Request]) -> str | None:
        """Why this model cannot answer such requests ("needs …, and …"), or None."""

    def execute(
        self, requests: Requests, probes: Mapping[ImageRef, Probe | str], progress: Progress, clock: Clock
    ) -> None:
        """Answer everything; what was answered is on disk whatever happens afterwards.

        Args:
            requests: of all datasets.
            probes: size and digest of every picture, or the reason why there is none.
            progress: told how far each stage is.
            clock: told when a stage ends.

        Raises:
            ModelError: the model returned NaN or wrong shapes.
            StoreError: answers cannot be written.
        """

    def answers(self, dataset: str) -> Gathered:
        """Answers to the requests of one executed dataset."""

    def counters(self) -> Mapping[str, int]:
        """What was done; part of a record's timings."""
