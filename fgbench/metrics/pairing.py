"""Two models on the same items: difference of a score, its interval, and whether it could be chance.

Items are paired by name, units stay together (:mod:`fgbench.metrics.resampling`). Where every item is a unit of its own
and right or wrong, the test is McNemar's, exact (Note on the sampling error of the difference between correlated
proportions, Psychometrika 1947): items on which one model is right and the other wrong are tosses of a fair coin.
Otherwise it is a randomisation test: were the models alike, their outcomes on a unit could be swapped (Edgington,
Randomization Tests, 1980). McNemar's test would take five captions of one picture for five independent items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from .resampling import LEVEL, PRIOR, RESAMPLES, SEED, blocks, distinct, resampled, spread, student_quantile
from .sample import Float64, Int64, Sample, ratio

SWAPS = 2000
"""Random swaps of a randomisation test: its smallest p is 1 / 2001."""

MCNEMAR, RANDOMISATION = "mcnemar-exact", "unit-swap"


class Comparison(NamedTuple):
    """First model minus second, on the items that both have.

    Attributes:
        first, second: the scores on these items.
        difference: first - second.
        low, high: its 95 % interval.
        p: two-sided.
        test: ``mcnemar-exact`` or ``unit-swap``.
        effect: Cohen's h: 0.2 is small, 0.5 medium, 0.8 large.
        items: how many items both have.
        unit: what was resampled.
        units: how many of them.
        only_first, only_second: items that only one has.
        wins, losses: items that only the first, only the second has right; None if items are not right or wrong.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    test: str
    effect: float
    items: int
    unit: str
    units: int
    only_first: int
    only_second: int
    wins: int | None
    losses: int | None


class Paired(NamedTuple):
    """Two samples whose units have common numbers; of :func:`pair` also with the same items, in the same order."""

    first: Sample
    second: Sample


def pair(first: Sample, second: Sample) -> Paired | None:
    """The items of equal name; None if there are none.

    Raises:
        ValueError: a name comes twice in a sample, or the two are of different kinds.
    """
    for sample in (first, second):
        if len(np.unique(sample.ids)) < len(sample.ids):
            raise ValueError("Expected every id once.")
    if first.unit != second.unit or first.parts.shape[1] != second.parts.shape[1]:
        raise ValueError("Expected samples of the same score.")
    if first.ids.dtype.kind != second.ids.dtype.kind:
        return None
    shared, left, right = np.intersect1d(first.ids, second.ids, assume_unique=True, return_indices=True)
    if not len(shared):
        return None
    kept = first.only(left)
    return Paired(kept, replace(second.only(right), units=kept.units))


def compare(first: Sample, second: Sample, *, seed: int = SEED) -> Comparison | None:
    """Compare two models on one score; None with fewer than two units in common.

    Args:
        first, second: the items behind it, of either model.
        seed: of the random numbers.

    Raises:
        ValueError: see :func:`pair`.
    """
    paired = pair(first, second)
    if paired is None:
        return None
    left, right = paired
    units = len(np.unique(left.units))
    if units < 2:
        return None
    difference = left.value() - right.value()
    low, high = bounds(difference, math.sqrt(spread(differences([paired], seed), units)), units)
    wins = losses = None
    if left.is_binary and right.is_binary:
        wins, losses = (
            int((left.parts[:, 0] > right.parts[:, 0]).sum()),
            int((left.parts[:, 0] < right.parts[:, 0]).sum()),
        )
    if wins is not None and losses is not None and units == len(left.ids):
        p, test = mcnemar(wins, losses), MCNEMAR
    else:
        p, test = randomisation(paired, seed), RANDOMISATION
    return Comparison(
        left.value(), right.value(), difference, low, high, p, test, cohens_h(left.value(), right.value()),
        len(left.ids), left.unit, units, len(first.ids) - len(left.ids), len(second.ids) - len(left.ids), wins, losses,
    )  # fmt: skip


def differences(pairs: Sequence[Paired], seed: int = SEED) -> Float64:
    """Differences (mean over several scores) under resampling of units: float64 [resamples].

    Scores whose units have the same numbers (captions and pictures of one set) see the same resamples. To means parts
    of two units are added, as for the interval of one score: one that only the first model has right, one that only
    the second has (by the largest difference found, where values are graded).

    Args:
        pairs: one for each score, all of one dataset.
        seed: of the random numbers.
    """
    names = np.unique(np.concatenate([sample.units for pair_ in pairs for sample in pair_]))
    columns, statistics, added = [], [], []
    for pair_ in pairs:
        most = _largest_difference(pair_)
        for sample, right_in in zip(pair_, (0, 1), strict=True):
            units = np.unique(sample.units)
            table = np.zeros((len(names), sample.parts.shape[1]))
            table[np.searchsorted(names, units)] = sample.sums
            extra = np.zeros((2, sample.parts.shape[1]))
            if sample.statistic is ratio:
                size = PRIOR * table[:, 1].sum() / len(units)
                extra[:, 1] = size
                extra[right_in, 0] = size * most
            columns.append(table)
            added.append(extra)
            statistics.append(sample.statistic)
    edges = np.cumsum([0, *(table.shape[1] for table in columns)])
    rows = np.concatenate([np.hstack(columns), *([np.hstack(added)] if np.hstack(added).any() else [])])

    def difference(sums: Float64) -> Float64:
        with np.errstate(invalid="ignore", divide="ignore"):
            values = [
                statistic(sums[..., start:stop])
                for statistic, start, stop in zip(statistics, edges[:-1], edges[1:], strict=True)
            ]
        return np.asarray(sum(left - right for left, right in zip(values[::2], values[1::2], strict=True)) / len(pairs))

    (found,) = resampled(rows, difference, resamples=RESAMPLES, seed=seed)
    return found


def _largest_difference(paired: Paired) -> float:
    """Of a value of one item between the models: 1 where items are right or wrong."""
    left, right = (sample.values for sample in paired)
    if left is None or right is None or (paired.first.is_binary and paired.second.is_binary):
        return 1.0
    if len(left) == len(right):
        return float(np.abs(left - right).max())
    return float(max(left.max(), right.max()) - min(left.min(), right.min()))


def gap(first: Sample, second: Sample, *, seed: int = SEED) -> tuple[float, float, float]:
    """Difference of two scores of one model on other items, with its 95 % interval.

    Args:
        first, second: the items behind them. Units of the same number are resampled together, so they count as paired.
        seed: of the random numbers.

    Returns:
        first - second, low, high.
    """
    paired = Paired(first, second)
    units = [len(np.unique(sample.units)) for sample in paired]
    together = len(np.union1d(first.units, second.units))
    difference = first.value() - second.value()
    error = math.sqrt(spread(differences([paired], seed), together)) if min(units) > 1 else math.inf
    return difference, *bounds(difference, error, max(2, min(units)))


def bounds(difference: float, error: float, units: int) -> tuple[float, float]:
    """The 95 % interval of a difference of scores from its standard error."""
    half = student_quantile(0.5 + LEVEL / 2, units - 1) * error
    return max(-1.0, difference - half), min(1.0, difference + half)


def mcnemar(wins: int, losses: int) -> float:
    """Two-sided exact p: twice the smaller tail of a fair coin's binomial distribution, at most 1."""
    number = wins + losses
    steps = np.arange(1, min(wins, losses) + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(number - steps + 1) - np.log(steps))]) - number * math.log(2)
    return min(1.0, 2 * float(np.exp(logs).sum()))


def randomisation(paired: Paired, seed: int = SEED, swaps: int = SWAPS) -> float:
    """Two-sided p of the difference when the models' outcomes are swapped, unit by unit, with a fair coin.

    Args:
        paired: the items of both.
        seed: of the random numbers.
        swaps: how often; the outcomes as they are count as one more.
    """
    left, right = paired
    one = left.sums
    other = right.sums
    width = one.shape[1]
    rows, count = distinct(np.hstack([one, other]))
    one, gap = rows[:, :width], rows[:, width:] - rows[:, :width]
    base, total = count @ one, count @ (rows[:, :width] + rows[:, width:])
    observed = abs(left.value() - right.value())
    generator = np.random.default_rng(seed)
    extreme = 0
    for size in blocks(swaps, max(rows.shape)):
        mixed = base + _swapped(generator, count, size) @ gap
        values = np.abs(left.statistic(mixed) - right.statistic(total - mixed))
        extreme += int((values >= observed - 1e-12).sum())
    return (1 + extreme) / (1 + swaps)


def _swapped(generator: np.random.Generator, count: Int64, size: int) -> Float64:
    """How many units of each of D kinds are swapped: float64 [size, D]."""
    if (count == 1).all():
        return generator.integers(2, size=(size, len(count)), dtype=np.uint8).astype(np.float64)
    return generator.binomial(count, 0.5, size=(size, len(count))).astype(np.float64)


def holm(p: Sequence[float]) -> list[float]:
    """p corrected for their number (Holm, A simple sequentially rejective multiple test procedure, 1979)."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return [float(value) for value in corrected]


def cohens_h(first: float, second: float) -> float:
    """Difference of two shares on a scale of equal detectability (Cohen, Statistical Power Analysis, 1988)."""
    return 2 * math.asin(math.sqrt(min(1.0, max(0.0, first)))) - 2 * math.asin(math.sqrt(min(1.0, max(0.0, second))))


def two_sided(difference: float, error: float) -> float:
    """p of a difference with a normal error."""
    return 1.0 if error == 0 else 2 * (1 - NormalDist().cdf(abs(difference) / error))
