"""What a leaderboard is made of: records, results folders, and leaderboard files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from fgbench.errors import DataError, DataMissingError, UsageError
from fgbench.leaderboard.check import check_file
from fgbench.leaderboard.columns import MEASURED, MINIATURE, PARTIAL, Key, Row, key
from fgbench.leaderboard.rows import measured
from fgbench.results.record import read_record


class LeftOut(NamedTuple):
    """Something that was not taken, and why."""

    what: str
    why: str


@dataclass
class Inputs:
    """What was read.

    Attributes:
        rows: measured rows, each number once.
        left_out: results that were not taken.
    """

    rows: list[Row] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def read_inputs(paths: Iterable[Path]) -> Inputs:
    """Read records (JSON), leaderboard files (CSV), and folders of either.

    Raises:
        DataMissingError: a path is not there, or a folder holds neither.
        UsageError: a file that is neither JSON nor CSV.
        DataError: a leaderboard file has problems, or two inputs give different values for one number.
    """
    found = Inputs()
    seen: dict[Key, tuple[Row, Path]] = {}
    files = {file.resolve(): file for path in paths for file in _files(path)}
    for file in files.values():
        for row in _rows(file, found):
            if key(row) not in seen:
                seen[key(row)] = (row, file)
                found.rows.append(row)
                continue
            other, where = seen[key(row)]
            if other != row:
                what = f"{row['model']} on {row['dataset']} ({row['subset']}/{row['metric']})"
                raise DataError(
                    f"{file}: {what} stands in {where} too, with another value or provenance. Give one of them."
                )
    return found


def read_csv(file: Path) -> list[Row]:
    """The rows of a leaderboard file.

    Raises:
        DataError: the file has problems; names every one.
    """
    report, rows = check_file(file, allow=(PARTIAL, MINIATURE))
    if not report.accepted:
        raise DataError(report.in_words())
    return rows


def _files(path: Path) -> Iterator[Path]:
    """The records of a folder, or, if it has none, its leaderboard files."""
    if not path.exists():
        raise DataMissingError(f"{path}: not there. Expected a record, a results folder or a leaderboard CSV.")
    if not path.is_dir():
        if path.suffix not in (".json", ".csv"):
            raise UsageError(f"{path}: expected a record (.json), a leaderboard file (.csv) or a folder of either.")
        yield path
        return
    inside = [*sorted(path.glob("*.json")), *sorted(path.glob("*/*.json"))] or sorted(path.rglob("*.csv"))
    if not inside:
        raise DataMissingError(f"{path}: holds neither records (*.json) nor leaderboard files (*.csv).")
    yield from inside


def _rows(file: Path, found: Inputs) -> Iterator[Row]:
    if file.suffix == ".csv":
        yield from (row for row in read_csv(file) if row["origin"] == MEASURED)
        return
    try:
        record = read_record(file)
        limit = record["arguments"]["effective"].get("limit")
        rows = list(measured(record))
    except DataError as error:
        found.left_out.append(LeftOut(str(file), str(error)))
        return
    except (KeyError, TypeError, AttributeError) as error:
        found.left_out.append(LeftOut(str(file), f"not a complete record ({type(error).__name__}: {error})"))
        return
    if limit:
        why = f"a limited run (--limit {limit}) is not comparable with anything"
    elif not rows:
        why = "it has no score"
    else:
        yield from rows
        return
    found.left_out.append(LeftOut(f"{record['model']['name']} on {record['dataset']}", why))
