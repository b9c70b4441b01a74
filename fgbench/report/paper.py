"""The paper's numbers, by edition, and beside ours.

An edition is a file ``leaderboards/paper/<edition>.csv``; leaderboards/README.md documents the columns. Two editions
are kept apart because the paper's authors changed numbers between them.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

from fgbench.spec import DatasetSpec, MetricKey

ICML, PROJECT_PAGE = "icml-2026-v3", "project-page-2025-10-27"
EDITIONS: Mapping[str, str] = {ICML: "ICML 2026 text", PROJECT_PAGE: "project page of 27 Oct 2025"}
"""Title by name; the first is the one to compare with."""

EDITION = EDITIONS[ICML]
REFERENCE = ("FG-CLIP 2", "ViT-B/16")
"""Row shown for models that have none of their own."""


class Remark(NamedTuple):
    """What to know about a printed number.

    Attributes:
        like_for_like: False if the number must not be compared with others of its column.
        of_cell: said of single numbers; else of a whole table or row of tables.
        text: one sentence.
    """

    like_for_like: bool
    of_cell: bool
    text: str


@dataclass(frozen=True)
class PaperCell:
    """One printed number.

    Attributes:
        edition: name of the edition.
        table: its number there.
        method, backbone, dataset, metric: labels as printed.
        printed: the number as printed, in percent.
        source: document and table.
        dataset_id, task, language, subset, metric_id, protocol: the same in this project's names.
        remarks: codes, keys of :func:`remarks`.
    """

    edition: str
    table: str
    method: str
    backbone: str
    dataset: str
    metric: str
    printed: str
    source: str
    dataset_id: str
    task: str
    language: str
    subset: str
    metric_id: str
    protocol: str
    remarks: tuple[str, ...]


@lru_cache
def cells(edition: str = ICML) -> tuple[PaperCell, ...]:
    """All printed numbers of an edition, in printed order.

    Args:
        edition: one of :data:`EDITIONS`.
    """
    found = []
    for row in _table(edition):
        row.pop("schema")
        codes = tuple(code for code in row.pop("remarks").split(";") if code)
        found.append(PaperCell(printed=row.pop("value"), remarks=codes, **row))
    return tuple(found)


@lru_cache
def remarks() -> Mapping[str, Remark]:
    """What the codes of remarks mean."""
    return {
        row["code"]: Remark(row["like_for_like"] == "1", row["of"] == "cell", row["text"]) for row in _table("remarks")
    }


def _table(name: str) -> list[dict[str, str]]:
    text = files("fgbench.leaderboards").joinpath("paper").joinpath(f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@lru_cache
def _values() -> dict[tuple[str, str, str, str, str], float]:
    return {
        (cell.table, cell.method, cell.backbone, cell.dataset, cell.metric): float(cell.printed) for cell in cells(ICML)
    }


def published(spec: DatasetSpec, key: MetricKey, row: tuple[str, str]) -> float | None:
    """What the ICML text prints, in percent.

    Args:
        spec: the dataset.
        key: which of its numbers.
        row: (method, backbone).
    """
    cell = spec.published.get(key)
    if cell is None:
        return None
    method, backbone = cell.method.format(row[0]), cell.backbone.format(row[1])
    return _values().get((cell.table, method, backbone, cell.dataset, cell.metric))


def foreign_protocol(spec: DatasetSpec, key: MetricKey, protocol: str) -> str | None:
    """The protocol of the paper's number, if a result of ``protocol`` must not be compared with it."""
    cell = spec.published.get(key)
    return cell.protocol if cell and cell.protocol not in (None, protocol) else None
