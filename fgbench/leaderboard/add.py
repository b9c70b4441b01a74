"""Add results to a leaderboard file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fgbench.data.atomic import write_atomic
from fgbench.errors import DataError
from fgbench.leaderboard.check import check_rows
from fgbench.leaderboard.columns import COMPLETE, MINIATURE, PARTIAL, Key, Row, ordered, to_csv
from fgbench.leaderboard.consistency import Numbered, by_evaluation
from fgbench.leaderboard.inputs import LeftOut, read_csv, read_inputs
from fgbench.leaderboard.problems import Report


@dataclass
class Added:
    """What :func:`add` did.

    Attributes:
        path: of the file.
        added, replaced, unchanged: evaluations, as ``model on dataset``.
        left_out: results that were not taken, and why.
        rows: rows the file has now.
    """

    path: Path
    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    rows: int = 0

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        left_out = [each._asdict() for each in self.left_out]
        return {**self.__dict__, "path": str(self.path), "left_out": left_out}


def add(inputs: Sequence[Path], to: Path, *, allow: Collection[str] = ()) -> Added:
    """Put results into a leaderboard file: sorted, checked, each evaluation once. The same call again changes nothing.

    The rows of an evaluation (model, dataset, protocol) replace all rows that it had.

    Args:
        inputs: records, results folders, leaderboard files.
        to: the file; made if it is not there.
        allow: scopes that are accepted beside ``complete``: ``partial``, ``miniature``.

    Raises:
        DataMissingError, UsageError: see :func:`fgbench.leaderboard.inputs.read_inputs`.
        DataError: the file, an input or the outcome does not pass the check. Nothing was written.
        StoreError: the file cannot be written.
    """
    found = read_inputs(inputs)
    done = Added(to, left_out=list(found.left_out))
    there: dict[Key, list[Row]] = {}
    if to.exists():
        there = dict(by_evaluation(read_csv(to)))
    accepted = (COMPLETE, *allow)
    for name, new in by_evaluation(found.rows).items():
        what = f"{new[0]['model']} on {new[0]['dataset']}"
        if new[0]["scope"] not in accepted:
            done.left_out.append(LeftOut(what, _why(new[0])))
            continue
        new = ordered(new)
        old = there.get(name)
        (done.added if old is None else done.unchanged if old == new else done.replaced).append(what)
        there[name] = new
    merged = ordered(row for rows in there.values() for row in rows)
    report = Report(str(to))
    check_rows([Numbered(line, row) for line, row in enumerate(merged, start=2)], (PARTIAL, MINIATURE), report)
    if not report.accepted:
        raise DataError(report.in_words())
    done.rows = len(merged)
    if done.added or done.replaced:
        write_atomic(to, to_csv(merged))
    return done


def _why(row: Row) -> str:
    counts = f"{row['evaluated']} of {row['published'] or 'an unknown number of'} items"
    if row["scope"] == MINIATURE:
        return f"made with the miniature suite ({counts}); --allow-miniature takes it, apart from real results"
    return f"not the whole dataset ({counts}); --allow-partial takes it, unranked"
