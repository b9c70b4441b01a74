"""Is a record fit to be shown? A record may come from anybody: what the page relies on is checked once, here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from fgbench.results.record import Record


class _Field(NamedTuple):
    path: str
    expected: str
    fits: Callable[[Any], bool]


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _fraction(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value <= 1


def _counts(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_count, value.values()))


_FIELDS = (
    *(_Field(name, "text", _is(str)) for name in ("dataset", "task", "language", "protocol.id", "model.name",
                                                    "model.adapter", "model.source", "model.sha256",
                                                    "environment.precision", "environment.packages.fgbench")),
    *(_Field(name, "an object", _is(dict)) for name in ("environment", "environment.packages", "arguments.effective")),
    *(_Field(name, "a count", _count) for name in ("counts.expected", "counts.evaluated", "counts.texts",
                                                     "counts.texts_truncated")),
    *(_Field(name, "counts by name", _counts) for name in ("counts.skipped", "counts.ties")),
    _Field("model.revision", "text or null", _is(str, type(None))),
    _Field("counts.published", "a count or null", lambda value: value is None or _count(value)),
    *(_Field(name, "a list of texts", lambda value: isinstance(value, list) and all(isinstance(v, str) for v in value))
      for name in ("notes", "model.notes")),
    _Field("model.paper", "null or [method, backbone]",
           lambda value: value is None or (isinstance(value, list) and len(value) == 2
                                           and all(isinstance(each, str) for each in value))),
    *(_Field(name, "a list", _is(list)) for name in ("scores", "main")),
)  # fmt: skip

_SCORE = (
    _Field("subset", "text", _is(str)),
    _Field("metric", "text", _is(str)),
    _Field("value", "a fraction from 0 to 1", _fraction),
    _Field("n", "a count", _count),
)
_INTERVAL = (_Field("low", "a fraction from 0 to 1", _fraction), _Field("high", "a fraction from 0 to 1", _fraction))


def problem(record: Record) -> str | None:
    """What is wrong with a record, with the field; None if it can be shown."""
    return next(_problems(record), None)


def _problems(record: Record) -> Iterator[str]:
    yield from _unfit(record, _FIELDS, "")
    for number, score in enumerate(record["scores"]):
        place = f"scores[{number}]"
        if not isinstance(score, dict):
            yield f"{place} is {_shown(score)}; expected an object."
            continue
        yield from _unfit(score, _SCORE, f"{place}.")
        interval = score.get("interval")
        if interval is None:
            continue
        if not isinstance(interval, dict):
            yield f"{place}.interval is {_shown(interval)}; expected an object or null."
            continue
        yield from _unfit(interval, _INTERVAL, f"{place}.interval.")
        if interval["low"] > interval["high"]:
            yield f"{place}.interval: low {interval['low']} is above high {interval['high']}."
    keys = [(score["subset"], score["metric"]) for score in record["scores"]]
    for key in keys:
        if keys.count(key) > 1:
            yield f"scores: {'/'.join(key)} is there more than once."
    for number, entry in enumerate(record["main"]):
        if not (
            isinstance(entry, dict) and isinstance(entry.get("subset"), str) and isinstance(entry.get("metric"), str)
        ):
            yield f"main[{number}] is {_shown(entry)}; expected an object with subset and metric."
    accounted = record["counts"]["evaluated"] + sum(record["counts"]["skipped"].values())
    if accounted != record["counts"]["expected"]:
        yield f"counts: expected is {record['counts']['expected']}, but evaluated and skipped make {accounted}."


def _unfit(content: Mapping[str, Any], fields: tuple[_Field, ...], place: str) -> Iterator[str]:
    for path, expected, fits in fields:
        value: Any = content
        for name in path.split("."):
            if not isinstance(value, Mapping) or name not in value:
                yield f"{place}{path} is missing; expected {expected}."
                break
            value = value[name]
        else:
            if not fits(value):
                yield f"{place}{path} is {_shown(value)}; expected {expected}."


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
