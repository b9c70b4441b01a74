"""What the numbers in a label map mean: look-up tables from each published form to class indices.

Every set has one class index per class, 0 to K - 1 in the order of its name list, and one number for pixels that are
not scored. The published forms disagree about both; after decoding they are the same for all. 255 is a class of
ADE20K-847 (pier) and PASCAL-Context-459 (monkey), so that "not scored" is 65,535 for every set.

Source: the conversion scripts of CAT-Seg (Cho et al., CVPR 2024) and mmsegmentation; docs/protocols.md, "Segmentation".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fgbench.data.rle import decode_rle
from fgbench.errors import DataError
from fgbench.requests import PredictedMaps

from .resources import table

Labels = npt.NDArray[np.uint16]

IGNORE = 65_535
"""Decoded pixels with this value are not scored."""

_UNKNOWN = 65_534


@dataclass(frozen=True, eq=False)
class Encoding:
    """One form of label map.

    Attributes:
        lookup: uint16 [65536]; class index, ``IGNORE`` or "no such value" for each raw value.
        expected: the values there are, in words.
    """

    lookup: Labels
    expected: str

    def decode(self, raw: Labels, where: str) -> Labels:
        """Class indices of a label map: uint16 [H, W] to uint16 [H, W].

        Args:
            raw: values as stored.
            where: the file, for the message.

        Raises:
            DataError: values that this form does not have; the message lists them.
        """
        decoded = self.lookup[raw]
        unknown = decoded == _UNKNOWN
        if unknown.any():
            values, pixels = np.unique(raw[unknown], return_counts=True)
            listed = ", ".join(map(str, values[:5].tolist())) + (", …" if len(values) > 5 else "")
            raise DataError(f"{where}: {pixels.sum():,} pixels with labels {listed}; expected {self.expected}.")
        return decoded


def _listed(index: Mapping[int, int], ignored: Iterable[int], expected: str) -> Encoding:
    lookup = np.full(65_536, _UNKNOWN, dtype=np.uint16)
    lookup[list(ignored)] = IGNORE
    lookup[list(index)] = list(index.values())
    return Encoding(lookup, expected)


def _counted(classes: int, first: int, *ignored: int) -> Encoding:
    """Classes are numbered from ``first`` on."""
    expected = f"{first} to {first + classes - 1}, or {' or '.join(map(str, ignored))} for pixels that are not scored"
    return _listed({first + index: index for index in range(classes)}, ignored, expected)


def _selected(index: Mapping[int, int]) -> Encoding:
    """Some numbers are classes; all others are not scored."""
    return _listed(index, range(65_536), "anything")


ADE150_PREPARED = _counted(150, 0, 255)
ADE150_RAW = _counted(150, 1, 0)
ADE847_PREPARED = _counted(847, 0, 65_535)
ADE847_OBJECT_IDS = _selected(
    {int(row["dataset_id"]): int(row["index"]) for row in table("ade847_dataset_ids")},
)
"""Ids of release 2021_17_01, as :func:`object_ids` reads them."""

PC459_PREPARED = _counted(459, 0, 459, 65_535)
PC459_NUMBERS = _counted(459, 1, 0, 460)
"""Neither ignored value should occur: CAT-Seg's converter turns 0 into 65,535 and registers 459 as ignored."""

PC59_PREPARED = _counted(59, 0, 255)
PC59_MMSEGMENTATION = _counted(59, 1, 0, 255)
PC59_NUMBERS = _selected({int(row["pascal_context_id"]): int(row["index"]) for row in table("pc59_source_ids")})
"""Numbers of the 459 list; the other 400 are not scored."""

VOC20_PREPARED = _counted(20, 0, 255)
VOC20_RAW = _counted(20, 1, 0, 255)
VOC21_PREPARED = _counted(21, 0, 255)
VOC21_RAW = _listed(
    {0: 20, **{1 + index: index for index in range(20)}}, (255,), "0 (background), 1 to 20, or 255 (void)"
)

_NO_CLASS = PredictedMaps.NO_CLASS


def _folding(index: Mapping[int, int]) -> Labels:
    lookup = np.full(65_536, _NO_CLASS, dtype=np.uint16)
    lookup[list(index)] = list(index.values())
    return lookup


FOLDS: Mapping[str, Labels] = {
    "pas20b": _folding({prompt: min(prompt, 20) for prompt in range(59)}),
    "voc-native": _folding({0: 20, **{1 + index: index for index in range(20)}}),
}
"""Predictions to class indices of VOC-21, uint16 [65536] by name: ``pas20b`` takes all prompts after the 20 objects as
background, ``voc-native`` is VOC's own numbering. Other values become "no class"."""


def object_ids(rgb: npt.NDArray[np.uint8]) -> Labels:
    """Object ids of a ``_seg.png`` of ADE20K 2021_17_01: uint8 [H, W, 3] to uint16 [H, W].

    id = floor(red / 10) · 256 + green; blue numbers the instances.
    """
    ids: Labels = (rgb[..., 0] // 10).astype(np.uint16) * np.uint16(256) + rgb[..., 1]
    return ids


def resize_nearest(labels: Labels, size: tuple[int, int]) -> Labels:
    """Resize a label map as OpenCV's INTER_NEAREST does: source = floor(target · scale), no half-pixel shift.

    Args:
        labels: uint16 [H, W].
        size: (height, width) to make.
    """
    # OpenCV divides twice; the product with the plain ratio would round differently now and then.
    rows, columns = (
        np.minimum(np.floor(np.arange(new) * (1.0 / (new / old))).astype(np.int64), old - 1)
        for old, new in zip(labels.shape, size, strict=True)
    )
    resized: Labels = labels[rows[:, None], columns]
    return resized


def paint(size: tuple[int, int], annotations: Iterable[tuple[int, dict[str, Any]]], where: str) -> Labels:
    """Paint run-length masks over each other, in order; where two overlap the later one stays.

    Args:
        size: (height, width).
        annotations: (number, mask as for :func:`fgbench.data.rle.decode_rle`) of each segment.
        where: file and picture, for messages.

    Returns:
        uint16 [H, W]; 0 where no mask is.

    Raises:
        DataError: a mask is damaged or has another size.
    """
    canvas = np.zeros(size, dtype=np.uint16)
    for number, mask in annotations:
        canvas[decode_rle(mask, where, size)] = number
    return canvas
