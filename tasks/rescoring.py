"""A detector's boxes re-scored by an image-text model: from stored proposals and class scores to LVIS AP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from fgbench.data.proposals import Proposals, read_proposals, select
from fgbench.errors import DataError
from fgbench.metrics.fusion import Labels, fuse
from fgbench.metrics.lvis_ap import CAP, METRICS, Detections, GroundTruth, box_ap
from fgbench.metrics.sample import Sample
from fgbench.requests import ClassScores
from fgbench.spec import EvaluationProtocol, MetricKey
from fgbench.task import Score

from .lvis import LvisSplit

Mask = npt.NDArray[np.bool_]

TEMPERATURES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1)
"""For which the softmax is kept ready; any of them, with any weight, can be tried without a model."""

CAPPED: Mapping[str, Any] = {"per_category": None, "per_image": CAP}
CAPPED_METRICS = ("ap", "apr", "apc", "apf", "ar")
BY_FREQUENCY = ("apr", "apc", "apf")


@dataclass(frozen=True)
class Candidates:
    """Proposals whose pictures are those of a split, in its order; their category ids are positions + 1."""

    proposals: Proposals

    @cached_property
    def boxes(self) -> npt.NDArray[np.float64]:
        """float64 [M, 4]; x, y, width, height in pixels."""
        boxes = self.proposals.box.astype(np.float64)
        boxes[:, 2:] -= boxes[:, :2]
        return boxes

    @cached_property
    def category(self) -> npt.NDArray[np.int64]:
        """Position of the category of each detection: int64 [N]."""
        return self.proposals.det_category - 1

    def detections(self, pictures: Mask) -> Detections:
        """What the detector found in some pictures (bool [I]), with its own scores."""
        found = self.proposals
        rows = slice(None) if pictures.all() else np.flatnonzero(pictures[found.det_image])
        return Detections(self.boxes, found.box_image, found.det_box[rows], self.category[rows], found.det_score[rows])


def split_proposals(place: Path, split: LvisSplit, *, part_of_more: bool) -> Proposals:
    """The proposals of a split.

    Args:
        place: folder of the proposals.
        split: the ground truth.
        part_of_more: the split is a part of a data set that has proposals as a whole: others are passed over.

    Raises:
        DataMissingError: no finished proposals there.
        DataError: pictures that lack proposals, or proposals of other pictures or categories; damaged files.
    """
    found = read_proposals(place)
    unknown = np.setdiff1d(found.image_ids, split.known_ids)
    if len(unknown) and not part_of_more:
        raise DataError(
            f"{place}: {len(unknown):,} pictures are not in the annotation file, e.g. image {unknown[0]}. Were these "
            "proposals made for another dataset?"
        )
    categories = len(split.pictures.names)
    wrong = (found.det_category < 1) | (found.det_category > categories)
    if wrong.any():
        raise DataError(
            f"{place}: category {found.det_category[wrong.argmax()]} is not in the annotation file, whose ids are 1 to "
            f"{categories}. Were these proposals made for another dataset?"
        )
    if len(found) and found.det_score.min() < 0:
        raise DataError(f"{place}: scores should be at least 0 (probabilities), found {found.det_score.min()}.")
    try:
        return select(found, split.pictures.image_ids)
    except DataError as error:
        raise DataError(f"{place}: {error} To evaluate the first pictures only, pass --limit.") from error


def origin(proposals: Proposals) -> str:
    """Who made the proposals and how many they are: a sentence."""
    metadata = proposals.metadata
    detector = metadata.get("detector")
    by = detector.get("name") if isinstance(detector, dict) else detector or metadata.get("source")
    return f"Proposals of {by or 'an unknown detector'}: {len(proposals):,} detections on {len(proposals.box):,} boxes."


class Fusion(NamedTuple):
    """How the scores are fused; see :func:`fgbench.metrics.fusion.fuse`.

    Attributes:
        alpha: weight of the image-text model.
        temperature: one of ``TEMPERATURES``.
        labels: label mode.
    """

    alpha: float
    temperature: float
    labels: Labels = "keep"

    @classmethod
    def of(cls, protocol: EvaluationProtocol) -> Fusion:
        """What a protocol says, or the user chose."""
        alpha, temperature, labels = (protocol.choice(name) for name in ("alpha", "temperature", "labels"))
        return cls(float(alpha), float(temperature), cast("Labels", labels))


def fused(candidates: Candidates, answer: ClassScores, fusion: Fusion, pictures: Mask) -> Detections:
    """The detections of some pictures (bool [I]) after fusion."""
    found = candidates.proposals
    result = fuse(
        found.det_box,
        candidates.category,
        found.det_score,
        answer,
        temperature=fusion.temperature,
        column=TEMPERATURES.index(fusion.temperature),
        alpha=fusion.alpha,
        labels=fusion.labels,
    )
    rows = slice(None) if pictures.all() else np.flatnonzero(pictures[found.box_image[result.box]])
    return Detections(candidates.boxes, found.box_image, result.box[rows], result.category[rows], result.score[rows])


def failed_pictures(candidates: Candidates, answer: ClassScores) -> tuple[Mask, Counter[str]]:
    """Pictures whose boxes were all scored (bool [I]), and how many of the others there are by reason.

    A picture with a box that could not be scored is left out with all its boxes: without one its recall would be lower.
    """
    good = np.ones(len(candidates.proposals.image_ids), dtype=bool)
    reason: dict[int, str] = {}
    for box, why in sorted(answer.failed.items()):
        reason.setdefault(int(candidates.proposals.box_image[box]), why)
    good[list(reason)] = False
    return good, Counter(reason.values())


def measure(truth: GroundTruth, rows: Mapping[str, Detections]) -> tuple[list[Score], dict[str, npt.NDArray[Any]]]:
    """Fixed AP, then AP with 300 detections per picture (subset ``…-300``), of several sets of detections.

    A mean over no category at all (no rare ones in a small set) is left out.

    Returns:
        Scores, whose ``n`` is the number of categories in the mean; and the values of each category (float64 [C], NaN
        where it is left out) by ``<metric>/<subset>``. Those of ``apr``, ``apc`` and ``apf`` are among those of ``ap``.
    """
    fixed = {name: box_ap(truth, found) for name, found in rows.items()}
    capped = {f"{name}-{CAP}": box_ap(truth, found, **CAPPED) for name, found in rows.items()}
    recalls = ("ar", "ars", "arm", "arl")
    parts = [(fixed, [metric for metric in METRICS if metric not in recalls]), (capped, CAPPED_METRICS)]
    scores: list[Score] = []
    categories: dict[str, npt.NDArray[Any]] = {}
    for results, wanted in parts:
        for subset, result in results.items():
            for metric in (metric for metric in METRICS if metric in wanted):
                name = f"ar{CAP}" if metric == "ar" else metric
                value, number = result.mean(metric)
                if number:
                    scores.append(Score(subset, name, value, number))
                    if name not in BY_FREQUENCY:
                        categories[f"{name}/{subset}"] = result.categories(metric)
    return scores, categories


def category_samples(outcomes: Mapping[str, npt.NDArray[Any]]) -> dict[MetricKey, Sample]:
    """The categories behind the scores of :func:`measure`, from its values with ``category`` and ``frequency``.

    AP is no sum over pictures, so categories are resampled: the interval says how much the mean varies with the choice
    of categories, not what other pictures would give.
    """
    ids, frequency = outcomes["category"], outcomes["frequency"]
    found: dict[MetricKey, Sample] = {}
    for name, values in outcomes.items():
        metric, slash, subset = name.partition("/")
        if not slash:
            continue
        there = ~np.isnan(values)
        rows = {metric: there}
        if metric == "ap":
            rows |= {each: there & (frequency == each[-1]) for each in BY_FREQUENCY}
        found |= {
            MetricKey(subset, each): Sample.mean(ids[mask], values[mask], "category")
            for each, mask in rows.items()
            if mask.any()
        }
    return found
