"""One defect at a time in a good file: each is refused, at the right line and column, for the right reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from fgbench.leaderboard.check import check_file
from fgbench.leaderboard.columns import COLUMNS
from fgbench.leaderboard.problems import CODES, Problem

from . import good

HARD = ("fg-ovd", "hard", "top1")
I2T = ("coco", "*", "i2t_r1")
T2I = ("coco", "*", "t2i_r1")
AP = ("lvis-minival", "fused", "ap")
VQA = ("textvqa", "all", "vqa_accuracy")


class Cell(NamedTuple):
    """A cell of the row of a number, what is written into it, and the reason for refusing it."""

    name: str
    number: tuple[str, str, str]
    column: str
    value: str
    code: str
    at: str | None = None
    """The column that is blamed, if it is another one."""


CELLS = [
    # What spreadsheets and browsers would run.
    Cell("a formula", HARD, "model", '=HYPERLINK("http://x","y")', "formula"),
    Cell("a formula that starts with a plus", HARD, "source", "+1+cmd|' /C calc'!A0", "formula"),
    Cell("a formula that starts with a minus", HARD, "source", "-2+3", "formula"),
    Cell("a formula that starts with an at sign", HARD, "model", "@SUM(A1)", "formula"),
    Cell("a formula in full-width characters", HARD, "model", "＝1+1", "formula"),
    Cell("a cell that starts with a tab", HARD, "model", "\t=1", "formula"),
    Cell("a script tag", HARD, "model", "<script>alert(1)</script>", "markup"),
    Cell("half a tag", HARD, "source", "hub:a/b<img src=x", "markup"),
    Cell("a control character", HARD, "model", "our\x1b[2Jmodel", "control"),
    Cell("text that runs the other way", HARD, "model", "our\u202eledom", "control"),
    Cell("a character without width", HARD, "model", "our\u200bmodel", "control"),
    Cell("a blank around a name", HARD, "model", "our-model ", "white-space"),
    Cell("a name without end", HARD, "model", "m" * 301, "too-long"),
    # Numbers.
    Cell("1e308", HARD, "value", "1e308", "range"),
    Cell("NaN", HARD, "value", "nan", "number"),
    Cell("infinity", HARD, "value", "inf", "number"),
    Cell("a percentage", HARD, "value", "52.3", "percent"),
    Cell("a percent sign", HARD, "value", "52.3%", "percent"),
    Cell("a decimal comma", HARD, "value", "0,523", "number"),
    Cell("no number", HARD, "value", "good", "number"),
    Cell("digits of another script", HARD, "value", "٠.٥", "number"),
    Cell("an underscore in a number", HARD, "value", "0.5_2", "number"),
    Cell("a value that no number of hits gives", HARD, "value", "0.5230", "resolution"),
    Cell("a value that tenths do not give", VQA, "value", "0.58201", "resolution"),
    Cell("no value", HARD, "value", "", "empty"),
    Cell("a count with a decimal point", HARD, "n", "3545.0", "number"),
    Cell("a count with a separator", HARD, "expected", "11,357", "number"),
    Cell("a count beyond all bounds", HARD, "n", "9999999999", "range"),
    Cell("a value outside its interval", HARD, "high", "0.5", "interval", at="value"),
    Cell("half an interval", HARD, "low", "", "interval"),
    Cell("an interval in percent", HARD, "high", "53.3", "percent"),
    # Counts.
    Cell("more evaluated than there are", HARD, "evaluated", "11358", "counts"),
    Cell("nothing evaluated", HARD, "evaluated", "0", "counts"),
    Cell("not the published size", HARD, "published", "11356", "counts"),
    Cell("queries that contradict the counts", HARD, "n", "3544", "n"),
    Cell("more queries than pictures", I2T, "n", "25000", "n"),
    Cell("fewer captions than pictures", T2I, "n", "4999", "n"),
    Cell("a part of the items", HARD, "evaluated", "11000", "scope", at="scope"),
    Cell("a limited run", HARD, "limit", "100", "limited"),
    Cell("complete in name only", HARD, "scope", "partial", "scope"),
    Cell("the miniature suite in name only", HARD, "scope", "miniature", "scope"),
    # Names.
    Cell("an unknown dataset", HARD, "dataset", "fg-ovd2", "dataset"),
    Cell("another dataset's task", HARD, "task", "detection", "task"),
    Cell("the wrong language", I2T, "language", "zh", "language"),
    Cell("an unknown subset", HARD, "subset", "hardest", "subset"),
    Cell("an unknown metric", HARD, "metric", "top2", "metric"),
    Cell("an unknown protocol", HARD, "protocol", "my-own", "protocol"),
    Cell("a choice that was not allowed", AP, "choices",
         "alpha=2;labels=keep;per_image=all;temperature=0.01", "choices"),
    Cell("a choice that is missing", AP, "choices", "alpha=0.5;labels=keep;per_image=all", "choices"),
    Cell("a metric that is not main, marked so", I2T, "main", "0", "main"),
    Cell("an unknown mark", I2T, "main", "yes", "word"),
    # Provenance.
    Cell("no digest of the weights", HARD, "weights_sha256", "", "empty"),
    Cell("a digest cut short", HARD, "weights_sha256", "5f5f5f5f", "digest"),
    Cell("a digest in capitals", HARD, "data_sha256", "C3" * 32, "digest"),
    Cell("no fingerprint of the data", HARD, "data_sha256", "", "empty"),
    Cell("no adapter", HARD, "adapter", "", "empty"),
    Cell("no version", HARD, "fgbench", "", "empty"),
    Cell("no version number", HARD, "fgbench", "latest", "version"),
    Cell("no precision", HARD, "precision", "", "empty"),
    Cell("an unknown precision", HARD, "precision", "int4", "word"),
    Cell("no source", HARD, "source", "", "empty"),
    Cell("another schema", HARD, "schema", "fgbench.leaderboard/9", "schema"),
    Cell("an edition of a measured number", HARD, "edition", "icml-2026-v3", "not-empty"),
    Cell("a reported number that nobody printed", HARD, "origin", "reported", "unknown-report"),
]  # fmt: skip


@pytest.mark.parametrize("case", CELLS, ids=lambda case: case.name)
def test_one_wrong_cell(case: Cell, tmp_path: Path) -> None:
    content = good.rows()
    line = good.line_of(*case.number)
    content[line - 2][case.column] = case.value
    path = tmp_path / "submission.csv"
    # Written by hand: what writes leaderboards would make formulas harmless.
    path.write_text("\n".join([",".join(COLUMNS), *(",".join(map(quoted, each.values())) for each in content), ""]))
    found = problems(path)
    assert (line, case.at or case.column, case.code) in {(each.line, each.column, each.code) for each in found}
    assert {each.line for each in found} == {line}
    assert all(each.expected for each in found)


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set(',"') else cell


def problems(path: Path) -> list[Problem]:
    return list(check_file(path)[0].sorted())


def good_text(tmp_path: Path) -> str:
    return good.write(tmp_path / "good.csv", good.rows()).read_text(encoding="utf-8")


def swap(text: str, first: int, second: int, column: str) -> str:
    """The text with the cells of a column exchanged between two lines."""
    lines = [line.split(",") for line in text.splitlines()]
    place = lines[0].index(column)
    lines[first - 1][place], lines[second - 1][place] = lines[second - 1][place], lines[first - 1][place]
    return "\n".join(map(",".join, lines)) + "\n"


def replaced(text: str, number: tuple[str, str, str], column: str, value: str) -> str:
    lines = [line.split(",") for line in text.splitlines()]
    lines[good.line_of(*number) - 1][lines[0].index(column)] = value
    return "\n".join(map(",".join, lines)) + "\n"


def without(text: str, number: tuple[str, str, str]) -> str:
    lines = text.splitlines()
    del lines[good.line_of(*number) - 1]
    return "\n".join(lines) + "\n"


class Text(NamedTuple):
    """An edit of the whole file, and where it is refused for what."""

    name: str
    edit: Callable[[str], str]
    line: int
    column: str
    code: str


LAST = len(good.rows()) + 1

TEXTS = [
    Text("swapped metric names, both ways", lambda t: swap(t, good.line_of(*I2T), good.line_of(*T2I), "metric"),
         good.line_of(*T2I), "n", "n"),
    Text("swapped metric names, first and fifth",
         lambda t: swap(t, good.line_of(*I2T), good.line_of("coco", "*", "i2t_r5"), "value"),
         good.line_of(*I2T), "value", "interval"),
    Text("swapped metric names of AP",
         lambda t: swap(swap(swap(t, good.line_of("lvis-minival", "fused", "apr"), good.line_of(*AP), "value"),
                             good.line_of("lvis-minival", "fused", "apr"), good.line_of(*AP), "low"),
                        good.line_of("lvis-minival", "fused", "apr"), good.line_of(*AP), "high"),
         good.line_of(*AP), "value", "order"),
    Text("a duplicate", lambda t: t + t.splitlines()[1] + "\n", LAST + 1, "metric", "duplicate"),
    Text("a second value of the same number",
         lambda t: t + t.splitlines()[1].replace(repr(1854 / 3545), repr(1855 / 3545)) + "\n",
         LAST + 1, "metric", "duplicate"),
    Text("a main number left out", lambda t: without(t, T2I), good.line_of(*I2T), "metric", "incomplete"),
    Text("a subset left out", lambda t: without(t, ("fg-ovd", "trivial", "top1")),
         good.line_of(*HARD), "subset", "incomplete"),
    Text("two weights of one model", lambda t: replaced(t, T2I, "weights_sha256", "ab" * 32),
         good.line_of(*T2I), "weights_sha256", "inconsistent"),
    Text("two data sets under one name", lambda t: replaced(t, T2I, "data_sha256", "ab" * 32),
         good.line_of(*T2I), "data_sha256", "inconsistent"),
    Text("columns in another order", lambda t: t.replace("subset,metric", "metric,subset", 1), 1, "subset", "header"),
    Text("a column missing", lambda t: t.replace("n,main", "n", 1), 1, "main", "header"),
    Text("a column renamed", lambda t: t.replace("value", "score", 1), 1, "value", "header"),
    Text("no header", lambda t: t.split("\n", 1)[1], 1, "schema", "header"),
    Text("a cell too many", lambda t: t.replace("our-model", "our,model", 1), 2, "", "cells"),
    Text("cut off in the middle of a line", lambda t: t[:-80], LAST, "", "truncated"),
    Text("cut off at the last line feed", lambda t: t[:-1], LAST, "", "truncated"),
    Text("an open quotation mark", lambda t: t.replace("our-model", '"our-model', 1), 2, "", "quoting"),
    Text("a blank line", lambda t: t.replace("\n", "\n\n", 1), 2, "", "white-space"),
    Text("Windows line ends", lambda t: t.replace("\n", "\r\n"), 0, "", "line-ends"),
    Text("a byte order mark", lambda t: "\ufeff" + t, 1, "", "encoding"),
    Text("a zero byte", lambda t: t.replace("our-model", "our\0model", 1), 2, "", "binary"),
    Text("a line without end", lambda t: t.replace("our-model", "m" * 10_000, 1), 2, "", "too-long"),
    Text("a carriage return in a cell", lambda t: t.replace("our-model", '"\rour-model"', 1), 2, "model", "formula"),
    Text("no rows", lambda t: t.splitlines()[0] + "\n", 1, "", "file"),
    Text("nothing", lambda t: "", 0, "", "file"),
]  # fmt: skip


@pytest.mark.parametrize("case", TEXTS, ids=lambda case: case.name)
def test_one_wrong_edit(case: Text, tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_bytes(case.edit(good_text(tmp_path)).encode())
    assert (case.line, case.column, case.code) in {(each.line, each.column, each.code) for each in problems(path)}


@pytest.mark.parametrize("encoding", ["utf-16", "gb18030"])
def test_another_encoding(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_bytes(good_text(tmp_path).replace("hub:somebody", "某人").encode(encoding))
    assert {each.code for each in problems(path)} == {"encoding"}


def test_the_good_one_passes(tmp_path: Path) -> None:
    report, rows = check_file(good.write(tmp_path / "good.csv", good.rows()))
    assert report.problems == []
    assert report.rows == len(rows) == len(good.rows())


def test_a_name_with_a_harmless_formula_passes(tmp_path: Path) -> None:
    """What writes leaderboards puts an apostrophe before formulas; such a file is its own."""
    content = [{**each, "model": "=our-model"} for each in good.rows()]
    assert problems(good.write(tmp_path / "good.csv", content)) == []


def test_all_problems_are_told_with_their_lines(tmp_path: Path) -> None:
    content = good.rows()
    for number, column in ((HARD, "value"), (I2T, "n"), (AP, "weights_sha256")):
        content[good.line_of(*number) - 2][column] = "x"
    found = problems(good.write(tmp_path / "submission.csv", content))
    assert [(each.line, each.column) for each in found] == [
        (good.line_of(*HARD), "value"), (good.line_of(*AP), "weights_sha256"), (good.line_of(*I2T), "n")
    ]  # fmt: skip


def test_there_are_forty_defects_and_every_reason_is_met() -> None:
    """``items`` and the scopes that an option accepts have tests of their own."""
    assert len(CELLS) + len(TEXTS) >= 40
    met = {case.code for case in CELLS} | {case.code for case in TEXTS}
    assert set(CODES) - met == {"items", "partial", "miniature"}
