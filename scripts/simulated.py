"""What the programs that simulate datasets share: their options, and a table in Markdown."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Case(NamedTuple):
    """One row: its name, and the shares to be shown as a function of repeats and seed."""

    name: str
    measure: Callable[[int, int], Sequence[float]]


def print_table(description: str | None, columns: Sequence[str], cases: Sequence[Case]) -> None:
    """Measure every case and print it as soon as it is done, in percent.

    Args:
        description: of the program.
        columns: headings of the shares.
        cases: the rows.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--repeats", type=int, default=2000, help="datasets per row")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print("| simulated |", " | ".join(columns), "|")
    print("| --- |", " | ".join("---:" for _ in columns), "|")
    for case in cases:
        shares = case.measure(arguments.repeats, arguments.seed)
        print(f"| {case.name} |", " | ".join(f"{100 * share:.1f}" for share in shares), "|", flush=True)
