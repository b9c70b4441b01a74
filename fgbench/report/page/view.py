"""What the page and the figures show: per scope a table for every task, over the same rows.

All numbers are percent here. Nothing is averaged but the main numbers of a dataset, and the datasets of a task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from fgbench.report.page.bilingual import GapRow, gap_rows
from fgbench.report.page.gather import Found
from fgbench.report.page.numbers import Column, Value
from fgbench.report.page.reported import PaperRow, Specs, reported, reported_apart
from fgbench.report.page.standing import Group, Scope, Standing, standing
from fgbench.report.page.text import shorten
from fgbench.report.page.words import Words
from fgbench.report.paper import REFERENCE
from fgbench.report.remarks import Remark, remarks
from fgbench.spec import DatasetSpec, MetricKey

LABEL = 100
"""Characters of a model's name in tables; its details have all of it."""

Titles = Callable[[str], Words]


@dataclass(frozen=True)
class Result:
    """A record, and where it belongs.

    Attributes:
        number: of the record in the report, from 0.
        found: the record.
        standing: what it may stand beside.
        remarks: what a reader has to know.
    """

    number: int
    found: Found
    standing: Standing
    remarks: list[Remark]


@dataclass(frozen=True)
class Row:
    """A model under one protocol, or a row of the paper.

    Attributes:
        label: name of the model.
        group: what it is compared with.
        variant: how its protocol differs.
        series: number of its colour, from 0.
        values: by column.
        remarks: by dataset.
    """

    label: str
    group: Group
    variant: str
    series: int
    values: dict[Column, Value] = field(default_factory=dict)
    remarks: dict[str, list[Remark]] = field(default_factory=dict)

    def record(self, dataset: str) -> int | None:
        """Number of the record that a dataset's values come from."""
        return next((value.record for column, value in self.values.items() if column.dataset == dataset), None)


@dataclass(frozen=True)
class TaskPart:
    """A task in a scope.

    Attributes:
        id: of the task.
        title: in both languages.
        columns: main numbers of its datasets, in table order.
        titles: of its datasets, by id.
        rows: those with a number here, by group.
        apart: what the paper reports under another protocol, one line per row of it, by protocol.
    """

    id: str
    title: Words
    columns: list[Column]
    titles: dict[str, str]
    rows: list[Row]
    apart: dict[str, list[str]]

    def best(self, column: Column) -> float | None:
        """The best of two or more measured numbers, rounded as shown."""
        found = [round(row.values[column].percent, 1) for row in self.rows
                 if row.group is Group.MEASURED and column in row.values]  # fmt: skip
        return max(found) if len(found) > 1 else None

    def groups(self) -> list[tuple[str, list[Row]]]:
        """Rows that are compared with each other."""
        found = [(group.value, [row for row in self.rows if row.group is group]) for group in Group]
        return [(group, rows) for group, rows in found if rows]

    def has_intervals(self) -> bool:
        """Does a number shown have an interval?"""
        return any(row.values[c].low is not None for row in self.rows for c in self.columns if c in row.values)

    def dataset_mean(self, row: Row, dataset: str) -> float | None:
        """Mean of a dataset's main numbers; None if the row lacks one that a measured row has.

        A number that the first one is made of (APr, APc, APf of AP) is not counted again.
        """
        columns = [column for column in self.columns if column.dataset == dataset]
        own = [column for column in columns if not any(_part_of(column.key, other.key) for other in columns)]
        wanted = [column for column in own if self._measured(column)] or own
        values = [row.values[column].percent for column in wanted if column in row.values]
        return sum(values) / len(values) if values and len(values) == len(wanted) else None

    def mean(self, row: Row) -> float | None:
        """Mean over the datasets that a measured row has; None if this row lacks one of them."""
        datasets = dict.fromkeys(column.dataset for column in self.columns if self._measured(column))
        means = [self.dataset_mean(row, dataset) for dataset in datasets]
        found = [mean for mean in means if mean is not None]
        return sum(found) / len(found) if found and len(found) == len(means) else None

    def _measured(self, column: Column) -> bool:
        return any(column in row.values for row in self.rows if row.group is Group.MEASURED)


@dataclass(frozen=True)
class ScopePart:
    """A scope: rows over all its tasks.

    Attributes:
        scope: which.
        rows: all rows, by group.
        tasks: in table order.
        results: its records.
        gaps: English beside Chinese, by model.
    """

    scope: Scope
    rows: list[Row]
    tasks: list[TaskPart]
    results: list[Result]
    gaps: list[GapRow]

    @property
    def columns(self) -> list[Column]:
        """Of all tasks."""
        return [column for task in self.tasks for column in task.columns]

    def radar(self) -> list[tuple[Row, list[float | None]]]:
        """Task means of measured and reported rows that have at least three of them."""
        found = [(row, [task.mean(row) for task in self.tasks]) for row in self.rows
                 if row.group in (Group.MEASURED, Group.REPORTED)]  # fmt: skip
        return [(row, means) for row, means in found if sum(mean is not None for mean in means) >= 3]


def build(
    found: Sequence[Found], specs: Specs, titles: Titles, order: Sequence[str]
) -> tuple[list[Result], list[ScopePart]]:
    """Results in table order, and the scopes that have any.

    Args:
        found: records.
        specs: dataset by id; None for one that this installation does not know.
        titles: title of a task by id.
        order: dataset ids in table order; others come last.
    """
    place = {name: number for number, name in enumerate(order)}
    ordered = sorted(found, key=lambda each: (
        each.folder, place.get(each.record["dataset"], len(place)), each.record["dataset"], each.file
    ))  # fmt: skip
    results = [
        Result(number, each, standing(each.record, specs(each.record["dataset"])), remarks(each.record))
        for number, each in enumerate(ordered)
    ]
    labels = _labels(results)
    scopes = []
    for scope in Scope:
        own = [result for result in results if result.standing.scope is scope]
        if own:
            scopes.append(_scope(scope, own, specs, titles, place, labels))
    return results, scopes


def _part_of(key: MetricKey, other: MetricKey) -> bool:
    return key.subset == other.subset and key.metric != other.metric and key.metric.startswith(other.metric)


def _labels(results: Iterable[Result]) -> dict[str, str]:
    """Names of the rows by folder: the model's; with the folder where two folders have one name."""
    names = {result.found.folder: str(result.found.record["model"]["name"]) for result in results}
    count = Counter(names.values())
    return {
        folder: shorten(name if count[name] == 1 else f"{name} ({folder})", LABEL) for folder, name in names.items()
    }


def _scope(
    scope: Scope, results: list[Result], specs: Specs, titles: Titles, place: dict[str, int], labels: dict[str, str]
) -> ScopePart:
    datasets = sorted({result.found.record["dataset"]: result for result in results}.items(),
                      key=lambda item: (place.get(item[0], len(place)), item[0]))  # fmt: skip
    rows = _measured(results, labels)
    columns = {
        name: _columns([r for r in results if r.found.record["dataset"] == name], specs(name)) for name, _ in datasets
    }
    papers = _paper_rows(results, rows) if scope is Scope.COMPLETE else {}
    for paper, series in papers.items():
        found = reported(paper, [column for each in columns.values() for column in each], specs)
        if found:
            values = {column: Value(percent) for column, percent in found.items()}
            rows[Group.REPORTED.value, paper[0], paper[1]] = Row(" ".join(paper), Group.REPORTED, "", series, values)
    tasks = []
    for task in dict.fromkeys(result.found.record["task"] for _, result in datasets):
        own = [name for name, result in datasets if result.found.record["task"] == task]
        wanted = [column for name in own for column in columns[name]]
        tasks.append(
            TaskPart(
                task, titles(task), wanted, {name: spec.title if (spec := specs(name)) else name for name in own},
                [row for row in rows.values() if any(column in row.values for column in wanted)],
                reported_apart(papers, wanted, specs),
            )
        )  # fmt: skip
    models = {folder: [r.found for r in results if r.found.folder == folder and r.standing.group is Group.MEASURED]
           for folder in dict.fromkeys(result.found.folder for result in results)}  # fmt: skip
    gaps = [gap for folder, own in models.items() for gap in gap_rows(labels[folder], own)]
    return ScopePart(scope, list(rows.values()), tasks, results, gaps)


def _measured(results: Sequence[Result], labels: dict[str, str]) -> dict[tuple[str, ...], Row]:
    """The rows by group, folder and variant, in this order of groups."""
    rows: dict[tuple[str, ...], Row] = {}
    for result in sorted(results, key=lambda each: list(Group).index(each.standing.group)):
        _, group, variant = result.standing
        folder = result.found.folder
        new = Row(labels[folder], group, variant, _series(rows, folder))
        _fill(rows.setdefault((group.value, folder, variant), new), result)
    return rows


def _series(rows: dict[tuple[str, ...], Row], folder: str) -> int:
    """One colour per model, whatever the protocol of a row."""
    known = {key[1]: row.series for key, row in rows.items()}
    return known.get(folder, len(set(known.values())))


def _fill(row: Row, result: Result) -> None:
    record = result.found.record
    for score in record["scores"]:
        column = Column(record["dataset"], MetricKey(score["subset"], score["metric"]))
        row.values[column] = Value.of(score, result.number)
    row.remarks[record["dataset"]] = result.remarks


def _columns(results: Sequence[Result], spec: DatasetSpec | None) -> list[Column]:
    """Main numbers that at least one record has."""
    dataset = results[0].found.record["dataset"]
    there = {(score["subset"], score["metric"]) for result in results for score in result.found.record["scores"]}
    main = (
        spec.main if spec else [(e["subset"], e["metric"]) for result in results for e in result.found.record["main"]]
    )
    return [Column(dataset, MetricKey(*key)) for key in dict.fromkeys(main) if key in there]


def _paper_rows(results: Sequence[Result], rows: dict[tuple[str, ...], Row]) -> dict[PaperRow, int]:
    """The paper's rows of the models shown, and its own model's where a model has none; each in its model's colour."""
    series = {folder: row.series for (_, folder, _), row in rows.items()}
    found: dict[PaperRow, int] = {}
    for result in results:
        paper = result.found.record["model"]["paper"]
        if paper:
            found.setdefault((paper[0], paper[1]), series[result.found.folder])
    if not all(result.found.record["model"]["paper"] for result in results):
        found.setdefault(REFERENCE, len(set(series.values())))
    return found
