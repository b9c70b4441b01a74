"""Box classification: name the class of a given box (COCO, LVIS, BoxClass-CN)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fgbench.data.files import DatasetFiles
from fgbench.metrics.sample import Sample
from fgbench.requests import Embeddings, Regions, Request
from fgbench.spec import DatasetSpec, EvaluationProtocol, HubSource, MetricKey, PublishedCell, TextProtocol
from fgbench.task import Loaded, Scores

from .boxes import LabelledBoxes, read_boxclass_cn, read_coco_boxes, read_lvis_boxes
from .labelled import class_prompts, label_samples, score_labels
from .strata import Table, breakdown, by_frequency, by_size

_TIE = "among equal similarities the lower class index comes first"

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
        "images": ("coco/val2017", "val2017", "coco/val2017.zip", "val2017.zip"),
    },
    how_to_get="From cocodataset.org: val2017.zip and annotations_trainval2017.zip, unpacked in <data root>/coco.",
    published_items={"all": 36781},
    protocol=EvaluationProtocol(
        id="paper",
        text=TextProtocol(kind="box", lowercase=True, templates="templates_80"),
        details={
            "boxes": "every annotation of val2017, crowd regions included; without them as subset non-crowd",
            "classes": "80, by ascending category id, names as in the file",
            "tie": _TIE,
        },
    ),
    main=(MetricKey("all", "top1"),),
    metrics=("top1", "top5"),
    published={MetricKey("all", "top1"): PublishedCell("2", "COCO", "top1")},
    notes=(
        "The official script drops boxes that raise an error from the denominator in silence; here they are counted.",
    ),
)

LVIS_BOX = DatasetSpec(
    id="lvis-box",
    task="box-classification",
    title="LVIS boxes",
    language="en",
    homepage="https://www.lvisdataset.org",
    licence="annotations CC BY 4.0; pictures under their Flickr licences",
    citation="Gupta et al., LVIS, CVPR 2019, arXiv 1908.03195",
    files={
        "annotations": ("lvis/lvis_v1_val.json", "coco/annotations/lvis_v1_val.json", "annotations/lvis_v1_val.json"),
        "images": ("coco", "."),
    },
    how_to_get=(
        "lvis_v1_val.json from lvisdataset.org in <data root>/lvis; COCO's val2017 and train2017 pictures in "
        "<data root>/coco (15,000 of the 19,809 pictures are in train2017)."
    ),
    published_items={"full": 244707},
    protocol=EvaluationProtocol(
        id="paper",
        text=TextProtocol(kind="box", lowercase=True, templates="templates_80"),
        details={
            "boxes": "subset full: all 19,809 pictures; subset val2017: the 4,809 that lie in COCO's val2017",
            "classes": "1,203, by category id; name with _ as a blank, synonyms unused, spelling as in the file",
            "tie": _TIE,
        },
    ),
    main=(MetricKey("full", "top1"), MetricKey("val2017", "top1")),
    metrics=("top1", "top5"),
    published={
        MetricKey("full", "top1"): PublishedCell("2", "LVIS", "top1"),
        MetricKey("val2017", "top1"): PublishedCell("2", "LVIS", "top1"),
    },
    notes=(
        "Which subset the paper's number covers is not stated; the official command's defaults give val2017.",
        "Without a train2017 folder only the subset val2017 is evaluated, and the result says so.",
    ),
)

BOXCLASS_CN = DatasetSpec(
    id="boxclass-cn",
    task="box-classification",
    title="BoxClass-CN",
    language="zh",
    homepage="https://huggingface.co/datasets/qihoo360/BoxClass-CN",
    licence="Apache-2.0 (dataset card); pictures from LAION-2B",
    citation="Xie et al., FG-CLIP 2, arXiv 2510.10921",
    files={
        "annotations": (
            "BoxClass-CN/jsonfile/valid_category_data_total_zh.json",
            "BoxClass-CN/valid_category_data_total_zh.json",
        ),
        "images": ("BoxClass-CN/images", "BoxClass-CN/images.zip", "BoxClass-CN"),
    },
    how_to_get="Hub dataset qihoo360/BoxClass-CN in <data root>/BoxClass-CN ('fgbench data get').",
    published_items={"all": 66258},
    protocol=EvaluationProtocol(
        id="paper",
        text=TextProtocol(kind="box", lowercase=False),
        details={
            "classes": "566 Chinese names, bare: no template, no lower-casing",
            "label": "by category id; agrees with the official position rule, which is checked",
            "tie": _TIE,
        },
    ),
    main=(MetricKey("all", "top1"),),
    metrics=("top1", "top5"),
    published={MetricKey("all", "top1"): PublishedCell("2", "BoxClass-CN", "top1")},
    hub=(HubSource("qihoo360/BoxClass-CN", ("*.json", "*.zip", "*.tar*"), "BoxClass-CN", unpack=("*.tar.gz",)),),
    notes=(
        "Its boxes were filtered with FG-CLIP 1; its pictures are from LAION-2B, part of FG-CLIP 2's training data.",
        "Several names are near-synonyms, which limits top-1.",
    ),
)

BoxReader = Callable[[DatasetFiles, int | None], LabelledBoxes]


@dataclass
class BoxClassification:
    """Rank all class names for a box; top-1 and top-5 accuracy.

    Source: FG-CLIP 2, section 4.2 and its box scripts; docs/protocols.md lists their quirks.

    Attributes:
        id, title, title_zh, position, datasets: see :class:`fgbench.task.Task`.
        readers: how the annotation files of each dataset are read, by dataset id.
    """

    id: str
    title: str
    position: int
    datasets: tuple[DatasetSpec, ...]
    readers: Mapping[str, BoxReader]
    title_zh: str = ""

    def load(self, spec: DatasetSpec, files: DatasetFiles, limit: int | None) -> Loaded:
        """See :class:`fgbench.task.Task`."""
        boxes = self.readers[spec.id](files, limit)
        return Loaded(boxes, size=boxes.size, rejected=boxes.rejected, notes=boxes.notes)

    def requests(self, spec: DatasetSpec, loaded: Loaded) -> Mapping[str, Request]:
        """One region per box, one prototype per class."""
        boxes: LabelledBoxes = loaded.items
        return {
            "regions": Regions(boxes.images, boxes.image_index, boxes.boxes, spec.protocol.budget),
            "classes": class_prompts(boxes.classes, spec.protocol.text),
        }

    def score(self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Embeddings]) -> Scores:
        """Accuracy per subset over the boxes that have an embedding."""
        boxes: LabelledBoxes = loaded.items
        regions = features["regions"]
        kept = np.flatnonzero(regions.ok)
        subsets = {name: mask[kept] for name, mask in boxes.subsets.items()}
        result = score_labels(
            regions.vectors[kept], features["classes"].vectors, boxes.label[kept], subsets, spec.metrics
        )
        return Scores(
            result.scores,
            evaluated=len(kept),
            skipped=regions.reasons() + loaded.rejected,
            outcomes={"id": boxes.ids[kept], "image": boxes.image_index[kept], "rank": result.rank}
            | {f"in/{name}": mask for name, mask in subsets.items()},
            ties={"rank": result.ties},
            tables=_tables(boxes, kept, result.rank, spec.metrics) if len(kept) else {},
        )

    def samples(self, spec: DatasetSpec, outcomes: Mapping[str, npt.NDArray[Any]]) -> Mapping[MetricKey, Sample]:
        """See :class:`fgbench.task.HasSamples`; boxes of one picture stay together."""
        subsets = {name.removeprefix("in/"): mask for name, mask in outcomes.items() if name.startswith("in/")}
        return label_samples(outcomes["id"], outcomes["rank"], outcomes["image"], subsets, spec.metrics)


def _tables(
    boxes: LabelledBoxes, kept: npt.NDArray[np.int64], rank: npt.NDArray[np.int64], metrics: Sequence[str]
) -> dict[str, Table]:
    """All boxes by size, and by frequency of their class where the file tells it."""
    right = {metric: rank < int(metric.removeprefix("top")) for metric in metrics}
    found = {"sizes": breakdown("size", by_size(boxes.boxes[kept]), right)}
    if boxes.frequency:
        found["frequency"] = breakdown("frequency", by_frequency(boxes.frequency, boxes.label[kept]), right)
    return found


TASK = BoxClassification(
    id="box-classification",
    title="Box classification",
    title_zh="框分类",
    position=20,
    datasets=(COCO_BOX, LVIS_BOX, BOXCLASS_CN),
    readers={"coco-box": read_coco_boxes, "lvis-box": read_lvis_boxes, "boxclass-cn": read_boxclass_cn},
)
