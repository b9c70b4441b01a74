"""What a result may stand beside: numbers are compared only where data and protocol are the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from enum import Enum
from typing import Any, NamedTuple

from fgbench.results.record import Record, is_miniature
from fgbench.spec import DatasetSpec


class Scope(str, Enum):
    """Which items a result is about; each scope has a part of the page to itself, in this order."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    LIMITED = "limited"
    MINIATURE = "miniature"


class Group(str, Enum):
    """Rows of a table that are compared with each other, in this order."""

    MEASURED = "measured"
    OTHER = "other"
    EXTERNAL = "external"
    REPORTED = "reported"


class Standing(NamedTuple):
    """Where a record belongs.

    Attributes:
        scope: part of the page.
        group: rows of its tables.
        variant: how the protocol differs from the dataset's own; empty if it does not.
    """

    scope: Scope
    group: Group
    variant: str


def standing(record: Record, spec: DatasetSpec | None) -> Standing:
    """Where a record belongs.

    Args:
        record: a record that can be shown.
        spec: what is declared for its dataset; None if this installation does not know it.
    """
    variant = _variant(record["protocol"], spec)
    group = Group.OTHER if variant else Group.MEASURED
    return Standing(_scope(record), Group.EXTERNAL if record["model"].get("kind") == "external" else group, variant)


def _scope(record: Record) -> Scope:
    arguments, counts = record["arguments"]["effective"], record["counts"]
    if is_miniature(record):
        return Scope.MINIATURE
    if arguments.get("limit"):
        return Scope.LIMITED
    published = counts["published"]
    if sum(counts["skipped"].values()) or (published is not None and published != counts["expected"]):
        return Scope.INCOMPLETE
    return Scope.COMPLETE


def _variant(protocol: Mapping[str, Any], spec: DatasetSpec | None) -> str:
    if spec is None:
        return str(protocol["id"])
    own = spec.protocol
    declared = {
        "": own.id,
        **{f"text.{name}": value for name, value in asdict(own.text).items()},
        "budget": own.budget,
        **{name: choice.default for name, choice in own.choices.items()},
    }
    text = protocol.get("text")
    found = {
        "": protocol["id"],
        **({f"text.{name}": value for name, value in text.items()} if isinstance(text, Mapping) else {}),
        "budget": protocol.get("budget"),
        **(protocol["choices"] if isinstance(protocol.get("choices"), Mapping) else {}),
    }
    differing = {name: value for name, value in found.items() if value != declared.get(name)}
    return ", ".join(f"{name}={value}" if name else str(value) for name, value in differing.items())
