"""Running the miniature suite under a breakage, and judging it as the self-test does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fgbench import evaluate
from fgbench.engines import Model
from fgbench.selftest.comparison import Comparison, compare
from fgbench.selftest.expectation import Expectation

from .breakages import Breakage


def measure(
    breakage: Breakage,
    expectation: Expectation,
    datasets: Sequence[str],
    output: Path,
    model: Model,
    chat: Model | None = None,
) -> Comparison:
    """Evaluate some datasets under a breakage and compare with what is expected of the unbroken suite.

    A dataset that cannot be evaluated any more counts as off, as in the self-test.
    """
    with breakage.patch():
        result = evaluate(
            model, None, list(datasets), data_root="mini", output=output, chat=chat, fresh=True, workers=0
        )
    return compare(expectation, result.records, {each.dataset: each.reason for each in result.not_evaluated})


def caught(found: Comparison) -> set[str]:
    """Datasets with a number outside its tolerance, or without a result."""
    return {score.dataset for score in found.outside} | set(found.not_evaluated)


def moved(found: Comparison) -> set[str]:
    """Datasets with any number that is not the expected one."""
    different = {score.dataset for score in found.scores if score.measured != score.expected}
    return different | set(found.not_evaluated)
