"""Short-caption retrieval: five captions per picture (COCO, Flickr30k; English and Chinese)."""

from __future__ import annotations

from dataclasses import replace

from fgbench.spec import DatasetSpec, EvaluationProtocol, HubSource, TextProtocol

from .captions import read_coco_captions, read_coco_cn, read_flickr30k, read_flickr30k_cna, read_karpathy
from .retrieval import MAIN, RULES, Retrieval, published

_METRICS = ("i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10")

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
        "images": ("coco/val2017", "val2017", "coco/val2017.zip", "val2017.zip"),
    },
    how_to_get="From cocodataset.org: val2017.zip and annotations_trainval2017.zip, unpacked in <data root>/coco.",
    published_items={"*": 5000},
    protocol=EvaluationProtocol(
        id="paper",
        text=TextProtocol(kind="short", lowercase=True),
        details={
            "split": "val2017 (5,000 pictures), not the Karpathy test split",
            "captions": "the first five of each picture in file order, not stripped",
            **RULES,
        },
    ),
    main=MAIN,
    metrics=_METRICS,
    published=published("4", "MSCOCO"),
    notes=("Most papers use the Karpathy test split: other pictures, other numbers (dataset coco-karpathy).",),
)

COCO_KARPATHY = replace(
    COCO,
    id="coco-karpathy",
    title="MSCOCO Karpathy test",
    files={
        "annotations": ("coco/dataset_coco.json", "coco/annotations/dataset_coco.json", "dataset_coco.json"),
        "images": ("coco", "."),
    },
    how_to_get="Karpathy's dataset_coco.json and COCO's val2014 pictures in <data root>/coco.",
    protocol=EvaluationProtocol(
        id="karpathy",
        text=TextProtocol(kind="short", lowercase=True),
        details={"split": "Karpathy test, 5,000 pictures", "captions": "the first five of each picture", **RULES},
    ),
    published={},
    optional=True,
    notes=("Not in the paper: the split that most other papers call COCO 5k test.",),
)

FLICKR30K = DatasetSpec(
    id="flickr30k",
    task="short-retrieval",
    title="Flickr30k",
    language="en",
    homepage="https://shannon.cs.illinois.edu/DenotationGraph/",
    licence="captions CC BY-SA; pictures for research only, under Flickr's terms",
    citation="Young et al., From image descriptions to visual denotations, TACL 2014; split: Karpathy, Fei-Fei 2015",
    files={
        "annotations": (
            "flickr30k/flickr30k_test.json",
            "flickr30k/dataset_flickr30k.json",
            "flickr30k/annotations/flickr30k_test.json",
        ),
        "images": (
            "flickr30k/flickr30k-images",
            "flickr30k/flickr30k_images",
            "flickr30k/images_flickr_1k_test.zip",
            "flickr30k",
        ),
    },
    how_to_get=(
        "Pictures: the request form of the University of Illinois, or the hub ('fgbench data get'). Captions: "
        "flickr30k_test.json as distributed with BLIP, or Karpathy's dataset_flickr30k.json, in <data root>/flickr30k."
    ),
    published_items={"*": 1000},
    protocol=EvaluationProtocol(
        id="paper",
        text=TextProtocol(kind="short", lowercase=True),
        details={"split": "Karpathy test, 1,000 pictures", "captions": "exactly five per picture", **RULES},
    ),
    main=MAIN,
    metrics=_METRICS,
    published=published("4", "Flickr30k"),
    hub=(
        HubSource(
            "nlphuji/flickr_1k_test_image_text_retrieval",
            ("images_flickr_1k_test.zip",),
            "flickr30k",
            sha256={
                "images_flickr_1k_test.zip": "b0fa9970cc1680a9334818b9da151a62024772b72b961e1454eb6e9866dd7cee",
            },
        ),
    ),
)

FLICKR30K_CNA = DatasetSpec(
    id="flickr30k-cna",
    task="short-retrieval",
    title="Flickr30k-CNA",
    language="zh",
    homepage="https://github.com/yuxie11/R2D2",
    licence="captions: not stated; pictures for research only, under Flickr's terms",
    citation="Xie et al., CCMB: a large-scale Chinese cross-modal benchmark, ACM MM 2023, arXiv 2205.03860",
    files={
        "annotations": (
            "flickr30k-cna/flickr30k_cna_test.txt",
            "flickr30k-cna/test/flickr30k_cna_test.txt",
            "flickr30k/flickr30k_cna_test.txt",
        ),
        "images": FLICKR30K.files["images"],
    },
    how_to_get=(
        "Captions: test/flickr30k_cna_test.txt from the R2D2 authors' page, in <data root>/flickr30k-cna. "
        "Pictures as for flickr30k."
    ),
    published_items={"*": 1000},
    protocol=EvaluationProtocol(
        id="paper",
        text=TextProtocol(kind="short", lowercase=False),
        details={"captions": "exactly five per picture, stripped, not lower-cased", **RULES},
    ),
    main=MAIN,
    metrics=_METRICS,
    published=published("5", "Flickr-CNA"),
    same_pictures_as="flickr30k",
)

COCO_CN = DatasetSpec(
    id="coco-cn",
    task="short-retrieval",
    title="COCO-CN (translated)",
    language="zh",
    homepage="https://github.com/li-xirong/coco-cn",
    licence="captions freely available upon request from the authors; pictures under their Flickr licences",
    citation="Li et al., COCO-CN for cross-lingual tagging, captioning and retrieval, T-MM 2019, arXiv 1805.08661",
    files={
        "annotations": ("coco-cn/pair.txt", "coco-cn/coco_cn_pair.txt", "coco/pair.txt", "coco_cn_pair.txt"),
        "images": ("coco", "."),
    },
    how_to_get=(
        "fgclip2/eval/pair.txt of the FG-CLIP repository as <data root>/coco-cn/pair.txt; pictures: COCO train2014 and "
        "val2014, or train2017 and val2017, in <data root>/coco."
    ),
    published_items={"*": 1000},
    protocol=EvaluationProtocol(
        id="paper",
        text=TextProtocol(kind="short", lowercase=True),
        details={
            "captions": "5,000 manual translations of the 1,000 test pictures, five each, lower-cased",
            **RULES,
        },
    ),
    main=MAIN,
    metrics=_METRICS,
    published=published("5", "COCO-CN"),
    same_pictures_as="coco",
    notes=(
        "The paper calls it the validation set; its file holds the test split.",
        "Chinese-CLIP and R2D2 publish numbers on 1,053 human-written captions of these pictures (coco-cn-human).",
    ),
)

COCO_CN_HUMAN = replace(
    COCO_CN,
    id="coco-cn-human",
    title="COCO-CN (human-written)",
    files={
        "annotations": ("coco-cn/test_human.txt", "coco-cn/coco-cn_test_human.txt"),
        "images": ("coco", "."),
    },
    how_to_get=(
        "The test lines of COCO-CN's file of human-written captions (same form as pair.txt) as "
        "<data root>/coco-cn/test_human.txt; pictures as for coco-cn."
    ),
    protocol=EvaluationProtocol(
        id="human-written",
        text=TextProtocol(kind="short", lowercase=True),
        details={"captions": "1,053 human-written captions of the 1,000 test pictures", **RULES},
    ),
    published={},
    optional=True,
    notes=("Not in the paper: what Chinese-CLIP, R2D2 and Wukong report as COCO-CN.",),
)

TASK = Retrieval(
    id="short-retrieval",
    title="Short-caption retrieval",
    position=50,
    datasets=(COCO, FLICKR30K, FLICKR30K_CNA, COCO_CN, COCO_KARPATHY, COCO_CN_HUMAN),
    readers={
        "coco": read_coco_captions,
        "flickr30k": read_flickr30k,
        "flickr30k-cna": read_flickr30k_cna,
        "coco-cn": read_coco_cn,
        "coco-karpathy": read_karpathy,
        "coco-cn-human": read_coco_cn,
    },
)
