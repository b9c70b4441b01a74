"""The confusion matrix of label maps, and what is read from it: mean IoU in three conventions, accuracies.

One matrix is summed over a whole set of pictures. A mean of the pictures' own IoUs would be another number. All numbers
depend on three sums per class only: pixels that are both predicted and true, true pixels, predicted pixels. In this
order, [..., 3 K], they are the *totals* from which every number is taken, of one set or of many resampled ones.

Source: Long et al., Fully convolutional networks for semantic segmentation, CVPR 2015, section 5; docs/protocols.md,
"Segmentation", for the conventions.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from .sample import Float64, Int64, Statistic

Convention = Literal["gt", "union", "all"]
"""Which classes a mean IoU is taken over: those with true pixels (detectron2 since July 2022), those with true or
predicted pixels (detectron2 0.6, mmsegmentation), or all (absent ones count as 0)."""

CONVENTIONS: tuple[Convention, ...] = get_args(Convention)

Counts: TypeAlias = npt.NDArray[np.int64]
"""int64 [K + 1, K]: pixels by prediction (row; K = no class) and ground truth (column). Add two to merge them."""


class MeanIoU(NamedTuple):
    """A mean over classes.

    Attributes:
        value: in [0, 1]; NaN without a class.
        classes: how many classes were averaged.
    """

    value: float
    classes: int


def confusion(prediction: npt.NDArray[Any], truth: npt.NDArray[Any], classes: int, *, ignore: int) -> Counts:
    """Count the pixels of one picture.

    Args:
        prediction: integers of any shape; anything outside 0..K-1 is "no class": a miss for the true class, and no
            false alarm for another.
        truth: integers of the same shape, 0..K-1 or ``ignore``.
        classes: K.
        ignore: pixels whose truth has this value count nowhere, whatever was predicted there.

    Returns:
        int64 [K + 1, K].

    Raises:
        ValueError: the shapes differ, the arrays do not hold integers, or the truth has other values.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"Expected both to have one shape, but got {prediction.shape} and {truth.shape}.")
    if prediction.dtype.kind not in "iu" or truth.dtype.kind not in "iu":
        raise ValueError(f"Expected integers, but got {prediction.dtype} and {truth.dtype}.")
    scored = truth != ignore
    true, cell = truth[scored], prediction[scored].astype(np.int64)
    if true.size and (true.min() < 0 or true.max() >= classes):
        raise ValueError(f"Expected truth in 0..{classes - 1} or {ignore}, but got {true.min()} to {true.max()}.")
    cell[(cell < 0) | (cell >= classes)] = classes
    cell *= classes
    np.add(cell, true, out=cell, casting="unsafe")
    return np.bincount(cell, minlength=(classes + 1) * classes).reshape(classes + 1, classes)


def true_pixels(counts: Counts) -> Counts:
    """int64 [K]: pixels whose truth is each class, G in the formulas."""
    truth: Counts = counts.sum(axis=0)
    return truth


def predicted_pixels(counts: Counts) -> Counts:
    """int64 [K]: scored pixels predicted as each class, P in the formulas."""
    predicted: Counts = counts[:-1].sum(axis=1)
    return predicted


def totals(counts: Counts) -> Float64:
    """float64 [3 K]: TP, G and P of each class."""
    return np.concatenate([np.diagonal(counts), true_pixels(counts), predicted_pixels(counts)]).astype(np.float64)


def picture_totals(
    picture: Int64, prediction: Int64, truth: Int64, count: Int64, *, pictures: int, classes: int
) -> Float64:
    """The totals of each picture from the cells of its confusion matrix.

    Args:
        picture, prediction, truth, count: int64 [n]; picture and place of a cell (prediction K = no class), and the
            pixels in it.
        pictures: N.
        classes: K.

    Returns:
        float64 [N, 3 K].

    Raises:
        ValueError: a picture or class out of range, or negative counts.
    """
    for name, values, size in (
        ("picture", picture, pictures), ("prediction", prediction, classes + 1), ("truth", truth, classes)
    ):  # fmt: skip
        if len(values) and (values.min() < 0 or values.max() >= size):
            raise ValueError(f"Expected `{name}` in [0, {size}), got {values.min()} to {values.max()}.")
    if len(count) and count.min() < 0:
        raise ValueError(f"Expected no negative count, got {count.min()}.")
    found = np.zeros((pictures, 3, classes))
    hit, inside = prediction == truth, prediction < classes
    for part, rows, cell in ((0, hit, truth), (1, slice(None), truth), (2, inside, prediction)):
        np.add.at(found[:, part], (picture[rows], cell[rows]), count[rows])
    return found.reshape(pictures, 3 * classes)


def class_iou(counts: Counts) -> Float64:
    """IoU = TP / (G + P - TP) of each class: float64 [K], NaN for a class that is neither there nor predicted."""
    return _iou(*_split(totals(counts)))


def mean_iou(counts: Counts, convention: Convention = "gt") -> MeanIoU:
    """Mean of the classes' IoU under one of the ``CONVENTIONS``."""
    sums = totals(counts)
    return MeanIoU(float(mean_iou_of(sums, convention)), int(_averaged(*_split(sums), convention).sum()))


def pixel_accuracy(counts: Counts) -> float:
    """Share of the scored pixels that have the right class; NaN without any."""
    return float(pixel_accuracy_of(totals(counts)))


def class_accuracy(counts: Counts) -> float:
    """Mean of TP / G over the classes with true pixels; NaN without any."""
    return float(class_accuracy_of(totals(counts)))


def frequency_weighted_iou(counts: Counts) -> float:
    """Mean IoU with each class weighted by its share of the true pixels; NaN without any."""
    return float(frequency_weighted_iou_of(totals(counts)))


def mean_iou_of(sums: Float64, convention: Convention) -> Float64:
    """:func:`mean_iou` as a function of totals [..., 3 K]: float64 [...]."""
    parts = _split(sums)
    return _mean(_iou(*parts), _averaged(*parts, convention))


def pixel_accuracy_of(sums: Float64) -> Float64:
    """:func:`pixel_accuracy` likewise."""
    hits, truth, _ = _split(sums)
    return _ratio(hits.sum(axis=-1), truth.sum(axis=-1))


def class_accuracy_of(sums: Float64) -> Float64:
    """:func:`class_accuracy` likewise."""
    hits, truth, _ = _split(sums)
    return _mean(_ratio(hits, truth), truth > 0)


def frequency_weighted_iou_of(sums: Float64) -> Float64:
    """:func:`frequency_weighted_iou` likewise."""
    hits, truth, predicted = _split(sums)
    weighted = truth * np.nan_to_num(_iou(hits, truth, predicted), nan=0.0)
    return _ratio(weighted.sum(axis=-1), truth.sum(axis=-1))


STATISTICS: Mapping[str, Statistic] = {
    "miou": partial(mean_iou_of, convention="gt"),
    "miou_union": partial(mean_iou_of, convention="union"),
    "miou_all": partial(mean_iou_of, convention="all"),
    "pixel_accuracy": pixel_accuracy_of,
    "class_accuracy": class_accuracy_of,
    "fw_iou": frequency_weighted_iou_of,
}
"""The numbers of a set as functions of its totals, by name."""


def _split(sums: Float64) -> tuple[Float64, Float64, Float64]:
    """TP, G and P: [..., K] each."""
    hits, truth, predicted = np.split(sums, 3, axis=-1)
    return hits, truth, predicted


def _iou(hits: Float64, truth: Float64, predicted: Float64) -> Float64:
    return _ratio(hits, truth + predicted - hits)


def _averaged(hits: Float64, truth: Float64, predicted: Float64, convention: Convention) -> npt.NDArray[np.bool_]:
    """Classes that a mean is taken over: bool [..., K]."""
    return {"gt": truth > 0, "union": truth + predicted > 0, "all": np.ones(truth.shape, dtype=bool)}[convention]


def _mean(values: Float64, over: npt.NDArray[np.bool_]) -> Float64:
    """Mean over some classes, undefined ones as 0: [..., K] to [...]; NaN over none."""
    return _ratio(np.where(over, np.nan_to_num(values, nan=0.0), 0.0).sum(axis=-1), over.sum(axis=-1))


def _ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> Float64:
    """float64; NaN where ``whole`` is 0."""
    divisor = np.asarray(whole, dtype=np.float64)
    return np.asarray(part, dtype=np.float64) / np.where(divisor > 0, divisor, np.nan)
