"""Measured numbers against expected ones: what is inside its tolerance, what is not, and which protocol field moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fgbench.results.record import Record
from fgbench.selftest.expectation import Expectation, kept_protocol

_ROUNDING = 1e-9
"""A deviation of exactly the allowed items is allowed, whatever the division made of it."""


@dataclass(frozen=True)
class Compared:
    """One number.

    Attributes:
        dataset, subset, metric: which one.
        main: does it stand for the dataset?
        expected: fraction.
        measured: fraction; None if it was not measured.
        allowed: largest deviation that is no failure.
        n, measured_n: queries, expected and found.
    """

    dataset: str
    subset: str
    metric: str
    main: bool
    expected: float
    measured: float | None
    allowed: float
    n: int
    measured_n: int

    @property
    def inside(self) -> bool:
        """Within the tolerance, over as many queries as expected."""
        if self.measured is None or self.n != self.measured_n:
            return False
        return abs(self.measured - self.expected) <= self.allowed + _ROUNDING


@dataclass(frozen=True)
class Comparison:
    """All numbers of the selected datasets.

    Attributes:
        model: model string.
        scores: in the order of the expectation.
        not_evaluated: reason by dataset id, of those without a result.
        protocol: fields of the protocol that differ from the expectation, as "field: expected → found", by dataset id.
        environment: likewise, of the environment.
        other_pictures: datasets whose picture files are not byte for byte those of the expectation.
    """

    model: str
    scores: tuple[Compared, ...]
    not_evaluated: Mapping[str, str]
    protocol: Mapping[str, tuple[str, ...]]
    environment: tuple[str, ...]
    other_pictures: tuple[str, ...]

    @property
    def outside(self) -> list[Compared]:
        """Numbers that are off."""
        return [score for score in self.scores if not score.inside]

    @property
    def passed(self) -> bool:
        """Everything was evaluated and is inside its tolerance."""
        return not self.not_evaluated and not self.outside

    def as_json(self) -> dict[str, Any]:
        """Everything, for a program."""
        return {
            **asdict(self),
            "scores": [{**asdict(score), "inside": score.inside} for score in self.scores],
            "passed": self.passed,
        }


def compare(expectation: Expectation, records: Sequence[Record], not_evaluated: Mapping[str, str]) -> Comparison:
    """Compare the records of a run with what was expected of these datasets.

    Numbers that the expectation does not have are passed over.

    Args:
        expectation: has the datasets of all records.
        records: of the run.
        not_evaluated: reason by dataset id.
    """
    by_dataset = {record["dataset"]: record for record in records}
    moved = {
        name: tuple(differences(expectation.datasets[name].protocol, kept_protocol(record)))
        for name, record in by_dataset.items()
    }
    return Comparison(
        expectation.model,
        tuple(score for name, record in by_dataset.items() for score in _scores(expectation, name, record)),
        dict(not_evaluated),
        {name: fields for name, fields in moved.items() if fields},
        tuple(differences(expectation.environment, records[0]["environment"])) if records else (),
        tuple(
            name
            for name, record in by_dataset.items()
            if record["data"]["images_sha256"] != expectation.datasets[name].images_sha256
        ),
    )


def _scores(expectation: Expectation, name: str, record: Record) -> Iterator[Compared]:
    measured = {(row["subset"], row["metric"]): row for row in record["scores"]}
    main = {(row["subset"], row["metric"]) for row in record["main"]}
    for score in expectation.datasets[name].scores:
        key = score.subset, score.metric
        row = measured.get(key, {"value": None, "n": 0})
        yield Compared(name, *key, key in main, score.value, row["value"], score.allowed, score.n, row["n"])


def differences(expected: Mapping[str, Any], found: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Fields with different values, as "field: expected → found"; inner fields with a dot.

    Args:
        expected, found: what JSON can hold.
        prefix: name of the object that these are fields of.
    """
    for name in dict.fromkeys((*expected, *found)):
        one, other = expected.get(name), found.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from differences(one, other, f"{prefix}{name}.")
        elif one != other:
            yield f"{prefix}{name}: {one} → {other}"
