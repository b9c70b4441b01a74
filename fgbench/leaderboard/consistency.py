"""Rows of a file against each other."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from fgbench import selection
from fgbench.leaderboard.columns import COMPLETE, REPORTED, Key, Row, evaluation, key
from fgbench.leaderboard.problems import Report


class Numbered(NamedTuple):
    """A row with the line it stands in."""

    line: int
    row: Row


_OF_A_MODEL = ("adapter", "source", "revision", "weights_sha256", "backbone")
_OF_AN_EVALUATION = (
    "expected", "evaluated", "published", "data_sha256", "choices", "region_mode", "precision", "fgbench",
)  # fmt: skip
_TOP_K = re.compile(r"(top|[it]2[ti]_r)(\d+)")


def check_together(rows: Iterable[Numbered], report: Report, *, whole: bool) -> None:
    """Check rows that are right by themselves.

    Args:
        rows: in file order.
        report: where problems go.
        whole: these are all rows of the file. Otherwise nothing is said to be missing: it may stand in a wrong row.
    """
    seen: dict[Key, int] = {}
    models: dict[tuple[str, str], Numbered] = {}
    evaluations: dict[Key, list[Numbered]] = defaultdict(list)
    for each in rows:
        first = seen.setdefault(key(each.row), each.line)
        if first != each.line:
            what = f"{each.row['dataset']}/{each.row['subset']}/{each.row['metric']}"
            report.add(each.line, "metric", "duplicate", what, f"each number once; it stands in line {first} already.")
            continue
        if each.row["origin"] == REPORTED:
            continue
        # Predictions made elsewhere have another digest for every dataset: that of the predictions.
        if each.row["adapter"] != "predictions":
            _agree(models.setdefault((each.row["model"], each.row["scope"]), each), each, _OF_A_MODEL, "model", report)
        evaluations[evaluation(each.row)].append(each)
    for members in evaluations.values():
        for each in members[1:]:
            _agree(members[0], each, _OF_AN_EVALUATION, "evaluation", report)
        if whole:
            _complete(members, report)
        _ordered(members, report)
        _average_precision(members, report)


def _agree(first: Numbered, other: Numbered, columns: Sequence[str], what: str, report: Report) -> None:
    for column in columns:
        if first.row[column] != other.row[column]:
            expected = f"{first.row[column]!r}, as in line {first.line}: both are of one {what}."
            report.add(other.line, column, "inconsistent", other.row[column], expected)


def _complete(members: Sequence[Numbered], report: Report) -> None:
    """Main numbers of a subset stand together, and the subsets make up the published size."""
    first = members[0]
    spec = selection.datasets().get(first.row["dataset"])[1]
    present = {(each.row["subset"], each.row["metric"]) for each in members}
    for wanted in spec.main:
        beside = any(subset == wanted.subset and (subset, metric) in spec.main for subset, metric in present)
        if beside and wanted not in present and not _may_be_undefined(wanted.metric):
            report.add(
                first.line, "metric", "incomplete", "",
                f"{wanted.subset}/{wanted.metric} of {spec.id} too: main numbers are published together.",
            )  # fmt: skip
    sizes = [spec.published_items[subset] for subset in {subset for subset, _ in present} & set(spec.published_items)]
    if first.row["scope"] == COMPLETE and sizes and sum(sizes) != int(first.row["published"] or 0):
        published = int(first.row["published"])
        report.add(
            first.line, "subset", "incomplete", f"{sum(sizes):,} items",
            f"every subset of the {published:,} items of {spec.id}: subsets are published together.",
        )  # fmt: skip


def _may_be_undefined(metric: str) -> bool:
    """AP of a frequency class is left out where a small set has no such category."""
    return metric in ("apr", "apc", "apf")


def _ordered(members: Sequence[Numbered], report: Report) -> None:
    """A hit among the first is one among the first five."""
    by_kind: dict[tuple[str, str], list[tuple[int, Numbered]]] = defaultdict(list)
    for each in members:
        match = _TOP_K.fullmatch(each.row["metric"])
        if match:
            by_kind[each.row["subset"], match[1]].append((int(match[2]), each))
    for ranks in by_kind.values():
        ranks.sort(key=lambda pair: pair[0])
        for (_, low), (_, high) in pairwise(ranks):
            if float(low.row["value"]) > float(high.row["value"]):
                expected = f"at least {low.row['metric']} ({low.row['value']}, line {low.line})."
                report.add(high.line, "value", "order", high.row["value"], expected)


def _average_precision(members: Sequence[Numbered], report: Report) -> None:
    """AP is the mean over all categories, so that of rare, common and frequent ones weighted by their numbers."""
    by_subset: dict[str, dict[str, Numbered]] = defaultdict(dict)
    for each in members:
        by_subset[each.row["subset"]][each.row["metric"]] = each
    for found in by_subset.values():
        parts = [found[metric] for metric in ("apr", "apc", "apf") if metric in found]
        if "ap" in found and sum(_n(each) for each in parts) == _n(found["ap"]):
            mean = sum(float(each.row["value"]) * _n(each) for each in parts) / _n(found["ap"])
            if abs(mean - float(found["ap"].row["value"])) > 1e-6:
                expected = f"{mean:.6f}, the mean of apr, apc and apf weighted by their categories."
                report.add(found["ap"].line, "value", "order", found["ap"].row["value"], expected)


def _n(each: Numbered) -> int:
    return int(each.row["n"])


def by_evaluation(rows: Iterable[Row]) -> Mapping[Key, list[Row]]:
    """Rows by the record they come from, in order of first appearance."""
    found: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        found[evaluation(row)].append(row)
    return found
