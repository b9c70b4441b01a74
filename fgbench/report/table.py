"""The table that ``fgbench eval`` prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fgbench.report.paper import EDITION, REFERENCE, published
from fgbench.results.record import Record
from fgbench.spec import DatasetSpec, MetricKey

if TYPE_CHECKING:
    from rich.console import RenderableType


def results_table(
    records: Sequence[Record], specs: Callable[[str], DatasetSpec], task_title: Callable[[str], str]
) -> RenderableType:
    """Scores of one model in percent, the paper's number beside each, and what a reader has to know about them.

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
    table = Table(title=f"{escape(model['name'])} [dim](percent)[/dim]", title_justify="left")
    table.add_column("Dataset", min_width=27)
    table.add_column("Subset")
    table.add_column("Metric")
    table.add_column("Score", justify="right", style="bold")
    table.add_column("Paper" if own else "Paper*", justify="right", style="dim")
    table.add_column("n", justify="right", style="dim")
    notes: dict[str, None] = {}
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
            paper = published(spec, key, (method, backbone))
            table.add_row(
                title,
                "" if key.subset == "*" else key.subset,
                key.metric,
                f"{100 * score['value']:.1f}",
                "–" if paper is None else f"{paper:.1f}",
                f"{score['n']:,}",
            )
            title = ""
    lines = [Text(f"{number}) {note}", style="dim") for number, note in enumerate(notes, start=1)]
    row = f"{method} {backbone}, {EDITION}"
    lines.append(Text(f"Paper: {row}." if own else f"*) Not in the paper; shown is its row {row}.", style="dim"))
    lines.extend(Text(f"Note: {note}", style="yellow") for note in model["notes"])
    return Group(table, *lines)


def _remarks(record: Record, notes: dict[str, None]) -> str:
    """Footnote marks of a record; new notes are added."""
    counts, mark = record["counts"], ""
    texts = []
    skipped = sum(counts["skipped"].values())
    if skipped:
        reasons = ", ".join(f"{reason} {count}" for reason, count in counts["skipped"].items())
        texts.append(f"{record['dataset']}: {skipped} of {counts['expected']} items not evaluated ({reasons}).")
    if record["arguments"]["effective"].get("limit"):
        texts.append("Limited run (--limit): not comparable with anything.")
    elif counts["published"] and counts["expected"] != counts["published"]:
        texts.append("Fewer items than the published dataset has: not comparable with the paper.")
    if counts["texts_truncated"]:
        texts.append(
            f"{record['dataset']}: {counts['texts_truncated']} of {counts['texts']} texts cut to the model's length."
        )
    if record["protocol"].get("region_mode") == "crop":
        texts.append("Regions as crops (region mode crop), not RoI of dense features.")
    for text in texts:
        notes.setdefault(text)
        mark += f" {list(notes).index(text) + 1})"
    return mark
