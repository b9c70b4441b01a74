"""The format ``fgbench.leaderboard/1``: its columns, what each holds, and how rows are named and sorted.

The format is a promise. Columns are never renamed, moved or given another meaning under this schema number; a change of
any of these makes ``fgbench.leaderboard/2``. leaderboards/README.md has the table for people; a test compares the two.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from fgbench import selection
from fgbench.results.folder import neutral

SCHEMA = "fgbench.leaderboard/1"

MEASURED, REPORTED = "measured", "reported"
COMPLETE, PARTIAL, MINIATURE, UNSTATED = "complete", "partial", "miniature", "unstated"
ORIGINS = (MEASURED, REPORTED)
SCOPES = (COMPLETE, PARTIAL, MINIATURE, UNSTATED)

COLUMNS: Mapping[str, str] = {
    "schema": f"`{SCHEMA}` in every row",
    "origin": "`measured` (from a record of fgbench) or `reported` (printed in a publication)",
    "scope": "`complete`: the published dataset; `partial`: a part of it; `miniature`: the generated miniature suite; "
    "`unstated`: reported numbers",
    "edition": "reported: edition of the publication; empty for measured rows",
    "model": "measured: model name with the choices that change its numbers; reported: method as printed",
    "backbone": "as the publication names it, where it has such a row",
    "dataset": "dataset id",
    "task": "task id",
    "language": "BCP 47 tag of the texts",
    "protocol": "protocol id; numbers of different protocols are never in one column",
    "subset": "`*` if there is one only",
    "metric": "metric name",
    "value": "fraction in [0, 1]: measured in full precision, reported as many digits as printed",
    "n": "queries behind the value (segmentation: pictures; AP: categories with objects)",
    "main": "1 for the numbers that stand for the dataset, else 0",
    "expected": "items in the annotation files",
    "evaluated": "items that were evaluated",
    "published": "items of the published dataset; empty where unknown",
    "limit": "always empty: limited runs are refused",
    "region_mode": "`roi` or `crop`; empty where no boxes are used",
    "precision": "of activations: `fp32`, `bf16` or `fp16`",
    "adapter": "model family, or `predictions`",
    "source": "measured: where the weights came from; reported: document and table",
    "revision": "commit of the weights on the hub, where there is one",
    "weights_sha256": "digest over names, types, shapes and values of all parameters (64 hexadecimal digits)",
    "fgbench": "version of fgbench that measured",
    "choices": "what holds for each part that the protocol leaves open: `key=value`, by key, separated by `;`",
    "data_sha256": "digest over the annotation files and pictures: SHA-256 of the sorted digests of the annotation "
    "files and the digest of the pictures, one per line",
    "low": "lower bound of the 95 % interval; empty where there is none",
    "high": "upper bound of the 95 % interval",
    "remarks": "reported: codes of remarks, separated by `;` (leaderboards/paper/remarks.csv)",
}
"""What each column holds, in order."""

Row: TypeAlias = dict[str, str]
"""The cells of a row by column, as text."""

Key: TypeAlias = tuple[str, ...]

KEY = ("origin", "edition", "scope", "model", "backbone", "dataset", "protocol", "subset", "metric")
"""What tells two rows apart."""


def key(row: Row) -> Key:
    """What tells a row from every other: no two rows of a file have the same."""
    return tuple(row[name] for name in KEY)


def evaluation(row: Row) -> Key:
    """What the rows of one record share: a model, by origin, on a dataset under a protocol."""
    return key(row)[:-2]


def ordered(rows: Iterable[Row]) -> list[Row]:
    """Rows in the one order that files have: by origin, edition, scope and model, then in the order of the registry.

    A new model is therefore a block of new lines, and nothing else in a file changes.
    """
    registry = selection.datasets()
    place = {name: number for number, name in enumerate(registry)}
    specs = {name: registry.get(name)[1] for name in place}

    def position(row: Row) -> tuple[object, ...]:
        spec = specs.get(row["dataset"])
        subsets = [each.subset for each in spec.main] if spec else []
        metrics = list(spec.metrics) if spec else []
        return (
            *(row[name] for name in ("origin", "edition", "scope", "model", "backbone")),
            place.get(row["dataset"], len(place)),
            row["dataset"],
            row["protocol"],
            subsets.index(row["subset"]) if row["subset"] in subsets else len(subsets),
            row["subset"],
            metrics.index(row["metric"]) if row["metric"] in metrics else len(metrics),
            row["metric"],
        )

    return sorted(rows, key=position)


def to_csv(rows: Iterable[Mapping[str, str]], columns: Iterable[str] = tuple(COLUMNS)) -> bytes:
    """A CSV file: UTF-8 without mark, line feeds, quoted only where needed; no cell is a formula."""
    names = list(columns)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: neutral(row[name]) for name in names} for row in rows)
    return buffer.getvalue().encode()
