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
    for header, justify in (("Task", "left"), ("Dataset", "left"), ("Subset", "left"), ("Metric", "left")):
        table.add_column(header, justify=justify)  # type: ignore[arg-type]
    table.add_column("Score", justify="right", style="bold")
    table.add_column(
        f"{method} {backbone}\nin the paper" if not own else "Paper", justify="right", style=None if own else "dim"
    )
    table.add_column("n", justify="right", style="dim")
    notes: dict[str, None] = {}
    task = None
    for record in records:
        spec = specs(record["dataset"])
        mark = _remarks(record, notes)
        dataset = None
        for score in record["scores"]:
            key = MetricKey(score["subset"], score["metric"])
            paper = published(spec, key, (method, backbone))
            table.add_row(
                task_title(record["task"]) if record["task"] != task else "",
                spec.title + mark if dataset is None else "",
                "" if key.subset == "*" else key.subset,
                key.metric,
                f"{100 * score['value']:.1f}",
                "–" if paper is None else f"{paper:.1f}",
                str(score["n"]),
            )
            task, dataset = record["task"], record["dataset"]
        table.add_section()
    lines = [Text(f"{number}) {note}", style="dim") for number, note in enumerate(notes, start=1)]
    lines.append(Text(f"Paper: {method} {backbone}, {EDITION}. Protocol: docs/protocols.md.", style="dim"))
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
