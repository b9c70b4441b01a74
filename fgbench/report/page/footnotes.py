"""Footnotes of a table: each remark once, with the datasets and models it holds for."""

from __future__ import annotations

from typing import NamedTuple

from fgbench.report.page.numbers import Column
from fgbench.report.page.view import Row, TaskPart
from fgbench.report.page.words import Words
from fgbench.report.remarks import SENTENCES, Remark

_SAID_BY_SCOPE = frozenset({"limited", "published"})


class Note(NamedTuple):
    """One footnote: its number, what it says, and of what."""

    number: int
    title: Words
    details: list[str]


class Footnotes:
    """The footnotes of a task's table."""

    def __init__(self, task: TaskPart) -> None:
        self._numbers: dict[Words, int] = {}
        self._details: dict[Words, list[str]] = {}
        self._task = task
        for row in task.rows:
            for dataset in task.titles:
                for remark in self._remarks(row, dataset):
                    title = _title(remark)
                    self._numbers.setdefault(title, len(self._numbers) + 1)
                    details = self._details.setdefault(title, [])
                    if remark.kind and remark.detail:
                        details.append(f"{row.label}, {task.titles[dataset]} {remark.detail}")

    @property
    def notes(self) -> list[Note]:
        """In the order of their numbers."""
        return [Note(number, title, self._details[title]) for title, number in self._numbers.items()]

    def marks(self, row: Row, column: Column) -> list[int]:
        """Footnotes of a cell: those of its dataset, at the dataset's first number in the row."""
        first = next(
            (each for each in self._task.columns if each.dataset == column.dataset and each in row.values), None
        )
        if column != first:
            return []
        return [self._numbers[_title(remark)] for remark in self._remarks(row, column.dataset)]

    @staticmethod
    def _remarks(row: Row, dataset: str) -> list[Remark]:
        return [remark for remark in row.remarks.get(dataset, ()) if remark.kind not in _SAID_BY_SCOPE]


def sentence(kind: str) -> Words:
    """What a kind of remark says."""
    return Words(*SENTENCES[kind])


def _title(remark: Remark) -> Words:
    return sentence(remark.kind) if remark.kind else Words(remark.detail, remark.detail)
