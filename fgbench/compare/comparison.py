"""Two models on the datasets that both were evaluated on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from fgbench import selection
from fgbench.compare.protocol import Difference, protocol_difference
from fgbench.compare.sides import Entry, Side
from fgbench.metrics.pairing import Comparison, Paired, bounds, compare, differences, holm, pair, two_sided
from fgbench.metrics.resampling import spread
from fgbench.results.record import Record
from fgbench.spec import MetricKey

_NORMAL = 10**6
"""Degrees of freedom at which Student's t is normal."""


@dataclass(frozen=True)
class Row:
    """One score of both models.

    Attributes:
        dataset: what the files are called: id, with the limit of a limited run.
        subset, metric: which score.
        first, second: as in the records, fractions; None if a record lacks the score.
        differing: fields of the protocol in which they differ.
        paired: the comparison item by item; None if there is none.
        p_holm: p corrected for the number of rows.
        remark: why there is no comparison, or what to know about it.
    """

    dataset: str
    subset: str
    metric: str
    first: float | None
    second: float | None
    differing: tuple[Difference, ...] = ()
    paired: Comparison | None = None
    p_holm: float | None = None
    remark: str = ""

    @property
    def comparable(self) -> bool:
        """Do they mean the same?"""
        return not any(each.decisive for each in self.differing)


class Overall(NamedTuple):
    """Mean over datasets of the difference in their main scores, which of one dataset are averaged first.

    Attributes:
        datasets: how many there are.
        difference: first - second.
        low, high: 95 % interval; datasets count as independent.
        p: two-sided, normal.
    """

    datasets: int
    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Compared:
    """Result of :func:`compare_sides`.

    Attributes:
        first, second: names of the models.
        rows: one for each score, in table order.
        overall: over the main scores of all comparable datasets; None if there are none.
        only_first, only_second: datasets of one model only.
        notes: for the reader.
    """

    first: str
    second: str
    rows: tuple[Row, ...]
    overall: Overall | None
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0 every row was compared, 3 some could not be."""
        return 0 if self.rows and all(row.paired for row in self.rows) else 3

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "first": self.first,
            "second": self.second,
            "rows": [
                {
                    **{key: value for key, value in asdict(row).items() if key not in {"paired", "differing"}},
                    "comparable": row.comparable,
                    "differing": [each._asdict() for each in row.differing],
                    "paired": row.paired._asdict() if row.paired else None,
                }
                for row in self.rows
            ],
            "overall": self.overall._asdict() if self.overall else None,
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
            "notes": list(self.notes),
        }


def compare_sides(first: Side, second: Side, *, everything: bool = False) -> Compared:
    """Compare two models.

    Args:
        first, second: their records.
        everything: all scores, not only those that stand for a dataset.
    """
    shared = in_table_order({name: entry.record for name, entry in first.entries.items() if name in second.entries})
    rows: list[Row] = []
    means: list[tuple[float, float]] = []
    for name in shared:
        one, other = first.entries[name], second.entries[name]
        differing = tuple(protocol_difference(one.record, other.record))
        found = [_row(name, key, one, other, differing) for key in _keys(one.record, everything)]
        rows += found
        if not any(each.decisive for each in differing) and (mean := _mean_difference(one, other)):
            means.append(mean)
    corrected = iter(holm([row.paired.p for row in rows if row.paired]))
    rows = [replace(row, p_holm=next(corrected)) if row.paired else row for row in rows]
    return Compared(
        first.name,
        second.name,
        tuple(rows),
        _overall(means),
        tuple(in_table_order({k: e.record for k, e in first.entries.items() if k not in second.entries})),
        tuple(in_table_order({k: e.record for k, e in second.entries.items() if k not in first.entries})),
        (*_notes(first), *_notes(second)),
    )


def in_table_order(records: Mapping[str, Record]) -> list[str]:
    """Names of records by the order of their datasets; those of unknown datasets last."""
    order = {name: number for number, name in enumerate(selection.datasets())}
    return sorted(records, key=lambda name: (order.get(records[name]["dataset"], len(order)), name))


def _keys(record: Record, everything: bool) -> Iterator[MetricKey]:
    for entry in record["scores"] if everything else record["main"]:
        yield MetricKey(entry["subset"], entry["metric"])


def _row(name: str, key: MetricKey, one: Entry, other: Entry, differing: tuple[Difference, ...]) -> Row:
    row = Row(name, key.subset, key.metric, value(one.record, key), value(other.record, key), differing)
    if not row.comparable:
        return replace(row, remark="not comparable")
    if row.first is None or row.second is None:
        return replace(row, remark="not in both records")
    left, right = one.samples().get(key), other.samples().get(key)
    if left is None or right is None:
        return replace(row, remark=one.problem or other.problem or "nothing says what this score is made of")
    try:
        found = compare(left, right)
    except ValueError as error:
        return replace(row, remark=f"items cannot be paired: {error}")
    if found is None:
        return replace(row, remark="fewer than two units in common")
    apart = found.only_first + found.only_second
    remark = f"{found.only_first:,} and {found.only_second:,} items only on one side" if apart else ""
    return replace(row, paired=found, remark=remark)


def value(record: Record, key: MetricKey) -> float | None:
    """A score of a record."""
    return next((s["value"] for s in record["scores"] if (s["subset"], s["metric"]) == key), None)


def _mean_difference(one: Entry, other: Entry) -> tuple[float, float] | None:
    """Difference and its variance, of the mean of the main scores of a dataset."""
    pairs: list[Paired] = []
    for key in _keys(one.record, everything=False):
        left, right = one.samples().get(key), other.samples().get(key)
        try:
            found = pair(left, right) if left and right else None
        except ValueError:
            found = None
        if found:
            pairs.append(found)
    units = {unit for left, _ in pairs for unit in left.units.tolist()}
    if len(units) < 2:
        return None
    difference = sum(left.value() - right.value() for left, right in pairs) / len(pairs)
    return difference, spread(differences(pairs), len(units))


def _overall(means: list[tuple[float, float]]) -> Overall | None:
    if not means:
        return None
    difference = sum(each for each, _ in means) / len(means)
    error = math.sqrt(sum(variance for _, variance in means)) / len(means)
    return Overall(len(means), difference, *bounds(difference, error, _NORMAL), p=two_sided(difference, error))


def _notes(side: Side) -> list[str]:
    if not side.passed_over:
        return []
    return [f"{side.name}: {len(side.passed_over)} files were passed over. {side.passed_over[0]}"]
