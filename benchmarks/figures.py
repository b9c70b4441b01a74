"""What a benchmark reports, and how two sides are measured so that a busy machine slows both."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Measured

SCHEMA = "fgbench.benchmarks/1"


@dataclass(frozen=True)
class Options:
    """How much is measured.

    Attributes:
        quick: small inputs and one run: shows that everything works, its figures mean little.
        runs: of each side; None takes the benchmark's own number.
        data: a data root with real photographs (COCO's layout), or None.
    """

    quick: bool = False
    runs: int | None = None
    data: Path | None = None

    def repeat(self, usual: int) -> int:
        """Runs of each side."""
        return self.runs or (1 if self.quick else usual)


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        benchmark: its name.
        what: what was measured.
        unit: of both sides.
        ours: fgbench, median.
        theirs: the other side, median; None where there is none.
        ratio: how many times better fgbench is, or the quantity itself (an exponent, a share).
        target: at least this (``at_most``: at most), or None.
        at_most: the target is an upper bound.
        runs: of each side.
        note: what else to know.
    """

    benchmark: str
    what: str
    unit: str
    ours: float
    theirs: float | None
    ratio: float | None
    target: float | None = None
    at_most: bool = False
    runs: int = 1
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Was the target reached? None without one."""
        value = self.ours if self.ratio is None else self.ratio
        if self.target is None:
            return None
        return value <= self.target if self.at_most else value >= self.target


def alternate(
    ours: Callable[[], Measured], theirs: Callable[[], Measured], runs: int
) -> tuple[list[Measured], list[Measured]]:
    """Measure both sides in turn, so that other programs on the machine slow both."""
    pairs = [(ours(), theirs()) for _ in range(runs)]
    return [own for own, _ in pairs], [other for _, other in pairs]


def compared(
    benchmark: str, what: str, ours: list[Measured], theirs: list[Measured], target: float | None, note: str = ""
) -> list[Figure]:
    """Time and memory of two sides as two figures; the target is that of time."""
    found = []
    for unit, goal in (("s", target), ("MiB", None)):
        own, other = (
            statistics.median(each.seconds if unit == "s" else each.mebibytes for each in side)
            for side in (ours, theirs)
        )
        if unit == "s" or (own > 0 and other > 0):
            ratio = other / own
            found.append(Figure(benchmark, what, unit, own, other, ratio, goal, runs=len(ours), note=note))
    return found
