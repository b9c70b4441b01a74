"""Expected results as data: the file ``fgbench.selftest/1``, how it is read, and how it is made from records.

How far a number may be off (``allowed``) follows from the file's tolerance rule, which knows two kinds of numbers.

* *Means over n queries* (accuracy, recall). The same weights on another processor, with another version of torch or of
  the JPEG library, give vectors that differ in the last digits; then a query whose two best answers are nearly equal
  may come out the other way. That is a matter of single queries: the rule allows ``max(items, share * n)`` of them.
* *Pooled numbers* (mIoU, AP: no mean of 0/1 outcomes; the file lists their metrics). A pixel or a detection that
  changes sides moves them by little; the rule allows a fixed amount, ``pooled``.

A protocol that is broken moves a number by far more, because it changes the input of every query
(docs/miniature-suite.md shows how far both kinds of change go).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from fgbench.data.annotations import field
from fgbench.data.atomic import write_atomic
from fgbench.errors import DataError
from fgbench.results.record import Record

SCHEMA = "fgbench.selftest/1"

_PROTOCOL = ("id", "text", "budget", "choices", "region_mode", "frame")
"""Fields of a record's protocol that are kept, to be compared when a number is off."""


@dataclass(frozen=True)
class Rule:
    """How far numbers may be off.

    Attributes:
        items: queries that may change sides, whatever their number.
        share: of all queries, likewise; the larger of the two counts.
        pooled: what numbers that are no mean over queries may be off, as a fraction.
        pooled_metrics: names of such metrics.
    """

    items: float
    share: float
    pooled: float
    pooled_metrics: tuple[str, ...]

    def allowed(self, metric: str, n: int) -> float:
        """Largest deviation of a number over ``n`` queries that is no failure, as a fraction."""
        return self.pooled if metric in self.pooled_metrics else max(self.items / max(1, n), self.share)


@dataclass(frozen=True)
class ExpectedScore:
    """One number: a fraction over ``n`` queries, and how far off it may be."""

    subset: str
    metric: str
    value: float
    n: int
    allowed: float


@dataclass(frozen=True)
class ExpectedDataset:
    """What is expected of a dataset.

    Attributes:
        model: name of the model that answers it, in results.
        protocol: how it was evaluated.
        images_sha256: digest over the contents of its pictures.
        scores: every number of its record.
    """

    model: str
    protocol: Mapping[str, Any]
    images_sha256: str
    scores: tuple[ExpectedScore, ...]


@dataclass(frozen=True)
class Expectation:
    """Expected results of a model on a version of the miniature suite.

    Attributes:
        model: model string.
        version: of the miniature suite.
        rule: how ``allowed`` was found.
        environment: on what the numbers were measured.
        weights: SHA-256 of the weights by name of the model in results.
        datasets: by id.
    """

    model: str
    version: int
    rule: Rule
    environment: Mapping[str, Any]
    weights: Mapping[str, str]
    datasets: Mapping[str, ExpectedDataset]


def read_expectation(path: Path | None = None) -> Expectation:
    """Read a file of expected results; without a path the one that comes with fgbench.

    Raises:
        DataError: no such file, not of this schema, or a field is missing or of another type.
    """
    where = "the expected results that come with fgbench" if path is None else str(path)
    try:
        if path is None:
            text = files("fgbench.selftest").joinpath("expected.json").read_text(encoding="utf-8")
        else:
            text = path.read_text(encoding="utf-8")
        content = json.loads(text)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{where}: not readable ({error}). 'fgbench selftest --write FILE' makes such a file."
        ) from error
    found = content.get("schema") if isinstance(content, dict) else None
    if found != SCHEMA:
        raise DataError(f"{where}: schema is {found!r}, this version reads {SCHEMA!r}.")
    rule = field(content, "rule", dict, where)
    numbers = {name: _number(rule, name, f"{where}: rule") for name in ("items", "share", "pooled")}
    metrics = tuple(map(str, field(rule, "pooled_metrics", list, f"{where}: rule")))
    datasets = {
        name: _dataset(each, f"{where}: datasets.{name}")
        for name, each in field(content, "datasets", dict, where).items()
    }
    weights = {str(name): str(value) for name, value in field(content, "weights", dict, where).items()}
    unknown = sorted({each.model for each in datasets.values()} - set(weights))
    if unknown:
        raise DataError(f"{where}: weights has no entry for {', '.join(unknown)}, which answers some of the datasets.")
    return Expectation(
        model=field(content, "model", str, where),
        version=field(content, "version", int, where),
        rule=Rule(**numbers, pooled_metrics=metrics),
        environment=field(content, "environment", dict, where),
        weights=weights,
        datasets=datasets,
    )


def _dataset(content: Any, where: str) -> ExpectedDataset:
    if not isinstance(content, dict):
        raise DataError(f"{where}: expected an object, found {type(content).__name__}.")
    scores = []
    for number, row in enumerate(field(content, "scores", list, where)):
        place = f"{where}.scores[{number}]"
        if not isinstance(row, dict):
            raise DataError(f"{place}: expected an object, found {type(row).__name__}.")
        scores.append(
            ExpectedScore(
                field(row, "subset", str, place),
                field(row, "metric", str, place),
                _number(row, "value", place),
                field(row, "n", int, place),
                _number(row, "allowed", place),
            )
        )
    return ExpectedDataset(
        field(content, "model", str, where),
        field(content, "protocol", dict, where),
        field(content, "images_sha256", str, where),
        tuple(scores),
    )


def _number(row: Mapping[str, Any], name: str, where: str) -> float:
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise DataError(f"{where}: field {name!r} is {value!r}; expected a number from 0.")
    return float(value)


def from_records(records: Iterable[Record], *, model: str, version: int, rule: Rule) -> Expectation:
    """What a run gave, as what later runs should give.

    Args:
        records: of the run, one per dataset; at least one.
        model: model string of the run.
        version: of the miniature suite.
        rule: says how far later numbers may be off.
    """
    listed = list(records)
    return Expectation(
        model=model,
        version=version,
        rule=rule,
        environment=listed[0]["environment"],
        weights={record["model"]["name"]: record["model"]["sha256"] for record in listed},
        datasets={
            record["dataset"]: ExpectedDataset(
                record["model"]["name"],
                kept_protocol(record),
                record["data"]["images_sha256"],
                tuple(
                    ExpectedScore(
                        score["subset"],
                        score["metric"],
                        score["value"],
                        score["n"],
                        rule.allowed(score["metric"], score["n"]),
                    )
                    for score in record["scores"]
                ),
            )
            for record in listed
        },
    )


def write_expectation(expectation: Expectation, path: Path) -> None:
    """Write expected results as JSON.

    Raises:
        StoreError: the file cannot be written.
    """
    content = {"schema": SCHEMA, **asdict(expectation)}
    write_atomic(path, (json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode())


def kept_protocol(record: Record) -> dict[str, Any]:
    """How a dataset was evaluated, without the rules in words."""
    return {name: record["protocol"][name] for name in _PROTOCOL if name in record["protocol"]}
