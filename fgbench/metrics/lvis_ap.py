"""Box average precision on LVIS, with its federated annotation and both ways of limiting the detections.

Source: the rules of the ``lvis`` package 0.5.3 (bbox mode; Gupta et al., LVIS, arXiv 1908.03195), and *fixed AP* of
Dave et al., "Evaluating Large-Vocabulary Object Detectors: The Devil is in the Details", arXiv 2102.01066:

* **fixed** keeps the 10,000 best detections of each category over the whole data set, however many a picture has;
* **capped** keeps the 300 best detections of each picture over all categories (the official challenge).

The budget is applied first, to everything that was detected. Then a detection counts only if its category is annotated
in its picture, as present or as verified absent. Matching holds one block of categories at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fgbench.metrics.average_precision import Curves, interpolated
from fgbench.metrics.box_matching import Float64, Int64, Mask, edges, match
from fgbench.metrics.groups import Floats, Integers, spans, top_per_group

THRESHOLDS: Float64 = np.linspace(0.5, 0.95, 10)
FIXED_BUDGET = 10_000
CAP = 300
SIZES: Mapping[str, tuple[float, float]] = {
    "all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10),
}  # fmt: skip
"""Areas in square pixels, inclusive at both ends: mask area of an object, width × height of a detection."""

METRICS = ("ap", "apr", "apc", "apf", "ap50", "ap75", "aps", "apm", "apl", "ar", "ars", "arm", "arl")
"""Average precision: of all categories; of the rare, common and frequent ones; at one threshold; of one size. Average
recall: of all objects, and by size; with the capped protocol it is what others call AR@300."""

_BLOCK = 1 << 18
"""Detections matched at a time (more if one category has more)."""


@dataclass(frozen=True)
class GroundTruth:
    """G objects in I pictures, C categories. Pictures and categories are positions, not ids; pictures ascend by id.

    Attributes:
        images: I.
        frequency: str [C]; ``r``, ``c`` or ``f`` of each category.
        image: int64 [G].
        category: int64 [G].
        box: float64 [G, 4]; x, y, width, height in pixels.
        area: float64 [G]; of the mask, in square pixels.
        ignore: bool [G]; objects that count neither as found nor as missed.
        negative: int64 [n, 2]; (picture, category) verified absent.
        not_exhaustive: int64 [n, 2]; (picture, category) of which not every object is annotated.
    """

    images: int
    frequency: npt.NDArray[np.str_]
    image: Int64
    category: Int64
    box: Float64
    area: Float64
    ignore: Mask
    negative: Int64
    not_exhaustive: Int64

    @property
    def categories(self) -> int:
        """C."""
        return len(self.frequency)

    def only(self, pictures: Mask) -> GroundTruth:
        """Without what is annotated in the other pictures (bool [I]); positions stay as they are."""
        kept = pictures[self.image]
        return replace(
            self,
            image=self.image[kept],
            category=self.category[kept],
            box=self.box[kept],
            area=self.area[kept],
            ignore=self.ignore[kept],
            negative=self.negative[pictures[self.negative[:, 0]]],
            not_exhaustive=self.not_exhaustive[pictures[self.not_exhaustive[:, 0]]],
        )


@dataclass(frozen=True)
class Detections:
    """N detections on M boxes; a box may be detected as several categories. Order matters only among equal scores.

    Attributes:
        box: float [M, 4]; x, y, width, height in pixels.
        box_image: int [M]; position of the picture.
        box_index: int [N]; row of ``box``.
        category: int [N]; position of the category.
        score: float [N].

    Raises:
        ValueError: arrays of different length, or boxes or scores that are not finite.
    """

    box: Floats
    box_image: Integers
    box_index: Integers
    category: Integers
    score: Floats

    def __post_init__(self) -> None:
        if self.box.shape != (len(self.box_image), 4) or not (
            len(self.box_index) == len(self.category) == len(self.score)
        ):
            raise ValueError("Expected `box` to be [M, 4] with M pictures, and one box, category and score each.")
        for name in ("box", "score"):
            finite = np.isfinite(getattr(self, name))
            if not finite.all():
                row = int(np.argwhere(~finite)[0, 0])
                image = self.box_image[row if name == "box" else self.box_index[row]]
                raise ValueError(f"Expected `{name}` to be finite, but row {row} (picture {image}) is not.")


class Mean(NamedTuple):
    """A mean over categories: NaN over none.

    Attributes:
        value: in [0, 1].
        categories: how many it is the mean of.
    """

    value: float
    categories: int


@dataclass(frozen=True)
class BoxAP:
    """Result of :func:`box_ap`.

    Attributes:
        precision: float64 [sizes, thresholds, C]; average precision in the order of ``SIZES`` and ``THRESHOLDS``. NaN
            where the category has no object of this size: such a category is left out of means.
        recall: float64 [sizes, thresholds, C]; of all detections together; NaN likewise.
        frequency: str [C].
    """

    precision: Float64
    recall: Float64
    frequency: npt.NDArray[np.str_]

    def categories(self, metric: str) -> Float64:
        """One of ``METRICS`` of each category: float64 [C], NaN for those that its mean leaves out.

        Raises:
            ValueError: none of them.
        """
        if metric not in METRICS:
            raise ValueError(f"Expected one of {', '.join(METRICS)}, but got {metric!r}.")
        kind, part = metric[:2], metric[2:]
        values = (self.recall if kind == "ar" else self.precision)[" sml".index(part) if part in ("s", "m", "l") else 0]
        found: Float64 = values[0 if part == "50" else 5] if part in ("50", "75") else values.mean(axis=0)
        return np.where(self.frequency == part, found, np.nan) if part in ("r", "c", "f") else found

    def mean(self, metric: str) -> Mean:
        """One of ``METRICS``, over categories.

        Raises:
            ValueError: none of them.
        """
        values = self.categories(metric)
        values = values[~np.isnan(values)]
        return Mean(float(values.mean()) if values.size else float("nan"), len(values))


def box_ap(
    truth: GroundTruth,
    detections: Detections,
    *,
    per_category: int | None = FIXED_BUDGET,
    per_image: int | None = None,
    block: int = _BLOCK,
) -> BoxAP:
    """Average precision over categories, thresholds and sizes.

    Args:
        truth: what is there.
        detections: what was found. Boxes without area are ignored.
        per_category: fixed AP: detections kept of each category.
        per_image: capped AP: detections kept of each picture (before ``per_category``).
        block: detections matched at a time.

    Raises:
        ValueError: pictures or categories out of range.
    """
    _check_range("box_image", detections.box_image, truth.images)
    _check_range("category", detections.category, truth.categories)
    rows = _counted(truth, detections, _selected(detections, per_category, per_image, truth))
    precision = np.full((len(SIZES), len(THRESHOLDS), truth.categories), np.nan)
    recall = precision.copy()
    order = np.argsort(truth.category * truth.images + truth.image, kind="stable")
    not_exhaustive = _table(truth, truth.not_exhaustive)
    for categories, found in _blocks(detections.category[rows], rows, truth.categories, block):
        first, last = np.searchsorted(truth.category[order], [categories.start, categories.stop])
        curves = _evaluate(truth, order[first:last], detections, found, categories, not_exhaustive)
        precision[:, :, categories], recall[:, :, categories] = curves
    return BoxAP(precision, recall, truth.frequency)


def _selected(detections: Detections, per_category: int | None, per_image: int | None, truth: GroundTruth) -> Mask:
    """Detections within the budgets: bool [N]."""
    keep = np.ones(len(detections.score), dtype=bool)
    if per_image is not None:
        image = detections.box_image.astype(np.int32)[detections.box_index]
        keep = top_per_group(image, detections.score, per_image)
    if per_category is not None:
        rows = np.flatnonzero(keep) if per_image is not None else slice(None)
        keep[rows] = top_per_group(detections.category[rows], detections.score[rows], per_category)
    return keep


def _counted(truth: GroundTruth, detections: Detections, keep: Mask, block: int = 1 << 20) -> Int64:
    """Rows of the detections that are right or wrong at all: of a category that is annotated in their picture."""
    annotated = _table(truth, truth.negative)
    annotated[truth.image, truth.category] = True
    solid = detections.box[:, 2] * detections.box[:, 3] > 0
    found = []
    for start in range(0, len(keep), block):
        rows = start + np.flatnonzero(keep[start : start + block])
        box = detections.box_index[rows]
        found.append(rows[annotated[detections.box_image[box], detections.category[rows]] & solid[box]])
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def _evaluate(
    truth: GroundTruth, objects: Int64, detections: Detections, found: Int64, categories: slice, not_exhaustive: Mask
) -> Curves:
    """The categories of one block; ``objects`` are ordered by category and picture."""
    image = detections.box_image[detections.box_index[found]].astype(np.int64)
    category = detections.category[found].astype(np.int64)
    score = detections.score[found]
    order = np.lexsort((-score, image, category))
    found, image, category, score = found[order], image[order], category[order], score[order]
    box = detections.box[detections.box_index[found]].astype(np.float64)
    area = box[:, 2] * box[:, 3]
    group = category * truth.images + image
    truth_group = truth.category[objects] * truth.images + truth.image[objects]
    near = edges(box, group, truth.box[objects], truth_group, THRESHOLDS[0])
    by_score = np.lexsort((-score, category))  # stable: among equal scores by picture
    number = categories.stop - categories.start
    results = []
    for low, high in SIZES.values():
        ignored = truth.ignore[objects] | (truth.area[objects] < low) | (truth.area[objects] > high)
        matched = match(near, group, ignored, THRESHOLDS)
        hit = matched >= 0
        excused = (area < low) | (area > high) | not_exhaustive[image, category]
        out = np.where(hit, np.append(ignored, False)[matched], excused)
        size = np.bincount(truth.category[objects][~ignored] - categories.start, minlength=number)
        right, wrong = (hit & ~out)[:, by_score], (~hit & ~out)[:, by_score]
        results.append(interpolated(right, wrong, category[by_score] - categories.start, size))
    return Curves(*(np.stack(parts) for parts in zip(*results, strict=True)))


def _blocks(category: Integers, rows: Int64, number: int, block: int) -> Iterator[tuple[slice, Int64]]:
    """Ranges of categories with the rows of their detections; also ranges without any."""
    order = np.argsort(category, kind="stable")
    count = np.bincount(category, minlength=number)
    end = np.cumsum(count)
    for span in spans(count, block):
        yield span, rows[order[end[span.start] - count[span.start] : end[span.stop - 1]]]


def _table(truth: GroundTruth, pairs: Int64) -> Mask:
    """Which (picture, category) are among the pairs: bool [I, C]."""
    table = np.zeros((truth.images, truth.categories), dtype=bool)
    table[pairs[:, 0], pairs[:, 1]] = True
    return table


def _check_range(name: str, index: Integers, size: int) -> None:
    if len(index) and (index.min() < 0 or index.max() >= size):
        raise ValueError(f"Expected `{name}` to lie in [0, {size}), but got {index.min()} to {index.max()}.")
