"""Are two numbers comparable? The one place that says which fields of a record have to be equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from fgbench.results.record import Record, is_miniature
from fgbench.spec import DatasetSpec, MetricKey


class Difference(NamedTuple):
    """A field that two records do not share.

    Attributes:
        field: its name in the record (docs/records.md).
        first, second: what stands there.
        decisive: numbers that differ in it must not be compared; else it is worth knowing.
    """

    field: str
    first: Any
    second: Any
    decisive: bool = True

    def __str__(self) -> str:
        return f"{self.field}: {_shown(self.first)} | {_shown(self.second)}"


def protocol_difference(first: Record, second: Record) -> list[Difference]:
    """What differs between the protocols and the data of two records.

    Decisive are dataset, protocol (id, texts, choices, patch budget, region mode, rules in words), limit, whether the
    data are the miniature suite's, and the contents of annotations and pictures. Worth knowing are the numbers of
    evaluated and skipped items (those that both have are compared), precision, chat frame and training data, and who
    made predictions elsewhere.

    A field that only one of the records has is passed over where its absence says nothing (the other one is older, or
    was made without pictures), so that old records stay comparable.

    Args:
        first, second: records, or what :func:`as_published` makes of the paper.
    """
    found = [Difference(*each) for each in _fields(first, second) if each[1] != each[2]]
    counts = [Difference(*each, False) for each in _counts(first, second) if each[1] != each[2]]
    data = _data(first, second, items_differ=bool(counts))
    remarks = [
        Difference(name, one, other, False)
        for name, one, other in (
            ("environment.precision", *(_at(each, "environment", "precision") for each in (first, second))),
            ("protocol.id", *(_at(each, "protocol", "id") for each in (first, second))),
            ("protocol.frame", *(_at(each, "protocol", "frame") for each in (first, second))),
            ("protocol.trained_on", *(_at(each, "protocol", "trained_on") for each in (first, second))),
        )
        if one != other and None not in (one, other) and name not in {each.field for each in found}
    ]
    return [*found, *data, *counts, *remarks]


def as_published(spec: DatasetSpec, key: MetricKey, model: tuple[str, str], items: int | None) -> Record:
    """What is known of the protocol behind a number of the paper, in the form of a record.

    Args:
        spec: the dataset.
        key: which of its numbers.
        model: method and backbone.
        items: of the published dataset, if it is known.
    """
    protocol = spec.protocol
    cell = spec.published[key]
    own = cell.protocol in (None, protocol.id)
    declared = {
        "text": asdict(protocol.text),
        "budget": protocol.budget,
        "choices": {name: choice.default for name, choice in protocol.choices.items()},
        "details": dict(protocol.details),
    }
    return {
        "dataset": spec.id,
        "task": spec.task,
        "language": spec.language,
        "protocol": {"id": cell.protocol or protocol.id, **(declared if own else {})},
        "model": {"name": " ".join(model)},
        "counts": {"expected": items, "evaluated": None, "skipped": None},
        "arguments": {"effective": {"limit": None}},
    }


def _fields(first: Record, second: Record) -> list[tuple[str, Any, Any]]:
    """Fields that have to be equal, with both values."""
    one, other = first["protocol"], second["protocol"]
    made_elsewhere = all(str(each["id"]).startswith("external/") for each in (one, other))
    found: list[tuple[str, Any, Any]] = [
        *([] if made_elsewhere else [("protocol.id", one["id"], other["id"])]),
        ("dataset", first["dataset"], second["dataset"]),
        ("limit", *(_at(each, "arguments", "effective", "limit") for each in (first, second))),
        ("data", _origin(first), _origin(second)),
    ]
    for name in ("text", "choices", "details"):
        left, right = one.get(name) or {}, other.get(name) or {}
        if left and right:
            keys = [*left, *(key for key in right if key not in left)]
            found += [(f"protocol.{name}.{key}", left.get(key), right.get(key)) for key in keys]
    if "budget" in one and "budget" in other:
        found.append(("protocol.budget", one["budget"], other["budget"]))
    if "region_mode" in one and "region_mode" in other:
        found.append(("protocol.region_mode", one["region_mode"], other["region_mode"]))
    return found


def _origin(record: Record) -> str:
    return "miniature suite" if is_miniature(record) else "dataset"


def _data(first: Record, second: Record, *, items_differ: bool) -> list[Difference]:
    """Annotations by file name (the same file may lie elsewhere), pictures by their digest."""
    left, right = first.get("data") or {}, second.get("data") or {}
    one, other = (_by_name(each.get("annotations") or {}) for each in (left, right))
    found = [
        Difference(f"data.annotations.{name}", one[name], other[name])
        for name in one
        if name in other and one[name] != other[name]
    ]
    if one and other and not set(one) & set(other):
        found.append(Difference("data.annotations", ", ".join(one), ", ".join(other), False))
    pictures = left.get("images_sha256"), right.get("images_sha256")
    if all(pictures) and pictures[0] != pictures[1]:
        found.append(Difference("data.images_sha256", *pictures, decisive=not items_differ))
    return found


def _counts(first: Record, second: Record) -> list[tuple[str, Any, Any]]:
    left, right = first["counts"], second["counts"]
    return [
        (f"counts.{name}", left[name], right[name])
        for name in ("expected", "evaluated", "skipped")
        if left.get(name) is not None and right.get(name) is not None
    ]


def _by_name(digests: Mapping[str, str]) -> dict[str, str]:
    return {PurePosixPath(path).name: digest for path, digest in digests.items()}


def _at(record: Record, *path: str) -> Any:
    found: Any = record
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {each}" for key, each in value.items()) or "none"
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 and text.isalnum() else text
