"""Measured rows against the registry: is there such a number, and can it have this value?"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import combinations

from fgbench import selection
from fgbench.leaderboard.columns import COMPLETE, MEASURED, MINIATURE, Row
from fgbench.leaderboard.problems import Report
from fgbench.leaderboard.rows import scope, subsets
from fgbench.registry import unknown_name
from fgbench.spec import DatasetSpec

EXTERNAL = "external/"

_ROUNDING = 1e-9
"""What floating-point arithmetic may be off by."""

_HITS = re.compile(r"top\d+|[it]2[ti]_r\d+|accuracy|acc_iou50|unparsed|vanilla|row_accuracy")
_TENTHS = "vqa_accuracy"
_CAPTIONS = re.compile(r"t2i_r\d+")
_ROTATIONS = ("row_accuracy", "unparsed")  # of MMBench, every rotation of a question counts


def resolution(metric: str) -> int | None:
    """Steps per query of a metric that is a mean over queries: 1 for hits, 10 for VQA accuracy (0, 0.3, 0.6, 0.9, 1).

    None where a value is no such mean (AP, IoU).
    """
    if _HITS.fullmatch(metric):
        return 1
    return 10 if metric == _TENTHS else None


def check_row(line: int, row: Row, allowed: Collection[str], report: Report) -> None:
    """Check a measured row whose cells are readable by themselves.

    Args:
        line: of the row in the file.
        row: its cells.
        allowed: scopes that are accepted.
        report: where problems go.
    """
    assert row["origin"] == MEASURED
    registry = selection.datasets()
    if row["dataset"] not in registry:
        known = unknown_name("dataset", row["dataset"], registry)
        report.add(line, "dataset", "dataset", row["dataset"], f"a dataset of 'fgbench list datasets'. {known}")
        return
    spec = registry.get(row["dataset"])[1]
    _names(line, row, spec, report)
    _protocol(line, row, spec, report)
    _interval(line, row, report)
    if _counts(line, row, spec, report):
        _scope(line, row, allowed, report)
        _queries(line, row, spec, report)


def _names(line: int, row: Row, spec: DatasetSpec, report: Report) -> None:
    if row["task"] != spec.task:
        report.add(line, "task", "task", row["task"], f"{spec.task}, the task of {spec.id}.")
    if row["language"] != spec.language:
        report.add(line, "language", "language", row["language"], f"{spec.language}, the language of {spec.id}.")
    if row["subset"] not in subsets(spec):
        known = ", ".join(subsets(spec))
        report.add(line, "subset", "subset", row["subset"], f"a subset of {spec.id}: {known}.")
    if row["metric"] not in spec.metrics:
        known = ", ".join(spec.metrics)
        report.add(line, "metric", "metric", row["metric"], f"a metric of {spec.id}: {known}.")
    main = str(int((row["subset"], row["metric"]) in spec.main))
    if row["main"] != main:
        report.add(line, "main", "main", row["main"], f"{main} for {row['subset']}/{row['metric']} of {spec.id}.")


def _protocol(line: int, row: Row, spec: DatasetSpec, report: Report) -> None:
    known = {spec.protocol.id, *(cell.protocol for cell in spec.published.values() if cell.protocol)}
    external = row["protocol"].startswith(EXTERNAL) and len(row["protocol"]) > len(EXTERNAL)
    if row["protocol"] not in known and not external:
        names = ", ".join(sorted(known))
        report.add(line, "protocol", "protocol", row["protocol"], f"{names} or {EXTERNAL}NAME for {spec.id}.")
        return
    choices = spec.protocol.choices if row["protocol"] == spec.protocol.id else {}
    pairs = [pair.partition("=") for pair in row["choices"].split(";") if pair]
    found = {name: value for name, _, value in pairs}
    if sorted(found) != sorted(choices) or [name for name, _, _ in pairs] != sorted(found):
        expected = ";".join(f"{name}=…" for name in sorted(choices)) or "nothing"
        report.add(line, "choices", "choices", row["choices"], f"{expected} for protocol {row['protocol']}.")
        return
    for name, value in found.items():
        if not choices[name].allows(value) or choices[name].canonical(value) != value:
            words = ", ".join(choices[name].allowed or ("a number from 0 to 1",))
            report.add(line, "choices", "choices", f"{name}={value}", f"{name} as one of: {words}.")


def _interval(line: int, row: Row, report: Report) -> None:
    if bool(row["low"]) != bool(row["high"]):
        lacking = "high" if row["low"] else "low"
        report.add(line, lacking, "interval", "", "both bounds of the interval, or neither.")
    elif row["low"] and not float(row["low"]) - _ROUNDING <= float(row["value"]) <= float(row["high"]) + _ROUNDING:
        bounds = f"{row['low']} to {row['high']}"
        report.add(line, "value", "interval", row["value"], f"a value inside its interval, {bounds}.")


def _counts(line: int, row: Row, spec: DatasetSpec, report: Report) -> bool:
    """Do the counts fit each other and the published dataset?"""
    expected, evaluated = int(row["expected"]), int(row["evaluated"])
    if evaluated > expected:
        report.add(line, "evaluated", "counts", row["evaluated"], f"at most expected, {expected:,}.")
        return False
    if not evaluated:
        report.add(line, "evaluated", "counts", row["evaluated"], "at least 1 item.")
        return False
    possible = published_sizes(spec)
    if (int(row["published"]) if row["published"] else None) not in possible:
        sizes = ", ".join("nothing" if size is None else f"{size:,}" for size in possible)
        report.add(line, "published", "counts", row["published"], f"what {spec.id} has: {sizes}.")
        return False
    return True


def published_sizes(spec: DatasetSpec) -> list[int | None]:
    """What ``published`` may be: the items of some of the subsets, most first; None where no size is known."""
    sizes = list(spec.published_items.values())
    sums = {sum(chosen) for count in range(1, len(sizes) + 1) for chosen in combinations(sizes, count)}
    return [*sorted(sums, reverse=True)] or [None]


def _scope(line: int, row: Row, allowed: Collection[str], report: Report) -> None:
    expected, evaluated = int(row["expected"]), int(row["evaluated"])
    published = int(row["published"]) if row["published"] else None
    follows = scope(expected, evaluated, published, miniature=row["scope"] == MINIATURE)
    if row["scope"] != follows:
        size = f"{published:,} published" if published else "an unknown number published"
        report.add(
            line, "scope", "scope", row["scope"],
            f"{follows}: {evaluated:,} of {expected:,} items were evaluated, {size}.",
        )  # fmt: skip
    elif row["scope"] not in allowed:
        report.add(
            line, "scope", row["scope"], row["scope"],
            f"results on the whole published dataset (--allow-{row['scope']} accepts these, apart from the others).",
        )  # fmt: skip


def _queries(line: int, row: Row, spec: DatasetSpec, report: Report) -> None:
    """Is ``n`` what the counts allow, and the value a number that so many queries can give?"""
    n, expected, evaluated = int(row["n"]), int(row["expected"]), int(row["evaluated"])
    metric, steps = row["metric"], resolution(row["metric"])
    if not n:
        report.add(line, "n", "n", row["n"], "at least 1 query.")
        return
    if _CAPTIONS.fullmatch(metric):
        if n < evaluated:
            report.add(line, "n", "n", row["n"], f"at least one caption per evaluated picture ({evaluated:,}).")
    elif metric not in _ROTATIONS and (row["subset"] in spec.published_items or steps):
        size = spec.published_items.get(row["subset"])
        if n > evaluated:
            report.add(line, "n", "n", row["n"], f"at most the evaluated items ({evaluated:,}).")
        elif size and row["scope"] == COMPLETE and not size - (expected - evaluated) <= n <= size:
            report.add(line, "n", "n", row["n"], f"the {size:,} items of subset {row['subset']}.")
        elif len(spec.published_items) == 1 and size and n != evaluated:
            report.add(line, "n", "n", row["n"], f"the evaluated items ({evaluated:,}).")
    if steps and abs(float(row["value"]) * n * steps - round(float(row["value"]) * n * steps)) > 1e-6:
        hits = round(float(row["value"]) * n * steps) / steps
        report.add(
            line, "value", "resolution", row["value"],
            f"a whole number of hits out of {n:,}, in full precision; the nearest is {hits / n!r}.",
        )  # fmt: skip
