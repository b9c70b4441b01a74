"""Open-vocabulary detection on LVIS: a frozen detector's boxes, re-scored by the image-text model under test.

Source: FG-CLIP 2 (arXiv 2510.10921), section 4.2.3 and appendix B, "LLMDet + X"; nothing is trained. The boxes are made
once (``fgbench detect``) and lie in a folder of proposals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fgbench.data.detection_results import read_results
from fgbench.data.files import DatasetFiles
from fgbench.data.proposals import INDEX, best_per_image, select
from fgbench.detector import DetectionPictures
from fgbench.errors import DataMissingError, UsageError
from fgbench.metrics.sample import Sample
from fgbench.requests import ClassScores, RegionScores, Request
from fgbench.spec import Choice, DatasetSpec, EvaluationProtocol, MetricKey, PublishedCell, TextProtocol
from fgbench.task import Loaded, Predictions, Scores

from .labelled import class_prompts
from .lvis import IMAGES, LvisSplit, read_lvis
from .rescoring import (
    TEMPERATURES,
    Candidates,
    Fusion,
    category_samples,
    failed_pictures,
    fused,
    measure,
    origin,
    split_proposals,
)

if TYPE_CHECKING:
    from PIL.Image import Image

MINIVAL = "lvis-minival"

_FOUR = ("ap", "apr", "apc", "apf")

_PROTOCOL = EvaluationProtocol(
    id="rescore",
    text=TextProtocol(kind="box", lowercase=True, templates="templates_80"),
    details={
        "fusion": "s^(1-alpha) · p^alpha; s: the detector's score, p: softmax of cosine / temperature over all classes",
        "defaults": "the paper names geometric averaging only; alpha, temperature and labels are this project's choice",
        "classes": "1,203, by category id; name with _ as a blank, parentheses kept, synonyms unused",
        "fused, detector": "fixed AP: the 10,000 best detections of each category, no limit per picture",
        "fused-300, detector-300": "AP with the 300 best detections of each picture",
        "detector": "all proposals with the detector's own scores, whatever is chosen for the fusion",
        "n": "categories with objects; a category without any is left out of the mean",
        "tie": "among equal scores pictures by ascending id, then the order of the proposals",
    },
    choices={
        "alpha": Choice("0.5", None, "Weight of the model: 0 is the detector alone, 1 the model alone.", scoring=True),
        "temperature": Choice(
            "0.01", tuple(map(str, TEMPERATURES)), "Of the softmax over all categories.", scoring=True
        ),
        "labels": Choice(
            "keep",
            ("keep", "argmax_scores", "argmax_clip"),
            "Keep all labels of a box, the one with the best fused score, or the model's own best of all categories.",
            scoring=True,
        ),
        "per_image": Choice(
            "all",
            ("all", "100", "300", "1000"),
            "Re-score only so many proposals of each picture, the detector's best. Lowers AP; needed in crop mode.",
        ),
    },
)


def _spec(split: str, **parts: Any) -> DatasetSpec:
    return DatasetSpec(
        id=f"lvis-{split}",
        task="detection",
        title=f"LVIS {split}",
        language="en",
        homepage="https://www.lvisdataset.org",
        licence="annotations CC BY 4.0; pictures under their Flickr licences",
        citation="Gupta et al., LVIS, CVPR 2019, arXiv 1908.03195",
        published_items={"images": IMAGES[split]},
        protocol=_PROTOCOL,
        main=tuple(MetricKey("fused", metric) for metric in _FOUR),
        metrics=("ap", "apr", "apc", "apf", "ap50", "ap75", "aps", "apm", "apl", "ar300"),
        published={
            MetricKey("fused", metric): PublishedCell(
                "3", f"lvis-{split}", metric.replace("ap", "AP"), method="LLMDet + {}", backbone="Swin-T + {}"
            )
            for metric in _FOUR
        },
        shown=tuple(MetricKey(subset, metric) for subset in ("fused", "detector") for metric in _FOUR),
        **parts,
    )


_ANNOTATIONS = ("lvis/lvis_v1_val.json", "coco/annotations/lvis_v1_val.json", "annotations/lvis_v1_val.json")
_PROPOSALS = "Proposals: 'fgbench detect', or 'fgbench proposals import' for a result file of another detector."
_UNSTATED = (
    "The paper states neither temperature nor weight, prompts, label mode, number of boxes or region mode, nor that "
    "its AP is fixed AP (inferred: its LLMDet rows equal LLMDet's published fixed AP). Robust is the gain over subset "
    "detector.",
    "Subset detector has to give the detector's published AP before any re-scoring is believed; LLMDet Swin-T: AP 44.7 "
    "on minival, 34.9 on val.",
    "AP is the mean of APr, APc and APf weighted by categories, but five printed rows contradict that (minival: LLMDet "
    "+ FG-CLIP ViT-B/16; val: LLMDet + SigLIP 2 at all three sizes, GLIP Swin-L): no result matches all four numbers.",
)

LVIS_MINIVAL = _spec(
    "minival",
    files={
        "annotations": (
            "lvis/lvis_v1_minival_inserted_image_name.json",
            "coco/annotations/lvis_v1_minival_inserted_image_name.json",
            "lvis/lvis_v1_minival.json",
            *_ANNOTATIONS,
        ),
        "images": ("coco", "."),
        "proposals": ("lvis/proposals/minival", "lvis/proposals/val"),
    },
    how_to_get=(
        "lvis_v1_val.json (lvisdataset.org; the split is taken out of it) or lvis_v1_minival_inserted_image_name.json "
        f"(hub: GLIPModel/GLIP) in <data root>/lvis; COCO's val2017 pictures in <data root>/coco. {_PROPOSALS}"
    ),
    notes=_UNSTATED,
)
LVIS_VAL = _spec(
    "val",
    files={"annotations": _ANNOTATIONS, "images": ("coco", "."), "proposals": ("lvis/proposals/val",)},
    how_to_get=(
        "lvis_v1_val.json from lvisdataset.org in <data root>/lvis; COCO's val2017 and train2017 pictures in "
        f"<data root>/coco (15,000 of the 19,809 pictures are in train2017). {_PROPOSALS}"
    ),
    notes=(
        *_UNSTATED,
        "15,000 pictures are from COCO train2017, which LLMDet was trained on; minival has none of them.",
    ),
)


@dataclass(frozen=True)
class Rescored:
    """The items of a dataset.

    Attributes:
        split: pictures, objects, federated lists.
        untouched: all proposals; None if there are none (predictions can be scored all the same).
        chosen: those that are re-scored.
    """

    split: LvisSplit
    untouched: Candidates | None
    chosen: Candidates | None


@dataclass
class Detection:
    """AP of re-scored proposals, beside that of the proposals as they are.

    Attributes:
        id, title, title_zh, position, datasets: see :class:`fgbench.task.Task`.
    """

    id: str
    title: str
    position: int
    datasets: tuple[DatasetSpec, ...]
    title_zh: str = ""

    def load(self, spec: DatasetSpec, files: DatasetFiles, limit: int | None) -> Loaded:
        """See :class:`fgbench.task.Task`; an item is a picture."""
        split = read_lvis(files, minival=spec.id == MINIVAL, limit=limit)
        size = {"images": len(split.pictures.image_ids)}
        place = next((place for place in files.places("proposals") if place.exists()), None)
        if place is None:
            return Loaded(Rescored(split, None, None), size, notes=split.notes)
        found = split_proposals(place, split, part_of_more=spec.id == MINIVAL)
        files.read.append(place / INDEX)
        best = spec.protocol.choice("per_image")
        untouched = Candidates(found)
        chosen = untouched if best == "all" else Candidates(best_per_image(found, int(best)))
        return Loaded(Rescored(split, untouched, chosen), size, notes=(*split.notes, origin(found)))

    def requests(self, spec: DatasetSpec, loaded: Loaded) -> Mapping[str, Request]:
        """The class scores of every proposal.

        Raises:
            DataMissingError: there are no proposals.
        """
        items: Rescored = loaded.items
        if items.chosen is None:
            looked = ", ".join(spec.files["proposals"])
            raise DataMissingError(
                f"{spec.id}: no proposals found; looked for {looked} below the data root. Run a detector with "
                f"'fgbench detect', import boxes with 'fgbench proposals import', or name a folder with --set "
                f"{spec.id}.proposals=FOLDER."
            )
        found = items.chosen.proposals
        names = [name.replace("_", " ") for name in items.split.pictures.names]
        return {
            "regions": RegionScores(
                images=items.split.pictures.images,
                image_index=found.box_image,
                boxes=items.chosen.boxes,
                pair_box=found.det_box,
                pair_class=items.chosen.category,
                classes=class_prompts(names, spec.protocol.text),
                temperatures=TEMPERATURES,
                budget=spec.protocol.budget,
            )
        }

    def score(self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Any]) -> Scores:
        """AP of the fused scores and of the detector's; or of predictions as they are (subset ``detector``)."""
        items: Rescored = loaded.items
        truth = items.split.truth
        skipped: Counter[str] = Counter()
        good = np.ones(truth.images, dtype=bool)
        if "detections" in features:
            rows = {"detector": Candidates(features["detections"]).detections(good)}
        else:
            assert items.chosen is not None
            assert items.untouched is not None
            answer: ClassScores = features["regions"]
            good, skipped = failed_pictures(items.chosen, answer)
            truth = truth.only(good)
            rows = {
                "fused": fused(items.chosen, answer, Fusion.of(spec.protocol), good),
                "detector": items.untouched.detections(good),
            }
        evaluated = int(good.sum())
        if not evaluated:
            return Scores([], 0, skipped, {})
        scores, by_category = measure(truth, rows)
        return Scores(
            scores,
            evaluated,
            skipped + loaded.rejected,
            outcomes={"category": items.split.pictures.category_ids, "frequency": truth.frequency} | by_category,
            tables={
                "categories": {
                    "category": np.array(items.split.pictures.names),
                    "frequency": truth.frequency,
                    **{f"ap {name}": by_category[f"ap/{name}"] for name in rows if f"ap/{name}" in by_category},
                }
            },
        )

    def samples(self, spec: DatasetSpec, outcomes: Mapping[str, npt.NDArray[Any]]) -> Mapping[MetricKey, Sample]:
        """See :class:`fgbench.task.HasSamples`; categories are resampled."""
        return category_samples(outcomes)

    def predictions(self, spec: DatasetSpec, loaded: Loaded, place: Path, options: Mapping[str, str]) -> Predictions:
        """Read a COCO/LVIS result file (JSON); it is scored as it is, as subset ``detector``.

        A note counts the entries that were dropped (empty, outside the picture, repeated) or clipped.

        Raises:
            UsageError: any option; there are none.
            DataError: see :func:`fgbench.data.detection_results.read_results`.
        """
        if options:
            raise UsageError(f"Option {next(iter(options))!r}: predictions for {spec.id} have no options.")
        split: LvisSplit = loaded.items.split
        found, report = read_results(place, split.known_ids, split.known_sizes, split.pictures.category_ids)
        notes = (f"{place.name}: {'; '.join(report.lines())}.",)
        return Predictions({"detections": select(found, split.pictures.image_ids)}, notes)

    def pictures_to_detect(self, spec: DatasetSpec, files: DatasetFiles, limit: int | None) -> DetectionPictures:
        """See :class:`fgbench.detector.HasDetectionPictures`."""
        return read_lvis(files, minival=spec.id == MINIVAL, limit=limit).pictures

    def pictures(
        self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Any], count: int
    ) -> Iterator[tuple[str, Image]]:
        """Annotated objects, the detector's best boxes, and the best after fusion, side by side."""
        from .detection_pictures import before_and_after

        items: Rescored = loaded.items
        if items.chosen is not None and "regions" in features:
            answer: ClassScores = features["regions"]
            yield from before_and_after(items.split, items.chosen, answer, Fusion.of(spec.protocol), count)


TASK = Detection(id="detection", title="Detection", title_zh="检测", position=30, datasets=(LVIS_MINIVAL, LVIS_VAL))
