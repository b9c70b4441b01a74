"""Printing for people: rich tables on standard output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fgbench import selection
from fgbench.data.space import human_size
from fgbench.report.page.text import visible
from fgbench.report.table import results_table

if TYPE_CHECKING:
    from fgbench.api import Evaluation
    from fgbench.plan_api import Estimate
    from fgbench.report_api import Report
    from fgbench.sweep_api import Sweep

_PLAN = {
    "items": "Items",
    "images": "Image\npasses*",
    "distinct_images": "Distinct\nimages",
    "regions": "Regions",
    "texts": "Texts",
    "distinct_texts": "Distinct\ntexts",
    "missing": "Files\nmissing",
}


def show(content: RenderableType) -> None:
    """Print something that rich can print."""
    Console().print(content)


def print_evaluation(result: Evaluation) -> None:
    """The result table, what was not evaluated and why, and where the records are."""
    console = Console()
    for name in dict.fromkeys(record["model"]["name"] for record in result.records):
        console.print(
            results_table(
                [record for record in result.records if record["model"]["name"] == name],
                lambda name: selection.datasets().get(name)[1],
                lambda name: selection.tasks().get(name).title,
            )
        )
    if result.not_evaluated:
        table = Table(title="Not evaluated", title_justify="left", show_lines=True)
        table.add_column("Dataset")
        table.add_column("Why, and what to do", overflow="fold")
        for each in result.not_evaluated:
            table.add_row(Text(each.dataset, style="red" if each.failed else "yellow"), escape(each.reason))
        console.print(table)
    for note in result.notes:
        console.print(Text(note, style="yellow"))
    for off in _distinct_estimates(result):
        ours, took = off["estimated"], off["actual"]
        told = f"Encoding: estimated {_duration(ours)}, took {_duration(took)} (off by {_duration(abs(took - ours))})."
        console.print(Text(told, style="dim"))
    if result.records:
        console.print(
            Text(f"Records: {result.folder}; all results: {result.folder.parent / 'results.csv'}", style="dim")
        )


def _distinct_estimates(result: Evaluation) -> list[Mapping[str, float]]:
    """One per run: its records share it. Fractions of a second are nobody's concern."""
    found: list[Mapping[str, float]] = []
    for record in result.records:
        off = record["timings"].get("estimate")
        if off is not None and off not in found and max(off["estimated"], off["actual"]) >= 1:
            found.append(off)
    return found


def print_report(written: Report) -> None:
    """Where the page is and what is on it; what is not, and why."""
    console = Console()
    numbers = {"model": written.models, "dataset": written.datasets, "record": written.records}
    shown = ", ".join(f"{count:,} {noun}{'s' * (count != 1)}" for noun, count in numbers.items())
    console.print(Text(f"{written.page}: {human_size(written.size)}; {shown}."), soft_wrap=True)
    if written.left_out:
        console.print(Text(f"Left out, {len(written.left_out)}:", style="yellow"))
        for file, reason in written.left_out:
            console.print(Padding(Text(visible(f"{file}: {reason}"), style="yellow"), (0, 0, 0, 2), expand=False))
    if written.plots:
        console.print(Text(f"{written.plots[0].parent}: {len(written.plots)} figures."), soft_wrap=True)
    for note in written.notes:
        console.print(Text(visible(note), style="yellow"))


def print_plan(summary: Mapping[str, Any]) -> None:
    """Counts per dataset and in total, then what is missing."""
    console = Console()
    # No padding: columns of six digits then fit 80 characters, and a number is never cut.
    table = Table(title="Plan", title_justify="left", show_footer=True, box=box.SIMPLE_HEAVY, padding=0)
    table.add_column("Dataset", footer="total", no_wrap=True)
    for key, title in _PLAN.items():
        table.add_column(title, justify="right", overflow="fold", footer=f"{summary['total'][key]:,}")
    for name, row in summary["datasets"].items():
        table.add_row(
            name, *(f"{row[key]:,}" if row["status"] in {"ready", "incomplete"} or row[key] else "–" for key in _PLAN)
        )
    console.print(table)
    console.print(Text("*) Of a script that goes item by item; here each distinct image passes once.", style="dim"))
    for name, row in summary["datasets"].items():
        if row["problem"]:
            console.print(Text(row["problem"], style="yellow"))
        elif row["missing"]:
            console.print(
                Text(f"{name}: {row['missing']:,} pictures named by the annotations are not on disk.", style="yellow")
            )


def print_estimate(cost: Estimate) -> None:
    """Time and disk per dataset alone and of all together, with ranges; memory."""
    console = Console()
    title = f"Estimate for {cost.model} on {cost.device}"
    table = Table(title=title, title_justify="left", show_footer=True, box=box.SIMPLE_HEAVY, collapse_padding=True)
    table.add_column("Dataset alone", footer="all together", no_wrap=True)
    whole = cost.total.seconds
    for head, value in (("Time", whole.expected), ("from", whole.low), ("to", whole.high)):
        table.add_column(head, justify="right", footer=_duration(value))
    table.add_column("Disk", justify="right", footer=_bytes(cost.total.disk.expected))
    for name, each in cost.datasets.items():
        seconds = each.seconds
        table.add_row(name, *map(_duration, (seconds.expected, seconds.low, seconds.high)), _bytes(each.disk.expected))
    console.print(table)
    console.print(Text(f"Memory: about {_bytes(cost.memory)}. Reading and scoring are not counted.", style="dim"))
    for name, reason in cost.left_out.items():
        console.print(Text(f"{name}: no estimate, {reason}.", style="yellow"))


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _bytes(count: float) -> str:
    return f"{count / 1e6:,.1f} MB" if count < 1e9 else f"{count / 1e9:,.1f} GB"


def print_rows(rows: Sequence[Mapping[str, Any]], leave_out: Sequence[str] = ()) -> None:
    """One table row per mapping, without the fields that are too wide for a terminal."""
    table = Table()
    keys = [key for key in rows[0] if key not in leave_out]
    for key in keys:
        table.add_column(key, overflow="fold", no_wrap=key == "id")
    for row in rows:
        table.add_row(*(escape(_text(row[key])) for key in keys))
    Console().print(table)


def print_sweep(found: Sweep) -> None:
    """One row per combination, one column per number that a result table shows."""
    spec = selection.datasets().get(found.dataset)[1]
    title = f"{escape(spec.title)} [dim](percent)[/dim]"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAVY, padding=0)  # as print_plan
    chosen, scores = found.rows[0]
    for name in chosen:
        table.add_column(name)
    shown = [score for score in scores if not spec.shown or (score.subset, score.metric) in spec.shown]
    for score in shown:
        table.add_column(f"{score.subset}\n{score.metric}" if score.subset != "*" else score.metric, justify="right")
    for values, row in found.rows:
        by_key = {(score.subset, score.metric): f"{100 * score.value:.2f}" for score in row}
        table.add_row(*values.values(), *(by_key.get((score.subset, score.metric), "–") for score in shown))
    Console().print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Two columns: field and value."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in facts.items():
        if value not in (None, "", (), [], {}):
            table.add_row(key, escape(_text(value)))
    Console().print(table)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {_text(each)}" for key, each in value.items() if each not in (None, {}, ()))
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) if all(len(str(each)) < 40 for each in value) else "\n".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
