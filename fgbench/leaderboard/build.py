"""Build a leaderboard: one long CSV over everything, and one wide CSV per task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fgbench import selection
from fgbench.data.atomic import write_atomic
from fgbench.leaderboard.columns import MEASURED, MINIATURE, Row, ordered, to_csv
from fgbench.leaderboard.inputs import LeftOut, read_inputs
from fgbench.leaderboard.rows import paper_rows
from fgbench.report.paper import EDITIONS, remarks

_WHO = ("origin", "scope", "edition", "model", "backbone")
_CAVEAT = "not_like_for_like"


@dataclass
class Built:
    """What :func:`build` wrote.

    Attributes:
        files: rows by path.
        measured, reported: rows of each origin.
        left_out: results that were not taken, and why.
    """

    files: dict[str, int] = field(default_factory=dict)
    measured: int = 0
    reported: int = 0
    left_out: list[LeftOut] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {**self.__dict__, "left_out": [each._asdict() for each in self.left_out]}


def build(inputs: Sequence[Path], output: Path, *, editions: Iterable[str] = tuple(EDITIONS)) -> Built:
    """Merge results and published tables.

    Writes ``long.csv`` (all rows), ``<task>.csv`` (one row per model, one column per dataset, subset, metric and
    protocol) and ``miniature/<task>.csv``, likewise, of results on the miniature suite, which stand beside nothing
    else. Equal inputs give equal bytes.

    Args:
        inputs: records, results folders, leaderboard files.
        output: folder.
        editions: of the paper, to be shown beside.

    Raises:
        DataMissingError, UsageError, DataError: see :func:`fgbench.leaderboard.inputs.read_inputs`.
            Nothing was written.
        StoreError: a file cannot be written.
    """
    found = read_inputs(inputs)
    chosen = set(editions)
    rows = ordered([*found.rows, *(row for row in paper_rows().values() if row["edition"] in chosen)])
    done = Built(left_out=found.left_out)
    done.measured = sum(row["origin"] == MEASURED for row in rows)
    done.reported = len(rows) - done.measured
    contents = {"long.csv": to_csv(rows)}
    by_place: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        folder = "miniature/" if row["scope"] == MINIATURE else ""
        by_place[f"{folder}{row['task']}.csv"].append(row)
    contents |= {place: wide(members) for place, members in sorted(by_place.items())}
    for place, content in contents.items():
        write_atomic(output / place, content)
        done.files[place] = content.count(b"\n") - 1
    for task in selection.tasks():
        for place in (f"{task}.csv", f"miniature/{task}.csv"):
            if place not in contents:  # of an earlier build
                (output / place).unlink(missing_ok=True)
    return done


def column_name(row: Row) -> str:
    """Name of a wide table's column. The protocol is part of it: no column mixes two."""
    return f"{row['dataset']}/{row['subset']}/{row['metric']}@{row['protocol']}"


def wide(rows: Sequence[Row]) -> bytes:
    """One row per model, one column per number; measured values with six decimals, reported ones as printed.

    Args:
        rows: of one task, in order.
    """
    columns: list[str] = []
    for row in ordered({**row, **dict.fromkeys(_WHO, "")} for row in rows):
        if column_name(row) not in columns:
            columns.append(column_name(row))
    by_model: dict[tuple[str, ...], dict[str, str]] = {}
    caveats: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row in rows:
        who = tuple(row[name] for name in _WHO)
        cells = by_model.setdefault(who, dict.fromkeys(columns, ""))
        cells[column_name(row)] = f"{float(row['value']):.6f}" if row["origin"] == MEASURED else row["value"]
        if not like_for_like(row):
            caveats[who].append(column_name(row))
    lines: list[Mapping[str, str]] = [
        {**dict(zip(_WHO, who, strict=True)), **cells, _CAVEAT: ";".join(caveats[who])}
        for who, cells in by_model.items()
    ]
    return to_csv(lines, (*_WHO, *columns, _CAVEAT))


def like_for_like(row: Row) -> bool:
    """May a value be compared with the others of its column, as far as its remarks go?"""
    known = remarks()
    return all(known[code].like_for_like for code in row["remarks"].split(";") if code)
