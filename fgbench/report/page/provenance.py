"""Where a number comes from, as headings with rows of field and value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fgbench.report.page.view import Result
from fgbench.results.record import Record

_DEPTH = 6
_LISTED = 60


class Facts(NamedTuple):
    """A heading (key of the page's words) and fields with their values."""

    title: str
    rows: list[tuple[str, str]]


class ModelFacts(NamedTuple):
    """What the records of one model folder share.

    Attributes:
        folder: name of the folder.
        name: of the model.
        facts: model, environment, arguments.
        results: its records.
    """

    folder: str
    name: str
    facts: list[Facts]
    results: list[Result]


_SHARED = ("model", "environment", "arguments")


def model_facts(results: Sequence[Result]) -> list[ModelFacts]:
    """One entry per model folder, in order."""
    folders: dict[str, list[Result]] = {}
    for result in results:
        folders.setdefault(result.found.folder, []).append(result)
    return [
        ModelFacts(
            folder,
            own[0].found.record["model"]["name"],
            [Facts(part, flat(own[0].found.record[part])) for part in _SHARED],
            own,
        )
        for folder, own in folders.items()
    ]


def record_facts(result: Result, shared: ModelFacts) -> list[Facts]:
    """Counts, protocol and data of a record, and what differs from the other records of its folder."""
    record = result.found.record
    facts = [
        Facts("counts", flat(record["counts"])),
        Facts("protocol", flat(record["protocol"])),
        Facts("data", flat(record.get("data", {}))),
    ]
    facts.append(Facts("intervals", _intervals(record)))
    for part in shared.facts:
        known = set(part.rows)
        differing = [row for row in flat(record[part.title]) if row not in known]
        if differing:
            facts.append(Facts(f"{part.title}_differing", differing))
    return [each for each in facts if each.rows]


def _intervals(record: Record) -> list[tuple[str, str]]:
    """How the intervals were made: each field with the values that occur."""
    found: dict[str, list[str]] = {}
    for score in record["scores"]:
        for field, value in flat(score.get("interval") or {}):
            if field not in ("low", "high") and value not in found.setdefault(field, []):
                found[field].append(value)
    return [(field, "; ".join(values)) for field, values in found.items()]


def flat(content: Any, path: str = "", depth: int = 0) -> list[tuple[str, str]]:
    """Fields by dotted path; lists of plain values in one line; what is empty or null is left out."""
    if isinstance(content, Mapping) and depth < _DEPTH:
        return [
            row
            for key, value in content.items()
            for row in flat(value, f"{path}.{key}" if path else str(key), depth + 1)
        ]
    if content is None or content in ("", [], {}):
        return []
    return [(path, _text(content))]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        shown = ", ".join(_text(each) for each in value[:_LISTED])
        return shown + (f", … ({len(value):,})" if len(value) > _LISTED else "")
    return str(value)
