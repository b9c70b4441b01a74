"""What lies in a results folder: records fit to be shown, the tables beside them, and what is left out and why."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import NamedTuple

from fgbench.errors import DataError, DataMissingError
from fgbench.report.page.check import problem
from fgbench.results.folder import read_all, stem
from fgbench.results.record import SCHEMA, Record

TABLE_ROWS = 40
"""Longer tables are cut to their beginning: a page is for reading, the file beside the record has all."""

_TABLE_BYTES = 4_000_000
_COLUMNS = 12
_CELL = 200


class Table(NamedTuple):
    """A breakdown that a task wrote beside a record.

    Attributes:
        name: of the breakdown, from the file name.
        file: name of the file.
        columns: headings.
        rows: at most ``TABLE_ROWS`` of them.
        total: rows of the file.
    """

    name: str
    file: str
    columns: list[str]
    rows: list[list[str]]
    total: int


class Found(NamedTuple):
    """A record that can be shown.

    Attributes:
        record: as read.
        folder: name of its model's folder.
        file: its place in the results folder.
        path: of the file.
        tables: breakdowns beside it.
    """

    record: Record
    folder: str
    file: str
    path: Path
    tables: tuple[Table, ...]


class LeftOut(NamedTuple):
    """A file that is not shown: its place in the results folder, and why."""

    file: str
    reason: str


class Gathered(NamedTuple):
    """A results folder, sorted by model folder and dataset."""

    found: list[Found]
    left_out: list[LeftOut]


def gather(results: Path) -> Gathered:
    """Read a results folder.

    Args:
        results: folder as written by ``fgbench eval --output``, or the folder of one model in it.

    Raises:
        DataMissingError: no such folder, or there is no record in it.
        DataError: there are records, and none can be shown; says why.
    """
    if not results.is_dir():
        what = "is a file" if results.exists() else "does not exist"
        raise DataMissingError(f"{results} {what}; expected the folder that 'fgbench eval' wrote (its --output).")
    files = list(read_all(results))
    root = results
    if not files and any(results.glob("*.json")):  # the folder of one model was meant
        root = results.absolute().parent
        files = [(path, content) for path, content in read_all(root) if path.parent == results.absolute()]
    if not files:
        raise DataMissingError(
            f"{results}: no result records in it; expected <model>/<dataset>.json, as 'fgbench eval --output' and "
            "'fgbench score --output' write them."
        )
    gathered = Gathered([], [])
    for path, content in files:
        place = path.relative_to(root).as_posix()
        if isinstance(content, DataError):
            gathered.left_out.append(LeftOut(place, str(content).removeprefix(f"{path}: ")))
        elif reason := problem(content):
            gathered.left_out.append(LeftOut(place, reason))
        else:
            gathered.found.append(Found(content, path.parent.name, place, path, _tables(path.parent, content)))
    if not gathered.found:
        first = "\n".join(f"  {file}: {reason}" for file, reason in gathered.left_out[:5])
        more = f"\n  and {len(gathered.left_out) - 5} more" if len(gathered.left_out) > 5 else ""
        raise DataError(
            f"{results}: none of its {len(files)} JSON files is a record of schema {SCHEMA}:\n{first}{more}"
        )
    return gathered


def _tables(folder: Path, record: Record) -> tuple[Table, ...]:
    prefix = stem(record["dataset"], record["arguments"]["effective"].get("limit")) + "."
    names = [path for path in sorted(folder.glob("*.csv")) if path.name.startswith(prefix)]
    # `coco.limit-5.classes.csv` is of another record than `coco.classes.csv`.
    own = [path for path in names if "." not in path.name.removeprefix(prefix).removesuffix(".csv")]
    return tuple(table for path in own if (table := _table(path, prefix)) is not None)


def _table(path: Path, prefix: str) -> Table | None:
    """The beginning of a table; None if it is none, or too large to be one."""
    try:
        if path.stat().st_size > _TABLE_BYTES:
            return None
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, csv.Error):
        return None
    if not rows or not rows[0]:
        return None
    cut = [[cell[:_CELL] for cell in row[:_COLUMNS]] for row in rows[: TABLE_ROWS + 1]]
    return Table(path.name.removeprefix(prefix).removesuffix(".csv"), path.name, cut[0], cut[1:], len(rows) - 1)
