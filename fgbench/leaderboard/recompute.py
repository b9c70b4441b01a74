"""Values recomputed from the outcomes of single items that were sent along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fgbench.errors import DataError, DataMissingError
from fgbench.leaderboard.columns import evaluation
from fgbench.leaderboard.consistency import Numbered
from fgbench.leaderboard.problems import Report
from fgbench.metrics.sample import Sample
from fgbench.results.folder import slug
from fgbench.results.samples import of_record, read_outcomes
from fgbench.spec import MetricKey

_TOLERANCE = 1e-9
"""Sums over items may be taken in another order."""


def recompute(rows: Sequence[Numbered], folder: Path, report: Report) -> None:
    """Compare every value with the one that its items give.

    Args:
        rows: measured rows that are right by themselves.
        folder: a results folder, or the folder of one model in it.
        report: where differences, and outcomes that are missing or damaged, are noted.
    """
    known: dict[tuple[str, ...], Mapping[MetricKey, Sample] | None] = {}
    for each in rows:
        name = evaluation(each.row)
        if name not in known:
            known[name] = _samples(each, folder, report)
        samples = known[name]
        if samples is None:
            continue
        sample = samples.get(MetricKey(each.row["subset"], each.row["metric"]))
        if sample is None:
            report.not_recomputed += 1
        else:
            _compare(each, sample, report)


def _samples(each: Numbered, folder: Path, report: Report) -> Mapping[MetricKey, Sample] | None:
    """The items of a row's evaluation, or None if they cannot be had."""
    row = each.row
    name = f"{row['dataset']}.items.npz"
    model = slug(row["model"])
    places = [folder / f"{model}-{row['weights_sha256'][:8]}" / name, folder / model / name, folder / name]
    place = next((place for place in places if place.is_file()), places[1])
    try:
        return of_record({"dataset": row["dataset"]}, read_outcomes(place), str(place))
    except (DataError, DataMissingError) as error:
        report.add(each.line, "dataset", "items", row["dataset"], str(error))
    return None


def _compare(each: Numbered, sample: Sample, report: Report) -> None:
    row, value = each.row, sample.value()
    if not abs(value - float(row["value"])) <= _TOLERANCE:
        report.add(each.line, "value", "items", row["value"], f"{value!r}, which the items give.")
    elif sample.values is not None and len(sample.ids) != int(row["n"]):
        report.add(each.line, "n", "items", row["n"], f"{len(sample.ids)}, the items there are.")
    else:
        report.recomputed += 1
