"""Open-vocabulary segmentation: name the class of every pixel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fgbench.data.files import DatasetFiles
from fgbench.data.images import decode
from fgbench.errors import DataError
from fgbench.metrics import confusion as metrics
from fgbench.metrics.sample import Float64, Sample
from fgbench.requests import ClassPrompts, LabelMaps, PredictedMaps, Request
from fgbench.spec import DatasetSpec, EvaluationProtocol, MetricKey
from fgbench.task import Loaded, Predictions, Score, Scores

from .label_encodings import FOLDS, IGNORE, Labels
from .label_sources import GroundTruth, find_ground_truth
from .resources import lines
from .segmentation_predictions import read_predictions
from .segmentation_specs import SETS, TEMPLATES, SegmentationSet

if TYPE_CHECKING:
    from PIL.Image import Image


class _NotScored(Exception):  # noqa: N818 - not an error: counted by its reason
    """A picture whose ground truth is unusable."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass
class Segmentation:
    """Argmax of class scores at every pixel; mean IoU over one confusion matrix of the whole set.

    Source: training-free segmentation as in SCLIP (Wang et al. 2024), with class lists, label maps and the metric of
    CAT-Seg (Cho et al., CVPR 2024); docs/protocols.md, "Segmentation".

    Attributes:
        id, title, title_zh, position, datasets: see :class:`fgbench.task.Task`.
        sets: classes and forms of ground truth, by dataset id.
    """

    id: str
    title: str
    position: int
    datasets: tuple[DatasetSpec, ...]
    sets: Mapping[str, SegmentationSet]
    title_zh: str = ""

    def load(self, spec: DatasetSpec, files: DatasetFiles, limit: int | None) -> Loaded:
        """Find pictures and label maps; see :class:`fgbench.task.Task`."""
        truth = find_ground_truth(files, self.sets[spec.id].forms, limit)
        notes = [f"ground truth: {truth.form.title}"]
        if truth.lacking:
            notes.append(f"{len(truth.lacking):,} label maps are not there, the first is {Path(truth.lacking[0]).name}")
        rejected = Counter({"mask_missing": len(truth.lacking)} if truth.lacking else {})
        return Loaded(truth, {"all": len(truth.pictures) + len(truth.lacking)}, rejected, tuple(notes))

    def requests(self, spec: DatasetSpec, loaded: Loaded) -> Mapping[str, Request]:
        """The label map of every picture."""
        truth: GroundTruth = loaded.items
        protocol = spec.protocol
        return {
            "maps": LabelMaps(
                [picture.image for picture in truth.pictures],
                _prompts(lines(self.sets[spec.id].prompts), protocol),
                windows=protocol.choice("windows"),
                short_side=truth.form.short_side,
                budget=protocol.budget,
            )
        }

    def score(self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Any]) -> Scores:
        """Mean IoU in three conventions, and accuracies, over the pictures that have a prediction and a label map.

        The outcomes hold each picture's confusion matrix as (image, prediction, truth, count), so that the metrics can
        be resampled over pictures; the pixels of each that are not scored; per-class IoU (NaN where undefined) with
        true and predicted pixels; and, of pictures left out for their label map, the message.
        """
        truth: GroundTruth = loaded.items
        maps: PredictedMaps = features["maps"]
        known = self.sets[spec.id]
        names = lines(known.classes)
        total = np.zeros((len(names) + 1, len(names)), dtype=np.int64)
        skipped = Counter(maps.failed.values()) + loaded.rejected
        problems: list[str] = []
        examples: dict[str, str] = {}
        ids: list[str] = []
        ignored: list[int] = []
        cells: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        for row, picture in enumerate(truth.pictures):
            if row in maps.failed:
                continue
            try:
                prediction, labels = _pair(truth, maps, row, known.fold)
            except _NotScored as error:
                skipped[error.reason] += 1
                problems.append(f"{picture.id}: {error}")
                examples.setdefault(error.reason, problems[-1])
                continue
            counts = metrics.confusion(prediction, labels, len(names), ignore=IGNORE)
            total += counts
            there = np.nonzero(counts)
            cells.append(np.stack([np.full(len(there[0]), len(ids)), *there, counts[there]]))
            ignored.append(int(labels.size - counts.sum()))
            ids.append(picture.id)
        table = np.concatenate(cells, axis=1) if cells else np.zeros((4, 0), dtype=np.int64)
        return Scores(
            _scores(spec.metrics, metrics.totals(total), len(ids)) if total.any() else [],
            evaluated=len(ids),
            skipped=skipped,
            outcomes={
                "id": np.array(ids, dtype=str),
                "ignored": np.array(ignored, dtype=np.int64),
                **dict(zip(("pixels/image", "pixels/prediction", "pixels/truth", "pixels/count"), table, strict=True)),
                "class/name": np.array(names),
                "class/iou": metrics.class_iou(total),
                "class/truth": metrics.true_pixels(total),
                "class/predicted": metrics.predicted_pixels(total),
                "problem": np.array(problems, dtype=str),
            },
            examples=examples,
            tables={
                "classes": {
                    "class": np.array(names),
                    "iou": metrics.class_iou(total),
                    "pixels": metrics.true_pixels(total),
                    "predicted": metrics.predicted_pixels(total),
                }
            },
        )

    def samples(self, spec: DatasetSpec, outcomes: Mapping[str, npt.NDArray[Any]]) -> Mapping[MetricKey, Sample]:
        """See :class:`fgbench.task.HasSamples`; pictures are resampled."""
        ids = outcomes["id"]
        cells = (outcomes[f"pixels/{name}"] for name in ("image", "prediction", "truth", "count"))
        parts = metrics.picture_totals(*cells, pictures=len(ids), classes=len(outcomes["class/name"]))
        if not parts.any():
            return {}
        units = np.arange(len(ids))
        return {
            MetricKey("all", metric): Sample(ids, "image", units, parts, metrics.STATISTICS[metric])
            for metric in spec.metrics
        }

    def predictions(self, spec: DatasetSpec, loaded: Loaded, place: Path, options: Mapping[str, str]) -> Predictions:
        """Label maps predicted elsewhere; see :func:`fgbench.tasks.segmentation_predictions.read_predictions`."""
        known = self.sets[spec.id]
        maps, notes = read_predictions(spec.id, loaded.items, len(lines(known.classes)), known.fold, place, options)
        return Predictions({"maps": maps}, notes)

    def pictures(
        self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Any], count: int
    ) -> Iterator[tuple[str, Image]]:
        """The first pictures beside their ground truth and prediction, with a legend."""
        from fgbench.report.overlays import compare_labels

        truth: GroundTruth = loaded.items
        maps: PredictedMaps = features["maps"]
        known = self.sets[spec.id]
        drawn = 0
        for row, picture in enumerate(truth.pictures):
            if drawn == count:
                return
            if row in maps.failed:
                continue
            try:
                prediction, labels = _pair(truth, maps, row, known.fold)
            except _NotScored:
                continue
            drawn += 1
            yield picture.id, compare_labels(decode(picture.image), labels, prediction, lines(known.classes))


def _scores(names: Sequence[str], sums: Float64, pictures: int) -> list[Score]:
    return [Score("all", name, float(metrics.STATISTICS[name](sums)), pictures) for name in names]


def _pair(truth: GroundTruth, maps: PredictedMaps, row: int, fold: str | None) -> tuple[Labels, Labels]:
    """Prediction and ground truth of a picture, both as class indices of the set."""
    try:
        raw = truth.raw(row)
    except DataError as error:
        raise _NotScored("mask_unreadable", str(error)) from error
    try:
        labels = truth.decode(raw, row)
    except DataError as error:
        raise _NotScored("mask_values", str(error)) from error
    prediction = maps.read(row)
    if prediction.shape != labels.shape:
        (height, width), (rows, columns) = labels.shape, prediction.shape
        picture = truth.pictures[row]
        raise _NotScored(
            "mask_size",
            f"{picture.label} has {width}×{height} pixels, but {picture.image} gives {columns}×{rows}. One of the two "
            "files is of another version of the dataset, or was resized or rotated.",
        )
    return (FOLDS[fold][prediction] if fold else prediction), labels


def _prompts(names: tuple[str, ...], protocol: EvaluationProtocol) -> ClassPrompts:
    """One prototype per class; synonyms, separated by comma and blank, as chosen."""
    templates = lines(TEMPLATES[protocol.choice("templates")])
    text = protocol.text
    if "synonyms" not in protocol.choices:
        return ClassPrompts(names, templates, text.kind, text.lowercase)
    synonyms = [name.split(", ") for name in names]
    if protocol.choice("synonyms") == "first":
        return ClassPrompts([each[0] for each in synonyms], templates, text.kind, text.lowercase)
    return ClassPrompts(
        [name for each in synonyms for name in each],
        templates,
        text.kind,
        text.lowercase,
        classes=[index for index, each in enumerate(synonyms) for _ in each],
    )


TASK = Segmentation(
    id="segmentation",
    title="Segmentation",
    title_zh="分割",
    position=70,
    datasets=tuple(each.spec for each in SETS),
    sets={each.spec.id: each for each in SETS},
)
