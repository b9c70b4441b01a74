"""A model's English and Chinese scores on sets that show the same pictures, or pictures of the same kind."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fgbench import selection
from fgbench.compare.comparison import in_table_order, value
from fgbench.compare.sides import Entry, Side
from fgbench.metrics.pairing import gap
from fgbench.metrics.sample import Sample
from fgbench.spec import MetricKey


@dataclass(frozen=True)
class Gap:
    """English minus Chinese.

    Attributes:
        model: its name.
        english, chinese: ids of the datasets.
        subset, metric: which score of both.
        scores: English and Chinese, fractions.
        difference: English - Chinese.
        low, high: its 95 % interval; None without outcomes.
        pictures: how many there are, English and Chinese.
        shared: how many of them are the same; these are resampled together.
        remark: why the two are not alike, or why there is no interval.
    """

    model: str
    english: str
    chinese: str
    subset: str
    metric: str
    scores: tuple[float, float]
    difference: float
    low: float | None
    high: float | None
    pictures: tuple[int, int]
    shared: int
    remark: str


class Pair(NamedTuple):
    """Two datasets, by what their files are called."""

    english: str
    chinese: str


def gaps(side: Side) -> list[Gap]:
    """The gap of every main score that both datasets of a pair have; the pairs are declared by the datasets."""
    found = []
    for pair in pairs(side):
        english, chinese = side.entries[pair.english], side.entries[pair.chinese]
        for entry in english.record["main"]:
            key = MetricKey(entry["subset"], entry["metric"])
            scores = value(english.record, key), value(chinese.record, key)
            if scores[0] is not None and scores[1] is not None:
                found.append(_gap(side.name, pair, key, (scores[0], scores[1]), english, chinese))
    return found


def pairs(side: Side) -> list[Pair]:
    """The pairs of which a model has both records, of full runs or of runs with one limit."""
    found = []
    known = {name: entry for name, entry in side.entries.items() if entry.record["dataset"] in selection.datasets()}
    for name in in_table_order({name: entry.record for name, entry in known.items()}):
        dataset = known[name].record["dataset"]
        other = selection.datasets().get(dataset)[1].same_pictures_as
        partner = name.replace(dataset, other, 1)
        if other and partner in known:
            found.append(Pair(partner, name))
    return found


def declared() -> list[tuple[str, str]]:
    """All pairs that there are: ids of English and Chinese dataset."""
    specs = [selection.datasets().get(name)[1] for name in selection.datasets()]
    return [(spec.same_pictures_as, spec.id) for spec in specs if spec.same_pictures_as]


def _gap(model: str, pair: Pair, key: MetricKey, scores: tuple[float, float], english: Entry, chinese: Entry) -> Gap:
    row = Gap(model, *pair, *key, scores, scores[0] - scores[1], None, None, (0, 0), 0, "")
    one, other = english.samples().get(key), chinese.samples().get(key)
    if one is None or other is None:
        return replace(row, remark=english.problem or chinese.problem)
    one, other = by_picture(one, other)
    low, high = gap(one, other)[1:]
    pictures = len(one.sums), len(other.sums)
    shared = len(np.intersect1d(one.units, other.units))
    remark = ""
    if pictures != (shared, shared):
        remark = f"{pictures[0]:,} and {pictures[1]:,} pictures, {shared:,} of them the same"
        if pictures[0] != pictures[1]:
            remark += "; a set of another size is easier or harder in itself"
    return replace(row, low=low, high=high, pictures=pictures, shared=shared, remark=remark)


def by_picture(one: Sample, other: Sample) -> tuple[Sample, Sample]:
    """Both samples with a common numbering of their pictures.

    Pictures are known by their names or, if no name occurs in both, by the last number in them:
    ``flickr30k-images/120.jpg`` is ``120``. Where several pictures of a set have one number, it tells nothing.
    """
    known = [_pictures(sample) for sample in (one, other)]
    place: dict[int | str, int] = {}
    names: dict[int, int | str] = {}
    for name_of in (str, _number):
        here, names = ({unit: name_of(name) for unit, name in each.items()} for each in known)
        place = {name: unit for unit, name in here.items()}
        unique = len(place) == len(here) and len(set(names.values())) == len(names)
        if unique and not place.keys().isdisjoint(names.values()):
            break
        place = {}
    fresh = max(known[0]) + 1
    units = [place.get(names[unit], fresh + unit) for unit in other.units.tolist()]
    return one, replace(other, units=np.array(units, dtype=np.int64))


def _pictures(sample: Sample) -> dict[int, str]:
    """Name of the picture of each unit; items are called like it, or ``<picture>#<caption>``."""
    return {unit: str(name).partition("#")[0] for name, unit in zip(sample.ids, sample.units.tolist(), strict=True)}


def _number(name: str) -> int | str:
    found = re.findall(r"\d+", name.rpartition("/")[2])
    return int(found[-1]) if found else name
