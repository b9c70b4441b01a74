"""What the paper reports for the columns of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fgbench.report.page.numbers import Column
from fgbench.report.paper import foreign_protocol, published
from fgbench.spec import DatasetSpec

PaperRow = tuple[str, str]
"""Method and backbone."""

Specs = Callable[[str], DatasetSpec | None]


def reported(paper: PaperRow, columns: Iterable[Column], specs: Specs) -> dict[Column, float]:
    """A row's numbers under the datasets' own protocols, in percent.

    Args:
        paper: which row.
        columns: which numbers.
        specs: dataset by id; None for one that this installation does not know.
    """
    return {column: value for column, value, protocol in _cells(paper, columns, specs) if protocol is None}


def reported_apart(papers: Iterable[PaperRow], columns: Iterable[Column], specs: Specs) -> dict[str, list[str]]:
    """What it has under other protocols: one line per row, by protocol; arguments as for :func:`reported`."""
    columns = list(columns)
    found: dict[str, list[str]] = {}
    for paper in papers:
        cells: dict[str, list[str]] = {}
        for column, value, protocol in _cells(paper, columns, specs):
            spec = specs(column.dataset)
            if protocol is not None and spec is not None:
                cells.setdefault(protocol, []).append(f"{spec.title} {value:.1f}")
        for protocol, numbers in cells.items():
            found.setdefault(protocol, []).append(f"{' '.join(paper)}: {', '.join(numbers)}")
    return found


def _cells(paper: PaperRow, columns: Iterable[Column], specs: Specs) -> Iterable[tuple[Column, float, str | None]]:
    for column in columns:
        spec = specs(column.dataset)
        value = published(spec, column.key, paper) if spec else None
        if spec is not None and value is not None:
            yield column, value, foreign_protocol(spec, column.key, spec.protocol.id)
