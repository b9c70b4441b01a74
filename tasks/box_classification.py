"""Box classification: name the class of a given box (COCO)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fgbench.data.annotations import box, field
from fgbench.data.files import DatasetFiles
from fgbench.metrics.ranks import recall_at, target_ranks
from fgbench.requests import ClassPrompts, Embeddings, ImageRef, Regions, Request
from fgbench.spec import (
    DatasetSpec,
    EvaluationProtocol,
    Loaded,
    MetricKey,
    PublishedCell,
    Score,
    Scores,
    TextProtocol,
)

from .coco_format import read_coco
from .resources import lines

COCO_BOX = DatasetSpec(
    id="coco-box",
    task="box-classification",
    title="COCO boxes",
    language="en",
    homepage="https://cocodataset.org",
    licence="annotations CC BY 4.0; pictures under their Flickr licences",
    citation="Lin et al., Microsoft COCO, ECCV 2014, arXiv 1405.0312",
    files={
        "annotations": ("coco/annotations/instances_val2017.json", "annotations/instances_val2017.json"),
        "images": ("coco/val2017", "val2017"),
    },
    how_to_get="From cocodataset.org: val2017.zip and annotations_trainval2017.zip, unpacked in <data root>/coco.",
    published_items={"all": 36781},
    protocol=EvaluationProtocol(
        id="paper",
        text=TextProtocol(kind="box", lowercase=True, templates="templates_80"),
        details={
            "boxes": "every annotation of val2017, crowd regions included; without them as subset non-crowd",
            "classes": "80, by ascending category id, names as in the file",
            "tie": "among equal similarities the lower class index comes first",
        },
    ),
    main=(MetricKey("all", "top1"),),
    metrics=("top1", "top5"),
    published={MetricKey("all", "top1"): PublishedCell("2", "COCO", "top1")},
    notes=(
        "The official script drops boxes that raise an error from the denominator in silence; here they are counted.",
    ),
)


@dataclass(frozen=True)
class _Items:
    ids: npt.NDArray[np.int64]
    images: list[ImageRef]
    image_index: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    label: npt.NDArray[np.int64]
    crowd: npt.NDArray[np.bool_]
    classes: list[str]


class BoxClassification:
    """Rank all class names for a box; top-1 and top-5 accuracy.

    Source: FG-CLIP 2, section 4.2 and its script ``coco_box_ddp.py``; docs/protocols.md lists its quirks.
    """

    id = "box-classification"
    title = "Box classification"
    position = 20
    datasets: tuple[DatasetSpec, ...] = (COCO_BOX,)

    def load(self, spec: DatasetSpec, files: DatasetFiles, limit: int | None) -> Loaded:
        """See :class:`fgbench.spec.Task`."""
        coco = read_coco(files.annotation("annotations"), categories=True)
        root = files.image_root()
        class_index = {category: index for index, category in enumerate(coco.categories)}
        rejected: Counter[str] = Counter()
        rows: list[tuple[int, int, tuple[float, float, float, float], int, bool]] = []
        images: dict[ImageRef, int] = {}
        size = 0
        for image, where, annotation in coco.by_image():
            if size == limit:
                break
            size += 1
            category = field(annotation, "category_id", int, where)
            if image not in coco.images:
                rejected["unknown_image"] += 1
            elif category not in class_index:
                rejected["unknown_category"] += 1
            else:
                name = field(coco.images[image], "file_name", str, f"{coco.path}: image {image}")
                ref = root.image(name, f"{coco.path}: image {image}")
                crowd = bool(annotation.get("iscrowd", 0))
                index = images.setdefault(ref, len(images))
                number = field(annotation, "id", int, where)
                rows.append((number, index, box(annotation, where), class_index[category], crowd))
        ids, image_index, boxes, label, crowds = zip(*rows, strict=True) if rows else ((), (), (), (), ())
        items = _Items(
            ids=np.array(ids, dtype=np.int64),
            images=list(images),
            image_index=np.array(image_index, dtype=np.int64),
            boxes=np.array(boxes, dtype=np.float64).reshape(-1, 4),
            label=np.array(label, dtype=np.int64),
            crowd=np.array(crowds, dtype=bool),
            classes=list(coco.categories.values()),
        )
        return Loaded(items, size={"all": size}, rejected=rejected)

    def requests(self, spec: DatasetSpec, loaded: Loaded) -> Mapping[str, Request]:
        """One region per box, one prototype per class."""
        items: _Items = loaded.items
        text = spec.protocol.text
        templates = lines(text.templates) if text.templates else ("{}",)
        return {
            "regions": Regions(items.images, items.image_index, items.boxes, spec.protocol.budget),
            "classes": ClassPrompts(items.classes, templates, text.kind, text.lowercase),
        }

    def score(self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Embeddings]) -> Scores:
        """Accuracy over the boxes that have an embedding, with and without crowd regions."""
        items: _Items = loaded.items
        regions = features["regions"]
        kept = np.flatnonzero(regions.ok)
        ranks = target_ranks(
            regions.vectors[kept], features["classes"].vectors, np.arange(len(kept)), items.label[kept]
        )
        scores = []
        for subset, mask in (("all", np.ones(len(kept), dtype=bool)), ("non-crowd", ~items.crowd[kept])):
            if mask.any():
                for metric in spec.metrics:
                    value = recall_at(ranks.rank[mask], int(metric.removeprefix("top")))
                    scores.append(Score(subset, metric, value, int(mask.sum())))
        return Scores(
            scores,
            evaluated=len(kept),
            skipped=regions.reasons() + loaded.rejected,
            outcomes={"id": items.ids[kept], "rank": ranks.rank, "crowd": items.crowd[kept]},
            ties={"all/rank": int(ranks.tied.sum())},
        )


TASK = BoxClassification()
