"""``report()``: a results folder as one HTML page and as figures; the command line is a thin user of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import fgbench
from fgbench import selection
from fgbench.data.atomic import write_atomic
from fgbench.report.page.gather import LeftOut, gather
from fgbench.report.page.view import build
from fgbench.report.page.words import Words
from fgbench.spec import DatasetSpec


class Report(NamedTuple):
    """What was written.

    Attributes:
        page: the HTML file.
        size: of it, in bytes.
        models, datasets, records: that are shown.
        left_out: files that are not shown, and why.
        plots: files written, by the caller's wish.
        notes: what to know about them.
    """

    page: Path
    size: int
    models: int
    datasets: int
    records: int
    left_out: list[LeftOut]
    plots: list[Path]
    notes: list[str]


def report(results: str | Path, output: str | Path | None = None, *, plots: str | Path | None = None) -> Report:
    """Write a page over all records of a results folder, and figures if they are wanted.

    Args:
        results: folder as written by :func:`fgbench.evaluate`, or the folder of one model in it.
        output: the HTML file, or a folder that is there; None for ``report.html`` in the results folder.
        plots: folder for the figures, as SVG and PNG; None for none.

    Raises:
        DataMissingError: no such folder, or no record in it.
        DataError: none of its records can be read.
        StoreError: a file cannot be written.
    """
    from fgbench.report.page.render import render  # Jinja is loaded only here

    gathered = gather(Path(results))
    specs, titles = _specs(), _titles()
    shown, scopes = build(gathered.found, specs, titles, list(selection.datasets()))
    content = render(shown, scopes, gathered.left_out, specs=specs, titles=titles, version=fgbench.__version__)
    page = Path(output) if output is not None else Path(results) / "report.html"
    if page.is_dir():
        page /= "report.html"
    write_atomic(page, content)
    figures: list[Path] = []
    notes: list[str] = []
    if plots is not None:
        from fgbench.report.page.plots import draw

        figures, notes = draw(scopes, Path(plots))
    records = [result.found.record for result in shown]
    return Report(
        page, len(content), len({result.found.folder for result in shown}), len({each["dataset"] for each in records}),
        len(records), gathered.left_out, figures, notes,
    )  # fmt: skip


def _specs() -> Callable[[str], DatasetSpec | None]:
    known = selection.datasets()

    @cache
    def spec(name: str) -> DatasetSpec | None:
        return known.get(name)[1] if name in known else None

    return spec


def _titles() -> Callable[[str], Words]:
    known = selection.tasks()

    @cache
    def title(name: str) -> Words:
        if name not in known:
            return Words(name, name)
        task = known.get(name)
        return Words(task.title, getattr(task, "title_zh", "") or task.title)

    return title
