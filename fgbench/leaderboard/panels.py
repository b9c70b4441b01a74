"""Tables for print: one per task, protocol and kind of data, with the best and second-best value of each column.

A value is ranked only where the comparison is fair: not if it covers a part of the dataset, and not if a remark says that
it was made differently. Results on the miniature suite have tables of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from fgbench import selection
from fgbench.leaderboard.build import like_for_like
from fgbench.leaderboard.columns import MEASURED, MINIATURE, PARTIAL, REPORTED, Row, ordered
from fgbench.leaderboard.rows import paper_rows
from fgbench.report.paper import EDITIONS, remarks

_ABLATIONS = ("table 8", "table C", "table D")
_PARTIAL_MARK = "covers a part of the dataset only, so it is not ranked"


class Column(NamedTuple):
    """A column of values.

    Attributes:
        dataset: title of the dataset.
        name: what tells it from the dataset's other columns; empty if there is one only.
        key: (dataset id, subset, metric).
    """

    dataset: str
    name: str
    key: tuple[str, str, str]


@dataclass
class Cell:
    """A value for print.

    Attributes:
        text: percent with one decimal, as the paper prints.
        marks: letters of the panel's footnotes.
        rank: 1 for the best of the column, 2 for the second, else 0.
    """

    text: str
    marks: str = ""
    rank: int = 0


class Line(NamedTuple):
    """A line of values.

    Attributes:
        model, backbone: who.
        measured: by fgbench, else printed in the paper.
        cells: one per column of the panel; None where there is no value.
    """

    model: str
    backbone: str
    measured: bool
    cells: tuple[Cell | None, ...]


@dataclass
class Panel:
    """A table whose columns may be compared.

    Attributes:
        task: its id.
        title: of the task, with the protocol.
        miniature: made with the miniature suite.
        columns: in the order of the registry.
        groups: lines by group: reported ones by the size of their backbone, then measured ones.
        footnotes: what the marks of cells mean, by letter.
        notes: what holds for the table.
    """

    task: str
    title: str
    miniature: bool
    columns: list[Column]
    groups: list[list[Line]]
    footnotes: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def panels(measured: Iterable[Row], tasks: Collection[str], edition: str | None) -> list[Panel]:
    """Tables of the main numbers.

    Args:
        measured: measured rows.
        tasks: ids of the tasks wanted.
        edition: of the paper, whose rows stand above; None for none. Its ablations are left out.
    """
    printed = [
        row for row in paper_rows().values() if row["edition"] == edition and not row["source"].endswith(_ABLATIONS)
    ]
    tables: dict[tuple[int, bool, str], list[Row]] = defaultdict(list)
    places = {name: place for place, name in enumerate(selection.tasks())}
    for row in (*printed, *ordered(measured)):
        if row["task"] in tasks and _is_shown(row):
            tables[places[row["task"]], row["scope"] == MINIATURE, row["protocol"]].append(row)
    return [_panel(rows, edition) for _, rows in sorted(tables.items(), key=lambda item: item[0])]


def _is_shown(row: Row) -> bool:
    """Main numbers; of what the registry does not have, and of what the paper leaves open, all that is printed."""
    registry = selection.datasets()
    if row["main"] == "1" or row["dataset"] not in registry:
        return True
    declared = {subset for subset, _ in registry.get(row["dataset"])[1].main}
    return row["origin"] == REPORTED and row["subset"] not in declared


def _panel(rows: Sequence[Row], edition: str | None) -> Panel:
    columns = _columns(rows)
    first = rows[0]
    panel = Panel(
        task=first["task"],
        title=f"{selection.tasks().get(first['task']).title}, protocol {first['protocol']}",
        miniature=first["scope"] == MINIATURE,
        columns=columns,
        groups=[],
    )
    if panel.miniature:
        panel.notes.append("Miniature suite: generated pictures; says nothing about real data and is comparable with "
                           "nothing but itself.")  # fmt: skip
    if first["origin"] == REPORTED and edition:
        panel.notes.append(f"Reported rows: FG-CLIP 2 paper, {EDITIONS[edition]}.")
    panel.notes += _shared_remarks(rows)
    keys = [column.key for column in columns]
    lines: dict[tuple[str, str, bool], list[Cell | None]] = {}
    ranked: dict[tuple[str, str, str], list[Cell]] = defaultdict(list)
    for row in rows:
        who = (row["model"], row["backbone"], row["origin"] == MEASURED)
        key = (row["dataset"], row["subset"], row["metric"])
        reasons = _reasons(row)
        cell = Cell(f"{100 * float(row['value']):.1f}", "".join(sorted(_letter(panel, reason) for reason in reasons)))
        lines.setdefault(who, [None] * len(columns))[keys.index(key)] = cell
        if not reasons:
            ranked[key].append(cell)
    for cells in ranked.values():
        _rank(cells)
    for _, members in groupby(lines.items(), key=lambda item: (item[0][2], "" if item[0][2] else _size(item[0][1]))):
        panel.groups.append([Line(*who, tuple(cells)) for who, cells in members])
    return panel


def _columns(rows: Sequence[Row]) -> list[Column]:
    registry = selection.datasets()
    anonymous = ("origin", "edition", "scope", "model", "backbone")
    in_order = ordered({**row, **dict.fromkeys(anonymous, "")} for row in rows)
    keys = list(dict.fromkeys((row["dataset"], row["subset"], row["metric"]) for row in in_order))
    columns = []
    for dataset, subset, metric in keys:
        title = registry.get(dataset)[1].title if dataset in registry else dataset
        of_it = [key for key in keys if key[0] == dataset]
        several = [place for place in (1, 2) if len({key[place] for key in of_it}) > 1]
        names = {1: subset, 2: metric}
        columns.append(Column(title, " ".join(names[place] for place in several), (dataset, subset, metric)))
    return columns


def _shared_remarks(rows: Sequence[Row]) -> list[str]:
    """What to know of the reported values that does not keep them from being compared."""
    known = remarks()
    codes = sorted({code for row in rows for code in row["remarks"].split(";") if code})
    return [known[code].text for code in codes if known[code].like_for_like]


def _reasons(row: Row) -> list[str]:
    """Why a value is not ranked."""
    known = remarks()
    reasons = [known[code].text for code in row["remarks"].split(";") if code and not known[code].like_for_like]
    assert bool(reasons) != like_for_like(row)
    return [*reasons, _PARTIAL_MARK] if row["scope"] == PARTIAL else reasons


def _letter(panel: Panel, reason: str) -> str:
    known = {text: letter for letter, text in panel.footnotes.items()}
    if reason not in known:
        known[reason] = chr(ord("a") + len(known))
        panel.footnotes[known[reason]] = reason
    return known[reason]


def _rank(cells: Sequence[Cell]) -> None:
    """Best and second of a column as printed: equal digits share a rank. A column of one has no best."""
    values = sorted({float(cell.text) for cell in cells}, reverse=True)
    for cell in cells:
        place = values.index(float(cell.text)) + 1
        cell.rank = place if place <= 2 and len(cells) > 1 else 0


def _size(backbone: str) -> str:
    """Size class of a backbone: ``B`` for ``ViT-B/16`` and for ``Swin-T + ViT-B/16``."""
    return backbone.rpartition("ViT-")[2].partition("/")[0]
