"""What can be wrong with a leaderboard file, and how it is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

CODES: Mapping[str, str] = {
    "file": "not a regular file, empty, or larger than allowed",
    "binary": "holds zero bytes: not a text file",
    "encoding": "not UTF-8, or with a byte order mark",
    "line-ends": "lines do not end with a line feed alone",
    "truncated": "the last line does not end: the file was cut off",
    "header": "the columns are not those of the schema, in order",
    "quoting": "quotation marks do not match",
    "cells": "more or fewer cells than columns",
    "too-long": "a cell or a line is too long",
    "formula": "a spreadsheet would run the cell",
    "markup": "the cell holds HTML",
    "control": "control, formatting or unassigned characters",
    "white-space": "blanks around the cell, or a blank line",
    "schema": "another schema, or none",
    "word": "not one of the allowed words",
    "empty": "a cell that has to be filled is empty",
    "not-empty": "a cell that has to be empty is filled",
    "number": "not a number as the schema writes it",
    "range": "a number outside its range",
    "percent": "a percentage where a fraction is expected",
    "digest": "not a SHA-256 in 64 small hexadecimal digits",
    "version": "not a version number",
    "limited": "from a run on part of the items (--limit)",
    "scope": "the scope does not follow from the counts",
    "partial": "not the whole dataset",
    "miniature": "made with the miniature suite",
    "dataset": "no such dataset",
    "task": "not the dataset's task",
    "language": "not the dataset's language",
    "subset": "the dataset has no such subset",
    "metric": "the dataset has no such metric",
    "protocol": "not a protocol of the dataset",
    "choices": "not the choices of the protocol",
    "main": "the mark of main numbers is wrong",
    "counts": "the counts contradict each other or the published dataset",
    "n": "the number of queries contradicts the counts",
    "resolution": "no whole number of hits gives this value",
    "interval": "the interval does not hold the value, or has one bound",
    "duplicate": "the same number twice",
    "inconsistent": "rows of one model or one evaluation contradict each other",
    "incomplete": "a main number is missing beside another",
    "order": "a value contradicts one it has to be consistent with",
    "unknown-report": "a reported number that is not in leaderboards/paper",
    "items": "the outcomes of the items are missing, unreadable, or give another value",
}  # fmt: skip
"""Reason codes; part of the format's promise, as programs read them (``check --json``)."""

MAX_PROBLEMS = 1000
"""After so many a file is read no further."""

_SHOWN = 80


class Problem(NamedTuple):
    """One reason for refusing a file.

    Attributes:
        line: in the file, from 1; 0 if the whole file is meant.
        column: name, or empty if a whole line is meant.
        code: one of :data:`CODES`.
        value: what was found, shortened and without control characters.
        expected: what was expected, and what to do.
    """

    line: int
    column: str
    code: str
    value: str
    expected: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "file"
        what = f", {self.column}" if self.column else ""
        found = f"{self.value!r}: " if self.value else ""
        return f"{where}{what} [{self.code}]: {found}{self.expected}"


@dataclass
class Report:
    """Result of checking a file.

    Attributes:
        path: of the file, as given.
        rows: data rows that were read.
        problems: as they were found, at most :data:`MAX_PROBLEMS`.
        stopped: there were more, and the rest of the file was not looked at.
        recomputed: values that were recomputed from the outcomes of items and agree.
        not_recomputed: values whose metric cannot be recomputed from outcomes.
    """

    path: str
    rows: int = 0
    problems: list[Problem] = field(default_factory=list)
    stopped: bool = False
    recomputed: int = 0
    not_recomputed: int = 0

    def add(self, line: int, column: str, code: str, value: str, expected: str) -> None:
        """Note a problem."""
        if code not in CODES:
            raise ValueError(f"{code!r} is no reason code.")
        if len(self.problems) >= MAX_PROBLEMS:
            self.stopped = True
            return
        shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in value[: _SHOWN + 1])
        if len(shown) > _SHOWN:
            shown = shown[:_SHOWN] + "…"
        self.problems.append(Problem(line, column, code, shown, expected))

    def sorted(self) -> Iterator[Problem]:
        """By line, in the order they were found."""
        return iter(sorted(self.problems, key=lambda problem: problem.line))

    @property
    def accepted(self) -> bool:
        """Is nothing wrong?"""
        return not self.problems

    def in_words(self) -> str:
        """Every problem, one per line, below the name of the file."""
        return "\n".join([f"{self.path}: {self.verdict}", *(f"  {problem}" for problem in self.sorted())])

    @property
    def verdict(self) -> str:
        """The result in a few words."""
        if self.accepted:
            return f"{self.rows:,} rows, accepted"
        count = f"{len(self.problems):,} problem{'s' if len(self.problems) > 1 else ''}"
        rest = "; the rest of the file was not looked at" if self.stopped else ""
        return f"{self.rows:,} rows, refused, {count}{rest}"

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "file": self.path,
            "accepted": self.accepted,
            "rows": self.rows,
            "problems": [each._asdict() for each in self.sorted()],
            "stopped": self.stopped,
            "recomputed": self.recomputed,
            "not_recomputed": self.not_recomputed,
        }
