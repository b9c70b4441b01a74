"""Run-length masks in COCO's format, decoded without trusting them.

A mask is a list of run lengths in column-major order, background first. The compressed form writes each length (from
the fourth on: its difference to the one two before) as little-endian groups of five bits in the characters ``0`` to
``o``; the sixth bit says that more groups follow, the highest bit of the last group is the sign.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fgbench.data.annotations import field
from fgbench.data.images import MAX_PIXELS
from fgbench.errors import DataError

_GROUPS = 6
"""Five-bit groups of the longest run there can be, with its sign."""


def decode_rle(row: dict[str, Any], where: str, size: tuple[int, int] | None = None) -> npt.NDArray[np.bool_]:
    """Decode ``{"size": [height, width], "counts": string or list of integers}``.

    Args:
        row: the mask.
        where: file and field, for messages.
        size: expected (height, width), or None for any.

    Returns:
        bool [height, width].

    Raises:
        DataError: the fields are not as above, the runs do not fill the size exactly, or the size is not the expected.
    """
    found = tuple(field(row, "size", list, where))
    if len(found) != 2 or not all(type(side) is int and side > 0 for side in found):
        raise DataError(f"{where}: field 'size' should be [height, width] in pixels, found {list(found)!r:.60}.")
    height, width = found
    if height * width > MAX_PIXELS:
        raise DataError(f"{where}: a mask of {width}×{height} pixels, more than the limit of {MAX_PIXELS:,}.")
    if size is not None and found != size:
        raise DataError(f"{where}: a mask of {width}×{height} pixels for a picture of {size[1]}×{size[0]}.")
    counts = row.get("counts")
    runs = _numbers(counts, where) if isinstance(counts, list) else _characters(counts, where)
    if (runs < 0).any() or runs.max(initial=0) > height * width or runs.sum() != height * width:
        raise DataError(f"{where}: the runs of a mask of {width}×{height} pixels do not add up to its size.")
    mask: npt.NDArray[np.bool_] = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T
    return mask


def _numbers(counts: list[Any], where: str) -> npt.NDArray[np.int64]:
    if not all(type(count) is int and 0 <= count <= MAX_PIXELS for count in counts):
        raise DataError(f"{where}: field 'counts' should be a list of run lengths, found {counts!r:.60}.")
    return np.array(counts, dtype=np.int64)


def _characters(counts: object, where: str) -> npt.NDArray[np.int64]:
    expected = f"{where}: field 'counts' should be a string of COCO's compressed run lengths, found {counts!r:.60}."
    if not isinstance(counts, str) or not counts.isascii():
        raise DataError(expected)
    groups = np.frombuffer(counts.encode(), dtype=np.uint8).astype(np.int64) - 48
    if not len(groups):
        return groups
    last = (groups & 32) == 0
    starts = np.flatnonzero(np.concatenate([[True], last[:-1]]))
    lengths = np.diff(np.append(starts, len(groups)))
    if groups.min() < 0 or groups.max() > 63 or not last[-1] or lengths.max() > _GROUPS:
        raise DataError(expected)
    place = np.arange(len(groups)) - np.repeat(starts, lengths)
    values = np.add.reduceat((groups & 31) << (5 * place), starts)
    values -= np.where(groups[last] & 16, np.int64(1) << (5 * lengths), 0)
    # Differences start at the fourth length; the first stands outside both chains.
    values[1::2], values[2::2] = values[1::2].cumsum(), values[2::2].cumsum()
    return values
