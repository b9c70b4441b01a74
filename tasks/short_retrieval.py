"""Short-caption retrieval: five captions per picture (COCO)."""

from __future__ import annotations

from collections import Counter

from fgbench.data.annotations import field
from fgbench.data.files import DatasetFiles
from fgbench.spec import DatasetSpec, EvaluationProtocol, MetricKey, PublishedCell, TextProtocol

from .coco_format import read_coco
from .retrieval import Captioned, CaptionFile, Retrieval

CAPTIONS_PER_IMAGE = 5

COCO = DatasetSpec(
    id="coco",
    task="short-retrieval",
    title="MSCOCO val2017",
    language="en",
    homepage="https://cocodataset.org",
    licence="captions CC BY 4.0; pictures under their Flickr licences",
    citation="Chen et al., Microsoft COCO captions, 2015, arXiv 1504.00325",
    files={
        "annotations": ("coco/annotations/captions_val2017.json", "annotations/captions_val2017.json"),
        "images": ("coco/val2017", "val2017"),
    },
    how_to_get="From cocodataset.org: val2017.zip and annotations_trainval2017.zip, unpacked in <data root>/coco.",
    published_items={"*": 5000},
    protocol=EvaluationProtocol(
        id="paper",
        text=TextProtocol(kind="short", lowercase=True),
        details={
            "split": "val2017 (5,000 pictures), not the Karpathy test split",
            "captions": "the first five of each picture in file order, not stripped",
            "gallery": "the whole set, both ways",
            "tie": "among equal similarities the earlier item comes first",
        },
    ),
    main=(MetricKey("*", "i2t_r1"), MetricKey("*", "t2i_r1")),
    metrics=("i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10"),
    published={
        MetricKey("*", "i2t_r1"): PublishedCell("4", "MSCOCO", "i2t_r1"),
        MetricKey("*", "t2i_r1"): PublishedCell("4", "MSCOCO", "t2i_r1"),
    },
    notes=("Most papers use the Karpathy test split: other pictures, other numbers.",),
)


def read_coco_captions(spec: DatasetSpec, files: DatasetFiles) -> CaptionFile:
    """Pictures in ascending id; captions of a picture in file order, the first five."""
    coco = read_coco(files.annotation("annotations"))
    root = files.image_root()
    captions: dict[int, list[str]] = {image: [] for image in coco.images}
    rejected: Counter[str] = Counter()
    for image, where, row in coco.by_image():
        if image in captions:
            captions[image].append(field(row, "caption", str, where))
    items = []
    for image, texts in captions.items():
        if not texts:
            rejected["no_caption"] += 1
            continue
        where = f"{coco.path}: image {image}"
        ref = root.image(field(coco.images[image], "file_name", str, where), where)
        items.append(Captioned(str(image), ref, tuple(texts[:CAPTIONS_PER_IMAGE])))
    return CaptionFile(items, rejected)


TASK = Retrieval(
    id="short-retrieval",
    title="Short-caption retrieval",
    position=50,
    datasets=(COCO,),
    readers={"coco": read_coco_captions},
)
