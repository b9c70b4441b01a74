"""How often two equally good models are told apart at 5 %, by simulation: ``python -m scripts.false_positives``.

Two models answer the same items; neither is better on average. Counted are p values of at most 0.05, and intervals of
the difference that do not hold 0. The table stands in docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from fgbench.metrics.confusion import STATISTICS
from fgbench.metrics.pairing import compare
from fgbench.metrics.sample import Float64, Sample

from .simulated import Case, print_table

Draw = Callable[[np.random.Generator], tuple[Sample, Sample]]
"""Both models on one simulated dataset."""


class Rates(NamedTuple):
    """Result of a case: shares of the datasets with p at most 0.05, and with 0 outside of the interval."""

    p: float
    interval: float


def rates(draw: Draw, repeats: int, seed: int) -> Rates:
    """Draw datasets and count.

    Args:
        draw: both models on a dataset.
        repeats: how many.
        seed: of everything random.
    """
    generator = np.random.default_rng(seed)
    told_apart = outside = 0
    for repeat in range(repeats):
        found = compare(*draw(generator), seed=seed + repeat)
        assert found is not None
        told_apart += found.p <= 0.05
        outside += not found.low <= 0 <= found.high
    return Rates(told_apart / repeats, outside / repeats)


def right_or_wrong(units: int, size: int | None, share: float) -> Draw:
    """Items that each model has right with a chance of their own, alike within a picture.

    A picture is as easy for both in half of the cases, else independently so: they differ on pictures, not on average.

    Args:
        units: number of pictures.
        size: items on each; None: a different number on each, 8 on average.
        share: of items that each model has right.
    """

    def draw(generator: np.random.Generator) -> tuple[Sample, Sample]:
        count = generator.geometric(1 / 8, units) if size is None else np.full(units, size)
        owner = np.repeat(np.arange(units), count)
        ids = np.arange(len(owner))
        common = generator.beta(2 * share, 2 * (1 - share), units)
        samples = []
        for _ in range(2):
            ease = np.where(generator.random(units) < 0.5, common, generator.beta(2 * share, 2 * (1 - share), units))
            samples.append(Sample.mean(ids, generator.random(len(owner)) < ease[owner], "image", owner))
        return samples[0], samples[1]

    return draw


def label_maps(pictures: int, classes: int = 20) -> Draw:
    """Mean IoU of two models of equal recall, alike in what they find easy."""
    presence = np.linspace(0.1, 0.5, classes)

    def draw(generator: np.random.Generator) -> tuple[Sample, Sample]:
        truth = (generator.random((pictures, classes)) < presence) * generator.gamma(2.0, 2000.0, (pictures, classes))
        ease = generator.beta(4, 4, (pictures, 1))
        ids = np.arange(pictures)
        parts: list[Float64] = []
        for _ in range(2):
            hits = truth * (0.5 * ease + 0.5 * generator.beta(4, 4, (pictures, classes)))
            taken = generator.dirichlet(np.ones(classes), pictures) * (truth - hits).sum(axis=1, keepdims=True)
            parts.append(np.concatenate([hits, truth, hits + taken], axis=1))
        first, second = (Sample(ids, "image", ids, part, STATISTICS["miou"]) for part in parts)
        return first, second

    return draw


def cases() -> list[Case]:
    """The rows of the table."""
    found = [
        _case(f"{units:,} items, one per picture; {100 * share:.0f} % right", right_or_wrong(units, 1, share))
        for units, share in ((200, 0.5), (1000, 0.5), (5000, 0.5), (1000, 0.9), (5000, 0.9))
    ]
    for size, name in ((5, "5 items each"), (None, "8 items on average")):
        for units, share in ((50, 0.5), (1000, 0.5), (200, 0.9), (1000, 0.9)):
            found.append(
                _case(f"{units:,} pictures with {name}; {100 * share:.0f} % right", right_or_wrong(units, size, share))
            )
    return [*found, *(_case(f"mean IoU of 20 classes, {n:,} pictures", label_maps(n)) for n in (50, 500))]


def _case(name: str, draw: Draw) -> Case:
    return Case(name, partial(rates, draw))


if __name__ == "__main__":
    print_table(__doc__, ("p at most 0.05", "0 outside the interval"), cases())
