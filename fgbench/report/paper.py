"""The paper's numbers beside ours."""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files

from fgbench.spec import DatasetSpec, MetricKey

EDITION = "ICML 2026 text"
REFERENCE = ("FG-CLIP 2", "ViT-B/16")
"""Row shown for models that have none of their own."""


@lru_cache
def _cells() -> dict[tuple[str, str, str, str, str], float]:
    text = files("fgbench.leaderboards").joinpath("paper").joinpath("icml-2026-v3.csv").read_text(encoding="utf-8")
    return {
        (row["table"], row["method"], row["backbone"], row["dataset"], row["metric"]): float(row["value"])
        for row in csv.DictReader(text.splitlines())
    }


def published(spec: DatasetSpec, key: MetricKey, row: tuple[str, str]) -> float | None:
    """What the paper prints, in percent.

    Args:
        spec: the dataset.
        key: which of its numbers.
        row: (method, backbone).
    """
    cell = spec.published.get(key)
    if cell is None:
        return None
    method, backbone = cell.method.format(row[0]), cell.backbone.format(row[1])
    return _cells().get((cell.table, method, backbone, cell.dataset, cell.metric))


def foreign_protocol(spec: DatasetSpec, key: MetricKey, protocol: str) -> str | None:
    """The protocol of the paper's number, if a result of ``protocol`` must not be compared with it."""
    cell = spec.published.get(key)
    return cell.protocol if cell and cell.protocol not in (None, protocol) else None
