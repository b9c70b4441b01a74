"""Rows of a leaderboard, from records and from published cells."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from fgbench import selection
from fgbench.leaderboard.columns import (
    COLUMNS,
    COMPLETE,
    MEASURED,
    MINIATURE,
    PARTIAL,
    REPORTED,
    SCHEMA,
    UNSTATED,
    Key,
    Row,
    key,
)
from fgbench.report.paper import EDITIONS, PaperCell, cells
from fgbench.results.folder import rows as csv_rows
from fgbench.results.record import Record, is_miniature
from fgbench.spec import DatasetSpec

SMALLEST_UNCOUNTED = 1000
"""Where a dataset's published size is unknown, fewer items than this are taken for a part of it. (No published set of
the suite has fewer than 900; the miniature suite has at most a few hundred.)"""


def measured(record: Record) -> Iterator[Row]:
    """The rows of one record: every score of a subset and metric that the dataset declares.

    Breakdowns (classes of questions, subsets that are not part of the declared numbers) stay in the record.
    """
    counts = record["counts"]
    extra = {
        "schema": SCHEMA,
        "origin": MEASURED,
        "scope": scope(counts["expected"], counts["evaluated"], counts["published"], miniature=is_miniature(record)),
        "backbone": record["model"]["paper"][1] if record["model"].get("paper") else "",
        "choices": ";".join(f"{name}={value}" for name, value in sorted(record["protocol"]["choices"].items())),
        "data_sha256": data_sha256(record["data"]),
    }
    registry = selection.datasets()
    spec = registry.get(record["dataset"])[1] if record["dataset"] in registry else None
    for row in csv_rows(record):
        if spec and (row["subset"] not in subsets(spec) or row["metric"] not in spec.metrics):
            continue
        cells = {**row, **extra}
        yield {name: "" if cells.get(name) is None else str(cells[name]) for name in COLUMNS}


def reported(cell: PaperCell) -> Row:
    """The row of a published cell. The value keeps the digits that were printed: 52.3 percent becomes 0.523."""
    registry = selection.datasets()
    spec = registry.get(cell.dataset_id)[1] if cell.dataset_id in registry else None
    row = dict.fromkeys(COLUMNS, "")
    row |= {
        "schema": SCHEMA,
        "origin": REPORTED,
        "scope": UNSTATED,
        "edition": cell.edition,
        "model": cell.method,
        "backbone": cell.backbone,
        "dataset": cell.dataset_id,
        "task": cell.task,
        "language": cell.language,
        "protocol": cell.protocol,
        "subset": cell.subset,
        "metric": cell.metric_id,
        "value": str(Decimal(cell.printed).scaleb(-2)),
        "main": str(int(spec is not None and (cell.subset, cell.metric_id) in spec.main)),
        "source": cell.source,
        "remarks": ";".join(cell.remarks),
    }
    return row


@lru_cache
def paper_rows() -> Mapping[Key, Row]:
    """The rows of all editions in printed order; of a number that a later table repeats, the first."""
    found: dict[Key, Row] = {}
    for edition in EDITIONS:
        for cell in cells(edition):
            row = reported(cell)
            found.setdefault(key(row), row)
    return found


def subsets(spec: DatasetSpec) -> tuple[str, ...]:
    """The subsets whose numbers a leaderboard has."""
    keys = (*spec.main, *spec.shown, *spec.published)
    return tuple(dict.fromkeys(each.subset for each in keys))


def scope(expected: int, evaluated: int, published: int | None, *, miniature: bool) -> str:
    """How much of the published dataset a number covers.

    ``complete`` allows for one item in a thousand that no model can be asked about (a degenerate box).

    Args:
        expected, evaluated, published: counts of the record; ``published`` is None where it is unknown.
        miniature: the data are known to be the miniature suite's.
    """
    whole = expected == published if published is not None else expected >= SMALLEST_UNCOUNTED
    if whole and 1000 * evaluated >= 999 * expected:
        return COMPLETE
    return MINIATURE if miniature else PARTIAL


def data_sha256(data: Mapping[str, Any]) -> str:
    """One digest over all data of a record: independent of file names and of where files lie."""
    lines = [*sorted(data["annotations"].values()), data["images_sha256"]]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
