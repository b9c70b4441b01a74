"""Fusing a detector's class scores with those of an image-text model.

Source: the geometric averaging of FG-CLIP 2 (arXiv 2510.10921, section 4.2.3 and appendix B), written with a weight as
in F-VLM (arXiv 2209.15639): score = s^(1 - alpha) · p^alpha, where s is the detector's score of a box for a category
and p the model's softmax over all categories. alpha = 1/2 orders detections as the plain product does; only
alpha / (1 - alpha) matters for their order.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from fgbench.requests import ClassScores, Float32

Labels = Literal["keep", "argmax_scores", "argmax_clip"]
"""What becomes of a box's labels:

* ``keep``: every (box, category) pair that the detector scored stays, with its fused score;
* ``argmax_scores``: the pair with the highest fused score stays, one per box;
* ``argmax_clip``: one per box, labelled by the image-text model alone among *all* categories; s is the box's best
  score.
"""

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


class Fused(NamedTuple):
    """Detections after fusion.

    Attributes:
        box: int64 [K]; ascending.
        category: int64 [K]; position of the category.
        score: float64 [K]; in [0, 1] if the detector's scores are.
    """

    box: Int64
    category: Int64
    score: Float64


def fuse(
    box: Int64,
    category: Int64,
    score: Float32,
    answer: ClassScores,
    *,
    temperature: float,
    column: int,
    alpha: float,
    labels: Labels = "keep",
) -> Fused:
    """Fuse m detections; computed in float64, as logarithms.

    Args:
        box: int64 [m]; box of each detection, ascending.
        category: int64 [m]; position of the category.
        score: float32 [m]; the detector's, at least 0.
        answer: cosines of the same m pairs, and of the boxes.
        temperature: of the softmax.
        column: of the temperature in ``answer.log_normaliser``.
        alpha: weight of the image-text model: 0 is the detector alone, 1 the model alone.
        labels: see :data:`Labels`.

    Returns:
        The detections; those of boxes that have no cosine are left out. In the order of the input.

    Raises:
        ValueError: alpha outside [0, 1], a negative score or an unknown label mode.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"Expected `alpha` to lie in [0, 1], but got {alpha}.")
    if len(score) and not score.min() >= 0:
        raise ValueError(f"Expected `score` to be at least 0, but got {score.min()}.")
    if labels not in ("keep", "argmax_scores", "argmax_clip"):
        raise ValueError(f"Expected `labels` to be keep, argmax_scores or argmax_clip, but got {labels!r}.")
    known = answer.best_class >= 0
    rows = np.flatnonzero(known[box])
    normaliser = answer.log_normaliser[:, column].astype(np.float64)
    box, category = box[rows], category[rows]
    detector = score[rows].astype(np.float64)
    if labels == "argmax_clip":
        first = np.flatnonzero(np.diff(box, prepend=-1))
        box = box[first]
        detector = np.maximum.reduceat(detector, first) if len(first) else detector
        category = answer.best_class[box]
        cosine = answer.best_cosine[box]
    else:
        cosine = answer.cosine[rows]
    fused = _geometric(detector, cosine.astype(np.float64) / temperature - normaliser[box], alpha)
    if labels == "argmax_scores":
        order = np.lexsort((-fused, box))  # stable: of equal scores the first pair
        best = order[np.diff(box, prepend=-1) > 0]
        return Fused(box[best], category[best], np.exp(fused[best]))
    return Fused(box, category, np.exp(fused))


def _geometric(score: Float64, log_probability: Float64, alpha: float) -> Float64:
    """Logarithm of s^(1 - alpha) · p^alpha; 0^0 is 1."""
    if alpha == 1:
        return log_probability
    with np.errstate(divide="ignore"):
        return (1 - alpha) * np.log(score) + alpha * log_probability
