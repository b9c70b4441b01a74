"""Pictures of detection: what is annotated, what the detector found, and what is left of it after fusion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from fgbench.data.images import decode
from fgbench.metrics.lvis_ap import Detections
from fgbench.report.boxes import LabelledBox, side_by_side, with_boxes
from fgbench.requests import ClassScores

from .lvis import LvisSplit
from .rescoring import Candidates, Fusion, failed_pictures, fused

if TYPE_CHECKING:
    from PIL.Image import Image

BEST = 10
"""Boxes drawn per picture."""


def before_and_after(
    split: LvisSplit, candidates: Candidates, answer: ClassScores, fusion: Fusion, count: int
) -> Iterator[tuple[str, Image]]:
    """Up to ``count`` pictures that have objects and detections, by ascending id: (image id, three panels)."""
    good, _ = failed_pictures(candidates, answer)
    rows = {
        "detector": candidates.detections(good),
        f"fused, alpha {fusion.alpha:g}, T {fusion.temperature:g}": fused(candidates, answer, fusion, good),
    }
    wanted = np.intersect1d(np.unique(split.truth.image), np.flatnonzero(good))
    wanted = np.intersect1d(wanted, candidates.proposals.box_image)[:count]
    for position in wanted.tolist():
        image = decode(split.pictures.images[position])
        panels = [("annotated", with_boxes(image, _annotated(split, position)))]
        panels += [(title, with_boxes(image, _best(found, position, split))) for title, found in rows.items()]
        yield f"{split.pictures.image_ids[position]:012d}", side_by_side(panels)


def _annotated(split: LvisSplit, position: int) -> list[LabelledBox]:
    rows = np.flatnonzero(split.truth.image == position)
    categories = split.truth.category[rows].tolist()
    boxes = split.truth.box[rows].tolist()
    return [LabelledBox(tuple(box), _name(split, c), c) for c, box in zip(categories, boxes, strict=True)]


def _best(found: Detections, position: int, split: LvisSplit) -> list[LabelledBox]:
    """The best boxes of a picture with the best label of each; the worst first, so that better ones lie on top."""
    owner = found.box_image[found.box_index]
    rows = np.flatnonzero(owner == position)
    rows = rows[np.argsort(-found.score[rows], kind="stable")]
    _, first = np.unique(found.box_index[rows], return_index=True)
    rows = rows[np.sort(first)[:BEST]][::-1]
    boxes, categories, scores = found.box[found.box_index[rows]], found.category[rows], found.score[rows]
    return [
        LabelledBox(tuple(box), f"{_name(split, category)} {score:.2g}", category)
        for box, category, score in zip(boxes.tolist(), categories.tolist(), scores.tolist(), strict=True)
    ]


def _name(split: LvisSplit, category: int) -> str:
    return split.pictures.names[category].replace("_", " ")
