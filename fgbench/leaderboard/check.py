"""Check a leaderboard file: is every number in it one that could have been measured, and can it be traced?"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from fgbench.leaderboard.cells import check_cells
from fgbench.leaderboard.columns import COMPLETE, REPORTED, Row, key
from fgbench.leaderboard.consistency import Numbered, check_together
from fgbench.leaderboard.lines import read_rows
from fgbench.leaderboard.problems import Report
from fgbench.leaderboard.rows import paper_rows
from fgbench.leaderboard.rules import check_row


def check_file(path: Path, *, allow: Collection[str] = (), items: Path | None = None) -> tuple[Report, list[Row]]:
    """Check a file; never raises for what is in it.

    Args:
        path: CSV file in the format of :mod:`fgbench.leaderboard.columns`.
        allow: scopes that are accepted beside ``complete``: ``partial``, ``miniature``.
        items: results folder with the outcomes of items; values are recomputed from them.

    Returns:
        All that is wrong, and the rows, which are of use only if nothing is.
    """
    report = Report(str(path))
    rows, good = check_rows((Numbered(line, row) for line, row in read_rows(path, report)), allow, report)
    if not rows and not report.problems:
        report.add(1, "", "file", "", "at least one row below the header.")
    if items is not None:
        from fgbench.leaderboard.recompute import recompute

        recompute([each for each in good if each.row["origin"] != REPORTED], items, report)
    return report, [each.row for each in rows]


def check_rows(
    rows: Iterable[Numbered], allow: Collection[str], report: Report
) -> tuple[list[Numbered], list[Numbered]]:
    """Check rows by themselves, against the registry or the paper's tables, and against each other.

    Returns:
        All rows that were looked at, and those that are right by themselves.
    """
    scopes = {COMPLETE, *allow}
    seen, good = [], []
    for each in rows:
        seen.append(each)
        before = len(report.problems)
        if check_cells(each.line, each.row, report):
            if each.row["origin"] == REPORTED:
                _check_reported(each.line, each.row, report)
            else:
                check_row(each.line, each.row, scopes, report)
        if report.stopped:
            break
        if len(report.problems) == before:
            good.append(each)
    check_together(good, report, whole=len(good) == len(seen))
    return seen, good


def _check_reported(line: int, row: Row, report: Report) -> None:
    known = paper_rows().get(key(row))
    if known is None:
        report.add(
            line, "origin", "unknown-report", f"{row['model']} {row['dataset']}/{row['subset']}/{row['metric']}",
            "measured rows: reported numbers are taken from leaderboards/paper, and this one is not there.",
        )  # fmt: skip
        return
    for column, value in known.items():
        if row[column] != value:
            report.add(line, column, "unknown-report", row[column], f"{value!r}, as in leaderboards/paper.")
