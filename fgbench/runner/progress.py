"""How a run tells what it is doing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Protocol


class Progress(Protocol):
    """Receives the stages of a run."""

    def stage(self, title: str, total: int) -> contextlib.AbstractContextManager[Callable[[int], None]]:
        """Enter a stage of ``total`` steps; the context value is called with every number of finished steps."""


class Silent:
    """Tells nobody."""

    @contextlib.contextmanager
    def stage(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """See :class:`Progress`."""
        yield lambda _: None


class Bars:
    """Progress on standard error, with time left: bars on a terminal, a line now and then in a log file."""

    LINE_EVERY = 30.0
    """Seconds between lines in a log file."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)

    def stage(self, title: str, total: int) -> contextlib.AbstractContextManager[Callable[[int], None]]:
        """See :class:`Progress`."""
        if not total:
            return Silent().stage(title, total)
        return self._bar(title, total) if self._console.is_terminal else self._lines(title, total)

    @contextlib.contextmanager
    def _bar(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description:>17}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with RichProgress(*columns, console=self._console, transient=False) as bars:
            task = bars.add_task(title, total=total)
            yield lambda steps: bars.advance(task, steps)

    @contextlib.contextmanager
    def _lines(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        start = last = time.monotonic()
        done = 0

        def advance(steps: int) -> None:
            nonlocal done, last
            done += steps
            now = time.monotonic()
            if done == total or now - last >= self.LINE_EVERY:
                last = now
                left = (now - start) * (total - done) / max(1, done)
                self._console.print(f"{title}: {done:,} of {total:,}, {now - start:.0f} s, about {left:.0f} s left")

        yield advance
