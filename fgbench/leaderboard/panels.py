"""Tables for print: one per task, protocol and kind of data, with the best and second-best value of each column.

A value is ranked only where the comparison is fair: not if it covers a part of the dataset, and not if a remark says
that it was made differently. Results on the miniature suite have tables of their own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fgbench import selection
from fgbench.leaderboard.columns import MEASURED, MINIATURE, PARTIAL, REPORTED, Row, ordered
from fgbench.leaderboard.rows import paper_rows
from fgbench.report.paper import EDITIONS, remarks

_ABLATIONS = ("table 8", "table C", "table D")
_PARTIAL_MARK = "Covers a part of the dataset only."
_CROP_MARK = "Regions as crops, not as RoI of dense features."
_NOT_RANKED = " Not ranked."


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
        interval: 95 % interval, likewise; empty where there is none.
        marks: letters of the panel's footnotes.
        rank: 1 for the best of the column, 2 for the second, else 0.
    """

    text: str
    interval: str = ""
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
    lines: dict[tuple[str, str, bool, bool], list[Cell | None]] = {}
    ranked: dict[tuple[str, str, str], list[Cell]] = defaultdict(list)
    for row in rows:
        who = (row["model"], row["backbone"], row["origin"] == MEASURED, row["scope"] == PARTIAL)
        key = (row["dataset"], row["subset"], row["metric"])
        texts = _footnotes(row)
        bounds = f"{100 * float(row['low']):.1f}–{100 * float(row['high']):.1f}" if row["low"] else ""
        cell = Cell(_percent(row), bounds, "".join(sorted(_letter(panel, text) for text in texts)))
        lines.setdefault(who, [None] * len(columns))[keys.index(key)] = cell
        if not any(text.endswith(_NOT_RANKED) for text in texts):
            ranked[key].append(cell)
    for members in ranked.values():
        _rank(members)
    sized = all(_SIZE.search(backbone) for _, backbone, measured, _ in lines if not measured)
    groups: dict[tuple[bool, str], list[Line]] = defaultdict(list)
    for who, cells in lines.items():
        model, backbone, is_measured, _ = who
        size = _size(backbone) if sized and not is_measured else ""
        groups[is_measured, size].append(Line(model, backbone, is_measured, tuple(cells)))
    panel.groups += groups.values()
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
    """What to know of the reported values as a whole."""
    known = remarks()
    codes = sorted({code for row in rows for code in row["remarks"].split(";") if code})
    return [known[code].text for code in codes if not known[code].of_cell]


def _footnotes(row: Row) -> list[str]:
    """What to know of a value, and whether it is kept out of the ranking for it."""
    known = [remarks()[code] for code in row["remarks"].split(";") if code]
    texts = [each.text + ("" if each.like_for_like else _NOT_RANKED) for each in known if each.of_cell]
    if row["region_mode"] == "crop":
        texts.append(_CROP_MARK)
    if row["scope"] == PARTIAL:
        texts.append(_PARTIAL_MARK + _NOT_RANKED)
    return texts


def _percent(row: Row) -> str:
    """As the paper prints, so that equal digits share a rank."""
    return f"{100 * float(row['value']):.1f}"


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


_SIZE = re.compile(r"ViT-(\w+)")


def _size(backbone: str) -> str:
    """Size class of a backbone: ``B`` for ``ViT-B/16`` and for ``Swin-T + ViT-B/16``."""
    found = _SIZE.search(backbone)
    return found[1] if found else ""
