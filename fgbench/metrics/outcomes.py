"""What every scorer of written answers takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Reference = TypeVar("Reference")


class Outcomes(NamedTuple):
    """Outcome per answer.

    Attributes:
        score: float64 [n] in [0, 1].
        unparsed: bool [n]; the rule found nothing it could compare (no letter, no box). The score is then 0, unless the
            rule guesses. Rules that compare the whole text always have something to compare.
    """

    score: npt.NDArray[np.float64]
    unparsed: npt.NDArray[np.bool_]


Scorer: TypeAlias = Callable[[Sequence[str], Sequence[Reference]], Outcomes]


def outcomes(score: Sequence[float], unparsed: Sequence[bool] | None = None) -> Outcomes:
    """Outcomes from plain lists; without ``unparsed`` every answer was understood."""
    flags = np.zeros(len(score), dtype=bool) if unparsed is None else np.array(unparsed, dtype=bool)
    return Outcomes(np.array(score, dtype=np.float64), flags)


def pairs(predictions: Sequence[str], references: Sequence[Reference]) -> zip[tuple[str, Reference]]:
    """Answers with their references.

    Raises:
        ValueError: there are more of one than of the other.
    """
    if len(predictions) != len(references):
        raise ValueError(f"Expected one answer per reference, got {len(predictions)} and {len(references)}.")
    return zip(predictions, references, strict=True)
