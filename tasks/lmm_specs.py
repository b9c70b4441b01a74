"""The datasets for large multimodal models, as data.

Numbers are those of the paper's table of LLaVA-1.5 models trained with different vision encoders.
"""

from __future__ import annotations

from collections.abc import Mapping

from fgbench.spec import Choice, DatasetSpec, EvaluationProtocol, HubSource, MetricKey, PublishedCell, TextProtocol

from .lmm_prompts import DEFAULT, OWN_FILE, templates
from .lmm_scorers import SCORERS

TABLE = "7"

_TRAINED = (
    "The paper's rows are LLaVA-1.5 models trained with each vision encoder; a vision encoder alone cannot answer.",
    "LLaVA-1.5's training mix draws on GQA, COCO and TextVQA pictures: the paper's rows are not zero-shot.",
)


def _protocol(
    dataset: str, scorers: str, details: Mapping[str, str], *, own_prompts: bool = False
) -> EvaluationProtocol:
    wordings = (*templates(dataset), *((OWN_FILE,) if own_prompts else ()))
    rules = tuple(SCORERS[scorers])
    return EvaluationProtocol(
        id="paper",
        text=TextProtocol(kind="short", lowercase=False),
        details={
            **details,
            "decoding": "greedy; at most as many new tokens as the prompt's source allows (noted in the result)",
        },
        choices={
            "prompt": Choice(DEFAULT, wordings, "wording of the questions (file: as in LLaVA's question file)"),
            "scorer": Choice(
                rules[0], rules, "rule that judges the answers; numbers of two rules do not compare", scoring=True
            ),
        },
    )


GQA = DatasetSpec(
    id="gqa",
    task="lmm",
    title="GQA",
    language="en",
    homepage="https://cs.stanford.edu/people/dorarad/gqa/",
    licence="not stated by its authors; hub copy MIT",
    citation="Hudson and Manning, GQA, CVPR 2019, arXiv 1902.09506",
    files={
        "annotations": (
            "gqa/testdev_balanced_instructions",
            "gqa/testdev_balanced_questions.json",
            "gqa/questions1.2/testdev_balanced_questions.json",
        ),
        "images": ("gqa/testdev_balanced_images", "gqa/images", "gqa/images.zip"),
        "prompts": ("gqa/llava_gqa_testdev_balanced.jsonl",),
    },
    how_to_get=(
        "Hub dataset lmms-lab/GQA in <data root>/gqa ('fgbench data get'), or testdev_balanced_questions.json and "
        "images.zip from the GQA page."
    ),
    published_items={"all": 12578},
    protocol=_protocol(
        "gqa",
        "gqa",
        {
            "questions": "testdev, balanced",
            "metric": "share of answers equal to the one right answer; lower case, full stops at the end removed",
            "classes": "binary and open (structural type query)",
        },
        own_prompts=True,
    ),
    main=(MetricKey("all", "accuracy"),),
    shown=(MetricKey("all", "accuracy"),),
    metrics=("accuracy",),
    published={MetricKey("all", "accuracy"): PublishedCell(TABLE, "GQA", "accuracy")},
    hub=(HubSource("lmms-lab/GQA", ("testdev_balanced_*/*.parquet",), "gqa", moved_to="lmms-lab-encoder/GQA"),),
    notes=_TRAINED,
)

MMMU = DatasetSpec(
    id="mmmu",
    task="lmm",
    title="MMMU",
    language="en",
    homepage="https://mmmu-benchmark.github.io",
    licence="Apache-2.0 (dataset card)",
    citation="Yue et al., MMMU, CVPR 2024, arXiv 2311.16502",
    files={"annotations": ("mmmu", "MMMU")},
    how_to_get="Hub dataset MMMU/MMMU in <data root>/mmmu ('fgbench data get').",
    published_items={"all": 900},
    protocol=_protocol(
        "mmmu",
        "mmmu",
        {
            "questions": "validation, 30 subjects with 30 questions each",
            "metric": "share of right answers; the official parser, except that it never guesses: no letter is wrong",
            "pictures": "the first of each question only, before the text",
        },
    ),
    main=(MetricKey("all", "accuracy"),),
    shown=(MetricKey("all", "accuracy"),),
    metrics=("accuracy", "unparsed", "expected_if_guessed"),
    published={MetricKey("all", "accuracy"): PublishedCell(TABLE, "MMMU", "accuracy")},
    hub=(HubSource("MMMU/MMMU", ("*/validation-*.parquet",), "mmmu"),),
    notes=(
        *_TRAINED,
        "Which prompt and parser the paper used is not stated. The official parser guesses where it finds no letter: "
        "scorer=official-random repeats that with a seed per question.",
    ),
)

TEXTVQA = DatasetSpec(
    id="textvqa",
    task="lmm",
    title="TextVQA",
    language="en",
    homepage="https://textvqa.org",
    licence="annotations CC BY 4.0 (dataset card)",
    citation="Singh et al., Towards VQA models that can read, CVPR 2019, arXiv 1904.08920",
    files={
        "annotations": ("textvqa/data", "textvqa/TextVQA_0.5.1_val.json"),
        "ocr": ("textvqa/TextVQA_Rosetta_OCR_v0.2_val.json",),
        "images": ("textvqa/train_images", "textvqa/train_val_images.zip", "textvqa/images"),
        "prompts": ("textvqa/llava_textvqa_val_v051_ocr.jsonl",),
    },
    how_to_get=(
        "Hub dataset lmms-lab/textvqa in <data root>/textvqa ('fgbench data get'), or TextVQA_0.5.1_val.json, "
        "TextVQA_Rosetta_OCR_v0.2_val.json and train_val_images.zip from textvqa.org."
    ),
    published_items={"all": 5000},
    protocol=_protocol(
        "textvqa",
        "textvqa",
        {
            "questions": "validation, version 0.5.1",
            "prompt": "names the words that the Rosetta OCR read in the picture, as LLaVA-1.5 does",
            "metric": "VQA accuracy against ten answers, leave-one-out, with the EvalAI normaliser",
        },
        own_prompts=True,
    ),
    main=(MetricKey("all", "vqa_accuracy"),),
    shown=(MetricKey("all", "vqa_accuracy"),),
    metrics=("vqa_accuracy",),
    published={MetricKey("all", "vqa_accuracy"): PublishedCell(TABLE, "TextVQA", "vqa_accuracy")},
    hub=(
        HubSource("lmms-lab/textvqa", ("data/validation-*.parquet",), "textvqa", moved_to="lmms-lab-encoder/textvqa"),
    ),
    notes=(
        *_TRAINED,
        "With OCR words in the prompt LLaVA-1.5-7B scores 58.2, without them about 46; the paper's 58.2 for CLIP "
        "is the form with them.",
    ),
)

_REFCOCO_SUBSETS = {"val": 10834, "testA": 5657, "testB": 5095}

REFCOCO = DatasetSpec(
    id="refcoco",
    task="lmm",
    title="RefCOCO",
    language="en",
    homepage="https://github.com/lichengunc/refer",
    licence="not stated; pictures are COCO's, under their Flickr licences",
    citation="Yu et al., Modeling context in referring expressions, ECCV 2016, arXiv 1608.00272",
    files={
        "annotations": ("refcoco/data", "refcoco"),
        "images": ("coco/train2014", "train2014", "coco/train2014.zip", "train2014.zip"),
    },
    how_to_get=(
        "Hub dataset jxu124/refcoco in <data root>/refcoco ('fgbench data get'); COCO's train2014.zip from "
        "cocodataset.org, unpacked in <data root>/coco. The published refs(unc).p is a pickle and is not read."
    ),
    published_items=_REFCOCO_SUBSETS,
    protocol=_protocol(
        "refcoco",
        "refcoco",
        {
            "questions": "UNC split, one per expression; subsets val, testA, testB",
            "metric": "share of boxes with an intersection over union of at least 0.5",
            "frame": "boxes are fractions of the picture padded to a square, as LLaVA-1.5 writes them",
        },
    ),
    main=tuple(MetricKey(subset, "acc_iou50") for subset in _REFCOCO_SUBSETS),
    shown=tuple(MetricKey(subset, "acc_iou50") for subset in _REFCOCO_SUBSETS),
    metrics=("acc_iou50", "unparsed"),
    published={
        MetricKey(subset, "acc_iou50"): PublishedCell(TABLE, f"RefCOCO-{subset}", "acc_iou50")
        for subset in _REFCOCO_SUBSETS
    },
    hub=(
        HubSource(
            "jxu124/refcoco",
            ("data/validation-*.parquet", "data/test-*.parquet", "data/testB-*.parquet"),
            "refcoco",
        ),
    ),
    notes=(
        *_TRAINED,
        "lmms-lab/RefCOCO has a wrong val split (8,811 objects instead of 3,811) and is refused.",
        "About 14% of the labels are faulty (audit of Ref-L4), so the ceiling is below 100.",
    ),
)


def _mmbench(language: str, config: str) -> DatasetSpec:
    title = config.upper()
    subsets = {"dev": 1164, "test": 1784}
    legacy = {"en": "mmbench_dev_20230712.tsv", "cn": "mmbench_dev_cn_20231003.tsv"}[config]
    dataset = f"mmbench-{config}"
    return DatasetSpec(
        id=dataset,
        task="lmm",
        title=f"MMBench-{title}",
        language=language,
        homepage="https://github.com/open-compass/MMBench",
        licence="Apache-2.0 (repository)",
        citation="Liu et al., MMBench, ECCV 2024, arXiv 2307.06281",
        files={
            "dev": (f"mmbench/{config}", f"mmbench/MMBench_DEV_{title}.tsv", f"mmbench/{legacy}"),
            "test": (f"mmbench/{config}", f"mmbench/MMBench_TEST_{title}.tsv"),
        },
        how_to_get=(
            f"Hub dataset lmms-lab/MMBench in <data root>/mmbench ('fgbench data get'), or MMBench_DEV_{title}.tsv and "
            f"MMBench_TEST_{title}.tsv of OpenCompass."
        ),
        published_items=subsets,
        protocol=_protocol(
            dataset,
            "mmbench",
            {
                "questions": "version 1.0; every rotation of the options is asked",
                "metric": "CircularEval: a question is right if it is right in every rotation",
                "matching": "letter or option text by rule; no model judges answers that the rule cannot read",
            },
        ),
        main=tuple(MetricKey(subset, "accuracy") for subset in subsets),
        shown=tuple(MetricKey(subset, "accuracy") for subset in subsets),
        metrics=("accuracy", "vanilla", "row_accuracy", "unparsed"),
        published={
            MetricKey(subset, "accuracy"): PublishedCell(TABLE, f"MMBench-{title}-{subset}", "accuracy")
            for subset in subsets
        },
        hub=(HubSource("lmms-lab/MMBench", (f"{config}/*.parquet",), "mmbench", moved_to="lmms-lab-encoder/MMBench"),),
        notes=(
            *_TRAINED,
            "Labels of version 1.0's test subset are withheld and its server closed on 2026-03-31: test is asked, not "
            "scored, unless the file has an answer in every row.",
            "Version, matcher and judge of the paper's numbers are not stated. Version 1.1 has other questions.",
        ),
    )


MMBENCH_EN, MMBENCH_CN = _mmbench("en", "en"), _mmbench("zh", "cn")
