"""How a run tells what it is doing."""

from __future__ import annotations

import contextlib
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
    """Progress bars with time left, on standard error, so that tables and JSON stay clean."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)

    @contextlib.contextmanager
    def stage(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """See :class:`Progress`."""
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        if not total:
            yield lambda _: None
            return
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
