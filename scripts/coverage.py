"""How often the 95 % intervals of records hold the truth, by simulation: ``python -m scripts.coverage``.

Items are drawn from populations whose score is known, the interval is made as for a record, and it is counted how often
the known score lies inside. The table stands in docs/statistics.md.

The truth is drawn anew for every repeat, uniformly from a range. At one fixed truth and few items no interval can hold
its nominal level, because the share of right answers takes few values (Brown, Cai and DasGupta, Interval estimation for
a binomial proportion, Statistical Science 2001).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from fgbench.metrics.confusion import STATISTICS
from fgbench.metrics.resampling import interval
from fgbench.metrics.sample import Float64, Int64, Sample

from .simulated import Case, print_table

Draw = Callable[[np.random.Generator], tuple[Sample, float]]
"""One simulated dataset, and the score of the population that it is drawn from."""

MIDDLE, HIGH = (0.2, 0.8), (0.9, 0.99)
"""Ranges of the true score."""

ALIKE = 0.3
"""Correlation of two items of one picture, where there are several."""


class Coverage(NamedTuple):
    """Result of a case.

    Attributes:
        inside: share of the intervals that hold the truth.
        width: their mean width.
        flat: share of the datasets in which everything was right, or everything wrong.
    """

    inside: float
    width: float
    flat: float


def coverage(draw: Draw, repeats: int, seed: int) -> Coverage:
    """Draw datasets and count.

    Args:
        draw: a dataset with its truth.
        repeats: how many.
        seed: of everything random.
    """
    generator = np.random.default_rng(seed)
    inside, width, flat = 0, 0.0, 0
    for repeat in range(repeats):
        sample, truth = draw(generator)
        found = interval(sample, seed=seed + repeat)
        assert found is not None
        inside += found.low <= truth <= found.high
        width += found.high - found.low
        flat += sample.value() in (0.0, 1.0)
    return Coverage(inside / repeats, width / repeats, flat / repeats)


def right_or_wrong(units: int, size: int | None, truth: tuple[float, float]) -> Draw:
    """Items that are right or wrong.

    Args:
        units: number of pictures.
        size: items on each; None: a different number on each, 8 on average, geometrically distributed.
        truth: range of the true share.
    """

    def draw(generator: np.random.Generator) -> tuple[Sample, float]:
        share = generator.uniform(*truth)
        count = generator.geometric(1 / 8, units) if size is None else np.full(units, size)
        owner = np.repeat(np.arange(units), count)
        strength = 1 / ALIKE - 1
        ease = (
            np.full(units, share) if size == 1 else generator.beta(share * strength, (1 - share) * strength, size=units)
        )
        right = generator.random(len(owner)) < ease[owner]
        return Sample.mean(np.arange(len(owner)), right, "image", owner), share

    return draw


def graded(items: int) -> Draw:
    """Answers that are right to a degree: 0, 0.3, 0.6, 0.9 or 1, as in VQA accuracy."""
    values = np.array([0.0, 0.3, 0.6, 0.9, 1.0])

    def draw(generator: np.random.Generator) -> tuple[Sample, float]:
        weights = generator.dirichlet([2, 0.5, 0.5, 0.5, 3])
        found = generator.choice(values, size=items, p=weights)
        return Sample.mean(np.arange(items), found, "question"), float(weights @ values)

    return draw


def label_maps(pictures: int, classes: int = 20) -> Draw:
    """Mean IoU over classes that occur in one picture of two to ten; a picture is easy or hard as a whole."""
    population = np.random.default_rng(1)
    presence = population.uniform(0.1, 0.5, classes)
    recall = population.uniform(0.3, 0.9, classes)

    def totals(generator: np.random.Generator, number: int) -> Float64:
        there = generator.random((number, classes)) < presence
        truth = there * generator.gamma(2.0, 2000.0, (number, classes))
        ease = generator.beta(4, 4, (number, 1)) * 2 * recall
        hits = truth * np.clip(ease, 0, 1)
        missed = (truth - hits).sum(axis=1, keepdims=True)
        taken = generator.dirichlet(np.ones(classes), number) * missed
        return np.concatenate([hits, truth, hits + taken], axis=1)

    statistic = STATISTICS["miou"]
    everything = sum(totals(population, 20_000).sum(axis=0) for _ in range(20))
    known = float(statistic(np.asarray(everything)))

    def draw(generator: np.random.Generator) -> tuple[Sample, float]:
        units: Int64 = np.arange(pictures)
        return Sample(units, "image", units, totals(generator, pictures), statistic), known

    return draw


def cases() -> list[Case]:
    """The rows of the table."""
    found = []
    for name, truth in (("0.2 to 0.8", MIDDLE), ("0.9 to 0.99", HIGH)):
        for units in (50, 200, 1000, 5000):
            found.append(_case(f"{units:,} items, one per picture; truth {name}", right_or_wrong(units, 1, truth)))
        for units in (50, 200, 1000):
            found.append(_case(f"{units:,} pictures with 5 items each; truth {name}", right_or_wrong(units, 5, truth)))
        for units in (50, 200, 600):
            found.append(
                _case(f"{units:,} pictures with 8 items on average; truth {name}", right_or_wrong(units, None, truth))
            )
    found += [_case(f"{items:,} graded answers", graded(items)) for items in (50, 500, 5000)]
    found += [_case(f"mean IoU of 20 classes, {pictures:,} pictures", label_maps(pictures)) for pictures in (50, 500)]
    return found


def _case(name: str, draw: Draw) -> Case:
    return Case(name, partial(coverage, draw))


if __name__ == "__main__":
    print_table(__doc__, ("coverage", "mean width", "all right or all wrong"), cases())
