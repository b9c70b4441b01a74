"""A submission in which nothing is wrong: three datasets, complete, with invented but possible values."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fgbench import selection
from fgbench.leaderboard.columns import COLUMNS, COMPLETE, MEASURED, SCHEMA, Row, ordered, to_csv
from fgbench.results.record import Record, write_record

_WEIGHTS, _DATA = "5f" * 32, "c3" * 32

VALUES: dict[str, dict[tuple[str, str], tuple[float, int]]] = {
    "fg-ovd": {
        ("hard", "top1"): (1854 / 3545, 3545),
        ("medium", "top1"): (2264 / 2968, 2968),
        ("easy", "top1"): (1043 / 1299, 1299),
        ("trivial", "top1"): (3261 / 3545, 3545),
    },
    "lvis-minival": {
        ("fused", "ap"): ((0.5 * 331 + 0.25 * 461 + 0.125 * 405) / 1197, 1197),
        ("fused", "apr"): (0.5, 331),
        ("fused", "apc"): (0.25, 461),
        ("fused", "apf"): (0.125, 405),
    },
    "coco": {
        ("*", "i2t_r1"): (3605 / 5000, 5000),
        ("*", "i2t_r5"): (4500 / 5000, 5000),
        ("*", "t2i_r1"): (13635 / 25000, 25000),
        ("*", "t2i_r5"): (20000 / 25000, 25000),
    },
    "voc-20": {("all", "miou"): (0.8123456789, 1449)},
    "textvqa": {("all", "vqa_accuracy"): (2910.3 / 5000, 5000)},
}
"""Value and queries by subset and metric, by dataset."""

_SIZES = {"fg-ovd": 11357, "lvis-minival": 4809, "coco": 5000, "voc-20": 1449, "textvqa": 5000}


def row(dataset: str, subset: str, metric: str, **cells: str) -> Row:
    """A row of the submission; ``cells`` take the place of its own."""
    spec = selection.datasets().get(dataset)[1]
    value, n = VALUES[dataset][subset, metric]
    size = str(_SIZES[dataset])
    content = dict.fromkeys(COLUMNS, "") | {
        "schema": SCHEMA,
        "origin": MEASURED,
        "scope": COMPLETE,
        "model": "our-model",
        "dataset": dataset,
        "task": spec.task,
        "language": spec.language,
        "protocol": spec.protocol.id,
        "subset": subset,
        "metric": metric,
        "value": repr(value),
        "n": str(n),
        "main": str(int((subset, metric) in spec.main)),
        "expected": size,
        "evaluated": size,
        "published": size,
        "region_mode": "roi" if dataset in ("fg-ovd", "lvis-minival") else "",
        "precision": "fp32",
        "adapter": "openclip",
        "source": "hub:somebody/our-model",
        "revision": "0123456789abcdef0123456789abcdef01234567",
        "weights_sha256": _WEIGHTS,
        "fgbench": "0.1.0",
        "choices": ";".join(f"{name}={spec.protocol.choice(name)}" for name in sorted(spec.protocol.choices)),
        "data_sha256": _DATA,
        "low": repr(value - 0.01),
        "high": repr(value + 0.01),
    }
    return content | cells


def rows() -> list[Row]:
    """All rows of the submission, in order; the line of row k is k + 2."""
    return ordered(row(dataset, *key) for dataset, values in VALUES.items() for key in values)


def line_of(dataset: str, subset: str, metric: str) -> int:
    """The line in which a number stands."""
    return 2 + [(each["dataset"], each["subset"], each["metric"]) for each in rows()].index((dataset, subset, metric))


def write(path: Path, content: Iterable[Row]) -> Path:
    """A leaderboard file."""
    path.write_bytes(to_csv(content))
    return path


def record(dataset: str, *, model: str = "our-model", shift: int = 0, **counts: int | None) -> Record:
    """The record that the submission's rows of a dataset come from.

    Args:
        dataset: one of :data:`VALUES`.
        model: its name.
        shift: so many hits less in every score.
        counts: take the place of the record's own.
    """
    spec = selection.datasets().get(dataset)[1]
    size = _SIZES[dataset]
    scores: list[dict[str, Any]] = [
        {
            "subset": subset,
            "metric": metric,
            "value": value - shift / n,
            "n": n,
            "interval": {"low": value - 0.01, "high": value + 0.01, "level": 0.95},
        }
        for (subset, metric), (value, n) in VALUES[dataset].items()
    ]
    return {
        "schema": "fgbench.result/1",
        "dataset": dataset,
        "task": spec.task,
        "language": spec.language,
        "protocol": {
            "id": spec.protocol.id,
            "choices": {name: spec.protocol.choice(name) for name in spec.protocol.choices},
            **({"region_mode": "roi"} if dataset in ("fg-ovd", "lvis-minival") else {}),
        },
        "model": {
            "name": model,
            "adapter": "openclip",
            "source": "hub:somebody/our-model",
            "revision": "0123456789abcdef0123456789abcdef01234567",
            "sha256": _WEIGHTS,
            "paper": None,
        },
        "scores": scores,
        "main": [{"subset": subset, "metric": metric, "value": 0.0} for subset, metric in spec.main],
        "counts": {"expected": size, "evaluated": size, "published": size, **counts},
        "data": {"annotations": {"captions.json": "ab" * 32}, "images": 3, "images_sha256": "cd" * 32},
        "environment": {"precision": "fp32", "packages": {"fgbench": "0.1.0"}},
        "arguments": {"effective": {"limit": None, "data_root": "data"}},
    }


def save(folder: Path, *records: Record) -> Path:
    """A results folder with these records."""
    for each in records:
        write_record(each, folder / each["model"]["name"] / f"{each['dataset']}.json")
    return folder
