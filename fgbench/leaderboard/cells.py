"""What a single cell may hold, whatever stands in the others."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from fgbench.leaderboard.columns import MEASURED, ORIGINS, SCHEMA, SCOPES, Row
from fgbench.leaderboard.problems import Report

MAX_CELL = 300
"""Characters of a cell."""

MAX_COUNT = 10**9

# Full-width signs are formulas to some spreadsheets too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_NUMBER = re.compile(r"\d{1,20}(\.\d{1,25})?(e-\d{1,3})?", re.ASCII)
_COUNT = re.compile(r"0|[1-9]\d{0,9}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9.]+)?")
_WORDS = {
    "origin": ORIGINS,
    "scope": SCOPES,
    "main": ("0", "1"),
    "region_mode": ("", "roi", "crop"),
    "precision": ("", "fp32", "bf16", "fp16"),
}
_ALWAYS = ("model", "dataset", "task", "language", "protocol", "subset", "metric", "source")
_PROVENANCE = ("precision", "adapter", "weights_sha256", "data_sha256", "fgbench")
_ONLY_REPORTED = ("edition", "remarks")
_FRACTIONS = ("value", "low", "high")
_COUNTS = ("n", "expected", "evaluated", "published")


class _Wrong(NamedTuple):
    code: str
    expected: str


def check_cells(line: int, row: Row, report: Report) -> bool:
    """Check every cell of a row.

    Returns:
        Are the numbers readable and the words known, so that the cells can be compared with each other?
    """
    before = len(report.problems)
    for column, value in row.items():
        wrong = _text(value) or (_content(column, value) if value else None)
        if wrong:
            report.add(line, column, wrong.code, value, wrong.expected)
    if row["schema"] != SCHEMA:
        report.add(line, "schema", "schema", row["schema"], f"{SCHEMA}, which this version reads.")
    for column in _ALWAYS + (_COUNTS[:3] + _PROVENANCE if row["origin"] == MEASURED else ()):
        if not row[column]:
            report.add(line, column, "empty", "", "a value: without it the number cannot be traced or compared.")
    if row["origin"] == MEASURED:
        for column in _ONLY_REPORTED:
            if row[column]:
                report.add(line, column, "not-empty", row[column], "nothing: only reported rows have this.")
        if row["limit"]:
            report.add(
                line, "limit", "limited", row["limit"], "nothing: a run on part of the items cannot be compared."
            )
    if not row["value"]:
        report.add(line, "value", "empty", "", "a number.")
    return len(report.problems) == before and not report.stopped


def _text(value: str) -> _Wrong | None:
    """What no cell may hold."""
    if value.startswith(_FORMULA):
        return _Wrong("formula", "no = + - @, tab or carriage return at the start: spreadsheets would run the cell.")
    if len(value) > MAX_CELL:
        return _Wrong("too-long", f"at most {MAX_CELL} characters; found {len(value):,}.")
    hidden = next((each for each in value if unicodedata.category(each) in _HIDDEN), None)
    if hidden is not None:
        return _Wrong("control", f"visible characters only; found U+{ord(hidden):04X}.")
    if "<" in value or ">" in value:
        return _Wrong("markup", "no < or >: the cell may end up in a web page.")
    if value != value.strip():
        return _Wrong("white-space", "no blanks before or after.")
    return None


def _content(column: str, value: str) -> _Wrong | None:
    """What a filled cell of this column may hold."""
    if column in _WORDS and value not in _WORDS[column]:
        return _Wrong("word", f"one of: {', '.join(filter(None, _WORDS[column]))}.")
    if column in _FRACTIONS:
        return _fraction(value)
    if column in _COUNTS:
        if not _COUNT.fullmatch(value):
            return _Wrong("number", "a whole number in plain digits.")
        if int(value) > MAX_COUNT:
            return _Wrong("range", f"at most {MAX_COUNT:,}.")
    if column.endswith("_sha256") and not _DIGEST.fullmatch(value):
        return _Wrong("digest", f"64 small hexadecimal digits; found {len(value)} characters.")
    if column == "fgbench" and not _VERSION.fullmatch(value):
        return _Wrong("version", "a version such as 0.1.0.")
    return None


def _fraction(value: str) -> _Wrong | None:
    try:
        number = float(value.rstrip("%").replace(",", "."))
    except ValueError:
        return _Wrong("number", "a fraction such as 0.523.")
    if number != number or number in (float("inf"), float("-inf")):
        return _Wrong("number", "a finite number.")
    if value.endswith("%") or 1 < number <= 100:
        return _Wrong("percent", f"a fraction in [0, 1]: divide by 100 ({number:g} percent is {number / 100:g}).")
    if not 0 <= number <= 1:
        return _Wrong("range", "a fraction in [0, 1].")
    if not _NUMBER.fullmatch(value):
        hint = " with a decimal point, not a comma" if "," in value else ""
        return _Wrong("number", f"a fraction such as 0.523{hint}.")
    return None
