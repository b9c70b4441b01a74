"""Comparisons as tables in the terminal, 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from fgbench.compare.bilingual import Gap
from fgbench.compare.comparison import Compared, Row
from fgbench.compare.paper import ROUNDING, WithPaper
from fgbench.compare.protocol import Difference
from fgbench.metrics.pairing import MCNEMAR, RANDOMISATION

LEVEL = 0.05
"""Corrected p at which a difference is marked."""

_TESTS = {
    MCNEMAR: "exact McNemar test where items are right or wrong and independent",
    RANDOMISATION: "whole pictures (or questions, categories) swapped at random between the models elsewhere",
}


def comparison_table(found: Compared) -> RenderableType:
    """Both values of each score, difference with interval, p, effect; then what cannot be compared and why."""
    table = _table(f"A = {escape(found.first)}, B = {escape(found.second)}", "Dataset and score")
    for name in ("A", "B"):
        table.add_column(name, justify="right")
    table.add_column("A - B", justify="right", style="bold")
    table.add_column("95 %", justify="right")
    table.add_column("p*", justify="right")
    table.add_column("h", justify="right", style="dim")
    for row in found.rows:
        table.add_row(_name(row.dataset, row.subset, row.metric), *_values(row))
    if found.overall:
        mean = found.overall
        table.add_section()
        table.add_row(
            f"mean of {mean.datasets} datasets",
            "",
            "",
            _points(mean.difference),
            _range(mean.low, mean.high),
            _p(mean.p),
        )
    return _with_lines(table, _explained(found))


def paper_table(found: WithPaper) -> RenderableType:
    """Measured and printed numbers, how far apart they are, and in what their protocols differ."""
    table = _table(f"{escape(found.model)} and the paper", "Dataset and score")
    table.add_column("Score", justify="right", style="bold")
    table.add_column("95 %", justify="right")
    table.add_column("Paper", justify="right")
    table.add_column("Diff.", justify="right")
    table.add_column("1 item", justify="right", style="dim")
    table.add_column("")
    notes: dict[str, int] = {}
    for row in found.rows:
        verdict = row.verdict if row.comparable else "≠"
        if row.differing:
            verdict += f" {notes.setdefault(_listed(row.differing), len(notes) + 1)})"
        table.add_row(
            _name(row.dataset, row.subset, row.metric),
            f"{row.measured:.1f}",
            "" if row.low is None or row.high is None else f"[{row.low:.1f}, {row.high:.1f}]",
            f"{row.paper:.1f}",
            f"{row.difference:+.1f}",
            "–" if row.one_item is None else f"{row.one_item:.2f}",
            verdict,
        )
    lines = [f"Paper: {' '.join(found.row)}, {found.edition}; as printed there."]
    if not found.own:
        lines.append("The paper does not have this model: shown is its reference row.")
    if any(not row.comparable for row in found.rows):
        lines.append("≠ not comparable, for what differs (measured | published):")
    lines += [f"{number}) {differing}." for differing, number in notes.items()]
    lines.append(
        f"Printed values are rounded: ±{ROUNDING}, and up to ±{2 * ROUNDING} where they were rounded twice. 1 item: "
        "what one more right answer adds."
    )
    if not found.rows:
        lines = ["Nothing to compare."]
    if found.without:
        lines.append(f"The paper prints nothing in this row for: {', '.join(found.without)}.")
    return _with_lines(table, (*lines, *found.notes))


def gaps_table(found: Sequence[Gap]) -> RenderableType:
    """English and Chinese scores side by side, with the gap."""
    table = _table("English and Chinese", "Datasets and score")
    table.add_column("en", justify="right")
    table.add_column("zh", justify="right")
    table.add_column("en - zh", justify="right", style="bold")
    table.add_column("95 %", justify="right")
    table.add_column("Pictures")
    notes: dict[str, int] = {}
    model = ""
    for each in found:
        if each.model != model:
            model = each.model
            table.add_section()
            table.add_row(Text(model, style="italic cyan"))
        mark = f" {notes.setdefault(each.remark, len(notes) + 1)})" if each.remark else ""
        alike = each.pictures == (each.shared, each.shared)
        table.add_row(
            _name(f"{each.english}, {each.chinese}", each.subset, each.metric),
            *(f"{100 * score:.1f}" for score in each.scores),
            _points(each.difference),
            _range(each.low, each.high),
            ("the same" if alike else f"{each.shared:,} shared") + mark,
        )
    lines = [f"{number}) {remark}." for remark, number in notes.items()]
    lines.append("95 %: bootstrap over pictures; those that both sets have are drawn together.")
    return _with_lines(table, lines)


def _table(title: str, first: str) -> Table:
    table = Table(
        title=f"{title} [dim](percent)[/dim]", title_justify="left", box=box.SIMPLE_HEAVY, pad_edge=False, expand=False
    )
    table.add_column(first, overflow="fold", min_width=22)
    return table


def _with_lines(table: Table, lines: Iterable[str]) -> Group:
    """The table, unless it is empty, and what is to be said below it."""
    return Group(*([table] if table.row_count else []), *(Text(line, style="dim") for line in lines))


def _name(dataset: str, subset: str, metric: str) -> str:
    return escape(" ".join(filter(None, (dataset, "" if subset in ("*", "all") else subset, metric))))


def _values(row: Row) -> Iterator[str]:
    yield from ("–" if each is None else f"{100 * each:.1f}" for each in (row.first, row.second))
    if row.paired is None:
        yield "–" if row.comparable else "≠"
        return
    each = row.paired
    yield _points(each.difference)
    yield _range(each.low, each.high)
    yield _p(row.p_holm) + ("†" if row.p_holm is not None and row.p_holm <= LEVEL else "")
    yield f"{each.effect:+.2f}"


def _explained(found: Compared) -> Iterator[str]:
    """What the table does not say by itself."""
    if not found.rows:
        yield "The two have no dataset in common: nothing to compare."
    tests = {row.paired.test: None for row in found.rows if row.paired}
    if tests:
        number = sum(row.paired is not None for row in found.rows)
        yield (
            f"95 %: paired bootstrap. p*: {'; '.join(text for test, text in _TESTS.items() if test in tests)}; "
            f"corrected for {number} rows (Holm). †: at most {LEVEL}. h: Cohen's h; 0.2 is a small difference, 0.5 a "
            "medium one."
        )
    if found.overall:
        yield (
            "Mean: over datasets, the main scores of each averaged first. Datasets count as independent; p is not "
            "corrected."
        )
    unlike = ((_listed(row.differing), row.dataset) for row in found.rows if not row.comparable)
    for fields, names in _grouped(unlike).items():
        yield f"{', '.join(names)}: ≠ not comparable, they differ in (A | B) {fields}."
    alike = ((_listed(row.differing), row.dataset) for row in found.rows if row.comparable and row.differing)
    for fields, names in _grouped(alike).items():
        yield f"{', '.join(names)}: compared, although they differ in (A | B) {fields}."
    remarks = ((row.remark, row.dataset) for row in found.rows if row.remark and row.comparable)
    for remark, names in _grouped(remarks).items():
        yield f"{', '.join(names)}: {remark}"
    for name, datasets in ((found.first, found.only_first), (found.second, found.only_second)):
        if datasets:
            yield f"Only {name} has: {', '.join(datasets)}."
    yield from found.notes


def _listed(differing: Sequence[Difference]) -> str:
    """The decisive fields or, if there are none, those worth knowing."""
    return "; ".join(str(each) for each in [each for each in differing if each.decisive] or differing)


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Names by what is said of them, each once."""
    found: dict[str, dict[str, None]] = {}
    for said, name in pairs:
        found.setdefault(said, {})[name] = None
    return {said: list(names) for said, names in found.items()}


def _range(low: float | None, high: float | None) -> str:
    """An interval in percentage points."""
    return "" if low is None or high is None else f"[{100 * low:.1f}, {100 * high:.1f}]"


def _points(value: float) -> str:
    """A difference in percentage points."""
    return f"{100 * value:+.1f}"


def _p(value: float | None) -> str:
    return "" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"
