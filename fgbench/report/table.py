"""The table that ``fgbench eval`` prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fgbench.report.paper import EDITION, REFERENCE, foreign_protocol, published
from fgbench.report.remarks import SENTENCES, remarks
from fgbench.results.record import Record, is_miniature
from fgbench.spec import DatasetSpec, MetricKey

if TYPE_CHECKING:
    from rich.console import RenderableType


def results_table(
    records: Sequence[Record], specs: Callable[[str], DatasetSpec], task_title: Callable[[str], str]
) -> RenderableType:
    """Scores of one model in percent, the paper's number beside each, and what a reader has to know about them.

    The miniature suite's scores stand alone: beside them the paper's would only mislead.

    Args:
        records: of one model.
        specs: dataset by id.
        task_title: title of a task by id.
    """
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    model = records[0]["model"]
    own = tuple(model["paper"]) if model["paper"] else None
    method, backbone = own or REFERENCE
    compared = not all(map(is_miniature, records))
    table = Table(title=f"{escape(model['name'])} [dim](percent)[/dim]", title_justify="left")
    table.add_column("Dataset", min_width=22)
    table.add_column("Subset")
    table.add_column("Metric")
    table.add_column("Score", justify="right", style="bold")
    if compared:
        table.add_column("Paper" if own else "Paper*", justify="right", style="dim")
    table.add_column("n", justify="right", style="dim")
    notes: dict[str, list[str]] = {}
    apart: dict[str, list[str]] = {}
    task = None
    for record in records:
        if record["task"] != task:
            task = record["task"]
            table.add_section()
            table.add_row(Text(task_title(task), style="italic cyan"))
        spec = specs(record["dataset"])
        title = f"{escape(spec.title)}[dim]{_remarks(record, notes)}[/dim]"
        for score in record["scores"]:
            key = MetricKey(score["subset"], score["metric"])
            if spec.shown and key not in spec.shown:
                continue
            paper = published(spec, key, (method, backbone)) if compared else None
            foreign = foreign_protocol(spec, key, record["protocol"]["id"])
            if foreign and paper is not None:
                apart.setdefault(foreign, []).append(f"{spec.title} {paper:.1f}")
                paper = None
            table.add_row(
                title,
                "" if key.subset == "*" else key.subset,
                key.metric,
                _with_interval(score),
                *(["–" if paper is None else f"{paper:.1f}"] if compared else []),
                f"{score['n']:,}",
            )
            title = ""
    lines = [
        Text(f"{number}) {title.rstrip('.')}" + (f": {'; '.join(details)}." if details else "."), style="dim")
        for number, (title, details) in enumerate(notes.items(), start=1)
    ]
    if compared:
        row = f"{method} {backbone}, {EDITION}"
        lines.append(Text(f"Paper: {row}." if own else f"*) Not in the paper; shown is its row {row}.", style="dim"))
    lines.extend(
        Text(
            f"With another protocol ({protocol}), not comparable, the paper has for this row: {'; '.join(cells)}.",
            style="dim",
        )
        for protocol, cells in apart.items()
    )
    if any(score.get("interval") for record in records for score in record["scores"]):
        lines.append(
            Text(
                "±: half of the 95 % interval; the records hold both ends, which lie unevenly near 0 and 100.",
                style="dim",
            )
        )
    lines.extend(Text(f"Note: {note}", style="yellow") for note in model["notes"])
    return Group(table, *lines)


def _with_interval(score: Mapping[str, Any]) -> str:
    """Score in percent, with half the width of its interval."""
    shown = f"{100 * score['value']:.1f}"
    interval = score.get("interval")
    return f"{shown} [dim]±{50 * (interval['high'] - interval['low']):.1f}[/dim]" if interval else shown


def _remarks(record: Record, notes: dict[str, list[str]]) -> str:
    """Footnote marks of a record; ``notes`` collects what each footnote says of which dataset."""
    marks = []
    for kind, detail in remarks(record):
        title = SENTENCES[kind][0] if kind else detail
        details = notes.setdefault(title, [])
        if kind and detail:
            details.append(f"{record['dataset']} {detail}")
        marks.append(f"{list(notes).index(title) + 1})")
    return " " + " ".join(marks) if marks else ""
