"""Tables that break a score down: how many items each stratum has, and how good the model is on them.

They show where a model fails; they are no scores, and small strata say little.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Strings = npt.NDArray[np.str_]
Mask = npt.NDArray[np.bool_]
Table = Mapping[str, npt.NDArray[Any]]

SIZES = {"small": 32.0**2, "medium": 96.0**2, "large": float("inf")}
"""COCO's classes of size: area in square pixels, up to and including."""

_FREQUENCIES = {"r": "rare", "c": "common", "f": "frequent"}


def breakdown(name: str, strata: Mapping[str, Mask], right: Mapping[str, Mask]) -> Table:
    """One row per stratum that has items.

    Args:
        name: heading of the first column.
        strata: bool [n]; the items of each stratum.
        right: bool [n]; the items that are right, by metric.

    Returns:
        Columns ``<name>``, ``n``, and the share of right items by metric.
    """
    rows = [stratum for stratum, mask in strata.items() if mask.any()]
    return {
        name: np.array(rows, dtype=str),
        "n": np.array([int(strata[row].sum()) for row in rows], dtype=np.int64),
        **{
            metric: np.array([float(flags[strata[row]].mean()) for row in rows], dtype=np.float64)
            for metric, flags in right.items()
        },
    }


def by_size(boxes: npt.NDArray[np.float64]) -> dict[str, Mask]:
    """Boxes (float64 [n, 4]; x, y, width, height in pixels) by area: small, medium, large."""
    area = boxes[:, 2] * boxes[:, 3]
    place = np.searchsorted(list(SIZES.values()), area)
    return {name: place == number for number, name in enumerate(SIZES)}


def by_frequency(frequency: Sequence[str], label: npt.NDArray[np.int64]) -> dict[str, Mask]:
    """Items by how many training pictures have their class: rare, common, frequent.

    Args:
        frequency: ``r``, ``c`` or ``f`` of each class, as in LVIS.
        label: int64 [n]; class of each item.
    """
    found = np.array(frequency, dtype=str)[label]
    return {name: found == letter for letter, name in _FREQUENCIES.items()}


def by_length(texts: Iterable[str]) -> dict[str, Mask]:
    """Texts in quarters by their number of characters, called by the range: ``31 to 45``. Equal lengths stay together."""
    length = np.array([len(text) for text in texts], dtype=np.int64)
    if not len(length):
        return {}
    edges = np.unique(np.quantile(length, (0.25, 0.5, 0.75), method="lower"))
    quarter = np.searchsorted(edges, length)
    members = [length[quarter == number] for number in range(len(edges) + 1)]
    return {f"{each.min()} to {each.max()}": quarter == number for number, each in enumerate(members) if len(each)}
