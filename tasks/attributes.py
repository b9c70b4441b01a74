"""Which attribute tells a wrong description of FG-OVD from the right one.

Negatives of the subsets hard, medium and easy are the positive with one, two or three attributes replaced. The words
are those of PACO (Ramanathan et al., CVPR 2023), from which FG-OVD takes its attributes, and a few of the miniature
suite. A negative of subset trivial
describes another object.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fgbench.metrics.choice import choose
from fgbench.requests import Float32

from .resources import table
from .strata import Table

OTHER = "other"

_WORDS = {row["word"]: row["type"] for row in table("fgovd_attributes")}
_WORD = re.compile(r"\w+")


def differing(positive: str, negative: str) -> str:
    """Types of the attributes that were replaced: ``colour``, ``colour+material``; ``other`` where a word is none.

    The words that only the positive has count or, where there are none (grey became light grey), those that only the
    negative has. A word counts as the attribute that it begins with: ``wooden`` is ``wood``.
    """
    right, wrong = (Counter(_WORD.findall(text.lower())) for text in (positive, negative))
    types = {_type(word) for word in (right - wrong) or (wrong - right)}
    return OTHER if OTHER in types or not types else "+".join(sorted(types))


def by_attribute(
    regions: Float32,
    texts: Float32,
    candidates: npt.NDArray[np.int64],
    names: Sequence[str],
    subset: npt.NDArray[np.str_],
) -> Table:
    """Accuracy against the negatives of each type alone, per subset.

    Args:
        regions: float32 [n, D].
        texts: float32 [m, D].
        candidates: int64 [n, k]; rows of ``texts``, the right one first; -1 fills.
        names: the m texts.
        subset: str [n].

    Returns:
        Columns ``subset``, ``attribute``, ``n`` (items that have such negatives), ``negatives`` (their mean number) and
        ``top1``: none of these negatives is better than the right text.
    """
    pairs = {(row[0], text) for row in candidates.tolist() for text in row[1:] if text >= 0}
    known = {(right, wrong): differing(names[right], names[wrong]) for right, wrong in pairs}
    types = np.array([[known.get((row[0], text), "") for text in row[1:]] for row in candidates.tolist()], dtype=str)
    rows = []
    for name in dict.fromkeys(subset.tolist()):
        inside = subset == name
        for kind in sorted(set(types[inside].ravel().tolist()) - {""}, key=lambda kind: (kind == OTHER, kind)):
            items = np.flatnonzero(inside & (types == kind).any(axis=1))
            # Those of other types are left out, the rest moves to the left.
            kept = -np.sort(-np.where(types[items] == kind, candidates[items, 1:], -1), axis=1)
            found = choose(regions[items], texts, np.concatenate([candidates[items, :1], kept], axis=1))
            rows.append((name, kind, len(items), float((kept >= 0).sum(axis=1).mean()), float(found.correct.mean())))
    columns = ("subset", "attribute", "n", "negatives", "top1")
    return {column: np.array([row[place] for row in rows]) for place, column in enumerate(columns)}


def _type(word: str) -> str:
    if word in _WORDS:
        return _WORDS[word]
    return next((kind for known, kind in _WORDS.items() if word.startswith(known)), OTHER)
