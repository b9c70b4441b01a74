"""The confusion matrix of label maps, and what is read from it: mean IoU in three conventions, accuracies.

One matrix is summed over a whole set of pictures. A mean of the pictures' own IoUs would be another number.

Source: Long et al., Fully convolutional networks for semantic segmentation, CVPR 2015, section 5; docs/protocols.md,
"Segmentation", for the conventions.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

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


def class_iou(counts: Counts) -> npt.NDArray[np.float64]:
    """IoU = TP / (G + P - TP) of each class: float64 [K], NaN for a class that is neither there nor predicted."""
    hits = np.diagonal(counts)
    return _ratio(hits, true_pixels(counts) + predicted_pixels(counts) - hits)


def mean_iou(counts: Counts, convention: Convention = "gt") -> MeanIoU:
    """Mean of the classes' IoU under one of the ``CONVENTIONS``."""
    averaged = {
        "gt": true_pixels(counts) > 0,
        "union": true_pixels(counts) + predicted_pixels(counts) > 0,
        "all": np.ones(counts.shape[1], dtype=bool),
    }[convention]
    number = int(averaged.sum())
    iou = np.nan_to_num(class_iou(counts)[averaged], nan=0.0)
    return MeanIoU(float(iou.mean()) if number else float("nan"), number)


def pixel_accuracy(counts: Counts) -> float:
    """Share of the scored pixels that have the right class; NaN without any."""
    return float(_ratio(np.diagonal(counts).sum(), counts.sum()))


def class_accuracy(counts: Counts) -> float:
    """Mean of TP / G over the classes with true pixels; NaN without any."""
    recall = _ratio(np.diagonal(counts), true_pixels(counts))
    present = recall[~np.isnan(recall)]
    return float(present.mean()) if len(present) else float("nan")


def frequency_weighted_iou(counts: Counts) -> float:
    """Mean IoU with each class weighted by its share of the true pixels; NaN without any."""
    truth = true_pixels(counts)
    return float(_ratio((truth * np.nan_to_num(class_iou(counts), nan=0.0)).sum(), truth.sum()))


def _ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """float64; NaN where ``whole`` is 0."""
    divisor = np.asarray(whole, dtype=np.float64)
    return np.asarray(part, dtype=np.float64) / np.where(divisor > 0, divisor, np.nan)
