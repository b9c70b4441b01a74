"""Long-caption retrieval: one detailed caption per picture (ShareGPT4V, DCI; LIT-CN, DCI-CN, DOCCI-CN in Chinese)."""

from __future__ import annotations

from fgbench.spec import DatasetSpec, EvaluationProtocol, HubSource, TextProtocol

from .captions import read_dci, read_pairs, read_sharegpt4v
from .retrieval import MAIN, RULES, Retrieval, published

_METRICS = ("i2t_r1", "t2i_r1")

SHAREGPT4V = DatasetSpec(
    id="sharegpt4v",
    task="long-retrieval",
    title="ShareGPT4V-1k",
    language="en",
    homepage="https://sharegpt4v.github.io",
    licence="captions CC BY-NC 4.0 and OpenAI's terms; pictures: SA-1B research licence",
    citation="Chen et al., ShareGPT4V, ECCV 2024, arXiv 2311.12793; split by Long-CLIP, arXiv 2403.15378",
    files={
        "annotations": (
            "sharegpt4v/share-captioner_coco_lcs_sam_1246k_1107.json",
            "ShareGPT4V/share-captioner_coco_lcs_sam_1246k_1107.json",
            "sharegpt4v/share4v_sam_10k.json",
        ),
        "images": ("sharegpt4v/sam/images", "sharegpt4v/images", "ShareGPT4V/sam/images", "sam/images", "sharegpt4v"),
    },
    how_to_get=(
        "Captions: hub dataset Lin-Chen/ShareGPT4V ('fgbench data get'), in <data root>/sharegpt4v. Pictures: Meta's "
        "SA-1B archives sa_000000 to sa_000050 (licence to be accepted there); the sa_*.jpg named in the first 1,000 "
        "rows go to <data root>/sharegpt4v/images."
    ),
    published_items={"*": 1000},
    protocol=EvaluationProtocol(
        id="paper",
        text=TextProtocol(kind="long", lowercase=True),
        details={"rows": "the first 1,000 of the file", "text": "second turn, newlines kept", **RULES},
    ),
    main=MAIN,
    metrics=_METRICS,
    published=published("4", "ShareGPT4V"),
    hub=(HubSource("Lin-Chen/ShareGPT4V", ("share-captioner_coco_lcs_sam_1246k_1107.json",), "sharegpt4v"),),
    notes=("Long-CLIP replaces newlines by blanks; FG-CLIP 1 and 2 do not.",),
)

DCI = DatasetSpec(
    id="dci",
    task="long-retrieval",
    title="DCI",
    language="en",
    homepage="https://github.com/facebookresearch/DCI",
    licence="CC BY-NC 4.0; pictures: SA-1B research licence",
    citation="Urbanek et al., A picture is worth more than 77 text tokens, CVPR 2024, arXiv 2312.08578",
    files={
        "annotations": (
            "dci/densely_captioned_images/annotations",
            "densely_captioned_images/annotations",
            "dci/annotations",
        ),
        "images": ("dci/densely_captioned_images/photos", "densely_captioned_images/photos", "dci/photos"),
    },
    how_to_get=(
        "dci.tar.gz from the DCI repository, unpacked in <data root>/dci; its pictures are those of SA-1B archive "
        "sa_000138.tar, in densely_captioned_images/photos."
    ),
    published_items={"*": 7805},
    protocol=EvaluationProtocol(
        id="paper",
        text=TextProtocol(kind="long", lowercase=True),
        details={
            "split": "all annotation files (train, valid and test), sorted by name",
            "text": "extra_caption only",
            **RULES,
        },
    ),
    main=MAIN,
    metrics=_METRICS,
    published=published("4", "DCI"),
    notes=("The paper says 'full test set'; its script takes every annotation file.",),
)


def _chinese(
    id_: str, title: str, licence: str, label: str, annotations: tuple[str, ...], folder: str, items: dict[str, int],
    hub: HubSource, notes: tuple[str, ...] = (), same_pictures_as: str = "",
) -> DatasetSpec:  # fmt: skip
    """The three Chinese sets that one official script reads."""
    return DatasetSpec(
        id=id_,
        task="long-retrieval",
        title=title,
        language="zh",
        homepage=f"https://huggingface.co/datasets/{hub.repo}",
        licence=licence,
        citation="Xie et al., FG-CLIP 2, arXiv 2510.10921",
        files={"annotations": annotations, "images": (f"{folder}/images", folder)},
        how_to_get=f"Hub dataset {hub.repo} in <data root>/{folder} ('fgbench data get'); archives are read in place.",
        published_items=items,
        protocol=EvaluationProtocol(
            id="paper",
            text=TextProtocol(kind="long", lowercase=False),
            details={"rows": "all lines", "text": "as written, not lower-cased", **RULES},
        ),
        main=MAIN,
        metrics=_METRICS,
        published=published("5", label),
        hub=(hub,),
        same_pictures_as=same_pictures_as,
        notes=notes,
    )


LIT_CN = _chinese(
    "lit-cn", "LIT-CN", "Apache-2.0 (dataset card)", "LIT-CN",
    ("LIT-CN/image_caption_long_cn.txt",), "LIT-CN", {"*": 33010},
    HubSource("qihoo360/LIT-CN", ("*.txt", "*.zip", "*.tar*"), "LIT-CN", unpack=("*.tar.gz",)),
)  # fmt: skip
DCI_CN = _chinese(
    "dci-cn", "DCI-CN", "not stated (upstream DCI: CC BY-NC 4.0)", "DCI-CN",
    ("DCI-CN/image_caption_trans.txt", "dci/image_caption_trans.txt"), "DCI-CN", {},
    HubSource(
        "qihoo360/DCI-CN", ("*.txt", "images/*.zip"), "DCI-CN",
        sha256={
            "images/images_1.zip": "9e3b6bbe78747c74a12192d9b54895e187f0a37b2e2d230df583260e791e7dee",
            "images/images_2.zip": "1d686645bd7886ed9e7f5c9ea1b3441b9513dd30d6203a11c89edb18cd940186",
        },
    ),
    ("The number of pairs is not published (DCI has 7,805).",), same_pictures_as="dci",
)  # fmt: skip
DOCCI_CN = _chinese(
    "docci-cn", "DOCCI-CN", "not stated (upstream DOCCI: CC BY 4.0)", "DOCCI-CN",
    ("DOCCI-CN/image_caption_trans.txt", "docci/image_caption_trans.txt"), "DOCCI-CN", {},
    HubSource(
        "qihoo360/DOCCI-CN", ("*.txt", "images.zip"), "DOCCI-CN",
        sha256={"images.zip": "6a4f4f0ecc74e454702ffe6a24d5a32cf826fbeddc0aaf13cced1052d5befe72"},
    ),
    ("The number of pairs is not published.",),
)  # fmt: skip

TASK = Retrieval(
    id="long-retrieval",
    title="Long-caption retrieval",
    position=40,
    datasets=(SHAREGPT4V, DCI, LIT_CN, DCI_CN, DOCCI_CN),
    readers={
        "sharegpt4v": read_sharegpt4v,
        "dci": read_dci,
        "lit-cn": read_pairs,
        "dci-cn": read_pairs,
        "docci-cn": read_pairs,
    },
)
