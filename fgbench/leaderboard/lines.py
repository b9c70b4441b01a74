"""From the bytes of a file that a stranger sent to rows of cells: bounded in time and memory, whatever the file is.

A row is a line: cells may hold no line ends, so every problem has a line number, and an open quotation mark spoils one
row only.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from fgbench.leaderboard.columns import COLUMNS, Row
from fgbench.leaderboard.problems import Report
from fgbench.results.folder import COLUMNS as RESULTS_CSV

MAX_BYTES = 8 * 2**20
"""Size of a file; a hundred models with every number have about half of it."""

MAX_LINES = 50_000

MAX_LINE = 8192
"""Characters of a line."""


def read_rows(path: Path, report: Report) -> Iterator[tuple[int, Row]]:
    """Rows with their line numbers; what is wrong with the file, a line or the number of cells goes to the report."""
    data = _read(path, report)
    if data is None:
        return
    lines = data.split(b"\n")
    if lines[-1]:
        report.add(len(lines), "", "truncated", "", "a line feed at the end of the last line. Send the whole file.")
    else:
        lines.pop()
    if any(line.endswith(b"\r") for line in lines):
        report.add(0, "", "line-ends", "", "line feeds; found carriage returns before them. Save with Unix line ends.")
        lines = [line.removesuffix(b"\r") for line in lines]
    header = _cells(lines[0], 1, report) if lines else None  # nothing but a byte order mark
    if header is None or not _header(header, report):
        return
    for number, line in enumerate(lines[1:], start=2):
        if report.stopped:
            return
        cells = _cells(line, number, report)
        if cells is None:
            continue
        if len(cells) != len(COLUMNS):
            hint = " A comma inside a number or a name?" if len(cells) > len(COLUMNS) else ""
            report.add(number, "", "cells", f"{len(cells)} cells", f"{len(COLUMNS)} cells.{hint}")
            continue
        report.rows += 1
        yield number, dict(zip(COLUMNS, cells, strict=True))


def _read(path: Path, report: Report) -> bytes | None:
    """The file's bytes without a byte order mark, or None if it is hopeless."""
    if not path.is_file():
        hint = "a folder. Of results, make a file first: fgbench leaderboard add FOLDER --to FILE.csv"
        found = hint if path.is_dir() else "no regular file" if path.exists() else "not there"
        report.add(0, "", "file", path.name, f"a CSV file; this is {found}")
        return None
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        report.add(0, "", "file", path.name, f"a readable file ({error.strerror}).")
        return None
    if len(data) > MAX_BYTES:
        size = f"{path.stat().st_size:,} bytes"
        report.add(0, "", "file", size, f"at most {MAX_BYTES:,} bytes. Send one file per model.")
        return None
    if (lines := data.count(b"\n")) > MAX_LINES:
        report.add(0, "", "file", f"{lines:,} lines", f"at most {MAX_LINES:,} lines. Send one file per model.")
        return None
    if not data:
        report.add(0, "", "file", "0 bytes", "a header and rows.")
        return None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        report.add(0, "", "encoding", "UTF-16", "UTF-8. Save the file as UTF-8.")
        return None
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        report.add(line, "", "binary", "", "text; found a zero byte.")
        return None
    if data.startswith(b"\xef\xbb\xbf"):
        report.add(1, "", "encoding", "byte order mark", "UTF-8 without a byte order mark.")
        return data[3:]
    return data


def _cells(line: bytes, number: int, report: Report) -> list[str] | None:
    """The cells of a line, or None if it cannot be read."""
    if len(line) > 4 * MAX_LINE:
        report.add(number, "", "too-long", f"{len(line):,} bytes", f"at most {MAX_LINE:,} characters per line.")
        return None
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        report.add(number, "", "encoding", repr(line[error.start : error.start + 4]), "UTF-8.")
        return None
    if len(text) > MAX_LINE:
        report.add(number, "", "too-long", f"{len(text):,} characters", f"at most {MAX_LINE:,} characters per line.")
        return None
    if not text.strip():
        report.add(number, "", "white-space", "", "no blank lines.")
        return None
    try:
        # A lone carriage return ends a row for the reader. It is shown to the checks of cells, as what it is.
        [cells] = csv.reader([text.replace("\r", _RETURN)], strict=True)
    except (csv.Error, ValueError) as error:
        report.add(number, "", "quoting", text, f'cells quoted by " only, marks inside doubled ({error}).')
        return None
    return [cell.replace(_RETURN, "\r") for cell in cells]


_RETURN = "\ue00d"
"""Stands for a carriage return while a line is split; a private character, which no cell may hold anyway."""


def _header(header: list[str], report: Report) -> bool:
    """Is the header that of the schema?"""
    expected = list(COLUMNS)
    if header == expected:
        return True
    if "schema" not in header and header[: len(RESULTS_CSV)] == list(RESULTS_CSV):
        report.add(
            1, "", "header", ",".join(header),
            "a leaderboard file; this is the results.csv of a results folder, which lacks the provenance. Make one "
            "from the records beside it: fgbench leaderboard add RESULTS_FOLDER --to FILE.csv",
        )  # fmt: skip
        return False
    missing = [name for name in expected if name not in header]
    unknown = [name for name in header if name not in expected]
    twice = sorted({name for name in header if header.count(name) > 1})
    found = [
        f"{what}: {', '.join(names)}"
        for what, names in (("missing", missing), ("unknown", unknown), ("twice", twice))
        if names
    ]
    how = "; ".join(found) or "another order"
    place = next((b for a, b in zip(header, expected, strict=False) if a != b), expected[-1])
    report.add(
        1, place, "header", ",".join(header),
        f"the {len(expected)} columns of leaderboards/README.md in their order ({how}).",
    )  # fmt: skip
    return False
