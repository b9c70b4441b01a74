from __future__ import annotations

from fgbench.report.page.footnotes import Footnotes
from fgbench.report.page.numbers import Column, Value
from fgbench.report.page.standing import Group
from fgbench.report.page.view import Row, TaskPart
from fgbench.report.page.words import Words
from fgbench.report.remarks import Remark
from fgbench.spec import MetricKey

COLUMNS = [Column("coco", MetricKey("*", name)) for name in ("i2t_r1", "t2i_r1")]


def row(label: str, *remarks: Remark) -> Row:
    return Row(label, Group.MEASURED, "", 0, {column: Value(5.0) for column in COLUMNS}, {"coco": list(remarks)})


def test_a_remark_is_said_once_with_all_it_holds_for() -> None:
    ties = row("a", Remark("ties", "i2t 4")), row("b", Remark("ties", "i2t 9"), Remark("", "a note"))
    notes = Footnotes(TaskPart("x", Words("x", "x"), COLUMNS, {"coco": "COCO"}, list(ties), {}))
    assert [(note.number, note.details) for note in notes.notes] == [(1, ["a, COCO i2t 4", "b, COCO i2t 9"]), (2, [])]
    assert notes.notes[1].title == Words("a note", "a note")
    assert notes.marks(ties[1], COLUMNS[0]) == [1, 2]


def test_marks_stand_at_the_first_number_of_a_dataset() -> None:
    marked = row("a", Remark("crop", ""))
    notes = Footnotes(TaskPart("x", Words("x", "x"), COLUMNS, {"coco": "COCO"}, [marked], {}))
    assert [notes.marks(marked, column) for column in COLUMNS] == [[1], []]


def test_what_the_scope_says_is_no_footnote() -> None:
    limited = row("a", Remark("limited", ""), Remark("published", ""))
    assert Footnotes(TaskPart("x", Words("x", "x"), COLUMNS, {"coco": "COCO"}, [limited], {})).notes == []
