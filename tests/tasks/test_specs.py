"""The declarations, against the table of the evaluation protocol."""

from __future__ import annotations

import fnmatch
import itertools
import re
from dataclasses import replace
from pathlib import PurePosixPath
from typing import NamedTuple

import pytest

from fgbench.models import load_adapter
from fgbench.report.paper import REFERENCE, foreign_protocol, published
from fgbench.selection import datasets, select, tasks
from fgbench.spec import DatasetSpec, MetricKey
from fgbench.task import Task
from fgbench.tasks.resources import lines

BOX = ("top1", "top5")
SHORT = tuple(f"{direction}_r{k}" for direction in ("i2t", "t2i") for k in (1, 5, 10))
LONG = ("i2t_r1", "t2i_r1")
AP = ("ap", "apr", "apc", "apf", "ap50", "ap75", "aps", "apm", "apl", "ar300")
IOU = ("miou", "miou_union", "miou_all", "pixel_accuracy", "class_accuracy", "fw_iou")
CHOICE = ("accuracy", "vanilla", "row_accuracy", "unparsed")


class Row(NamedTuple):
    """One line of the table."""

    task: str
    language: str
    kind: str
    lowercase: bool
    templates: str | None
    budget: int | None
    metrics: tuple[str, ...]
    items: int | None
    protocol: str = "paper"


TABLE = {
    "fg-ovd": Row("fine-grained", "en", "box", True, None, None, ("top1",), 11357),
    "coco-box": Row("box-classification", "en", "box", True, "templates_80", None, BOX, 36781),
    "lvis-box": Row("box-classification", "en", "box", True, "templates_80", None, BOX, 244707),
    "boxclass-cn": Row("box-classification", "zh", "box", False, None, None, BOX, 66258),
    "lvis-minival": Row("detection", "en", "box", True, "templates_80", None, AP, 4809, "rescore"),
    "lvis-val": Row("detection", "en", "box", True, "templates_80", None, AP, 19809, "rescore"),
    "sharegpt4v": Row("long-retrieval", "en", "long", True, None, None, LONG, 1000),
    "dci": Row("long-retrieval", "en", "long", True, None, None, LONG, 7805),
    "lit-cn": Row("long-retrieval", "zh", "long", False, None, None, LONG, 33010),
    "dci-cn": Row("long-retrieval", "zh", "long", False, None, None, LONG, None),
    "docci-cn": Row("long-retrieval", "zh", "long", False, None, None, LONG, None),
    "coco": Row("short-retrieval", "en", "short", True, None, None, SHORT, 5000),
    "flickr30k": Row("short-retrieval", "en", "short", True, None, None, SHORT, 1000),
    "flickr30k-cna": Row("short-retrieval", "zh", "short", False, None, None, SHORT, 1000),
    "coco-cn": Row("short-retrieval", "zh", "short", True, None, None, SHORT, 1000),
    "imagenet-1k": Row("classification", "en", "short", True, "templates_80", 1024, BOX, 50000),
    "imagenet-v2": Row("classification", "en", "short", True, "templates_80", 1024, BOX, 10000),
    "ade20k-847": Row("segmentation", "en", "box", True, "templates_80", 1024, IOU, 2000, "training-free"),
    "pascal-context-459": Row("segmentation", "en", "box", True, "templates_80", 1024, IOU, 5104, "training-free"),
    "ade20k-150": Row("segmentation", "en", "box", True, "templates_80", 1024, IOU, 2000, "training-free"),
    "pascal-context-59": Row("segmentation", "en", "box", True, "templates_80", 1024, IOU, 5104, "training-free"),
    "voc-20": Row("segmentation", "en", "box", True, "templates_80", 1024, IOU, 1449, "training-free"),
    "voc-21": Row("segmentation", "en", "box", True, "templates_80", 1024, IOU, 1449, "training-free"),
    "gqa": Row("lmm", "en", "short", False, None, None, ("accuracy",), 12578),
    "mmmu": Row("lmm", "en", "short", False, None, None, ("accuracy", "unparsed", "expected_if_guessed"), 900),
    "textvqa": Row("lmm", "en", "short", False, None, None, ("vqa_accuracy",), 5000),
    "refcoco": Row("lmm", "en", "short", False, None, None, ("acc_iou50", "unparsed"), 21586),
    "mmbench-en": Row("lmm", "en", "short", False, None, None, CHOICE, 2948),
    "mmbench-cn": Row("lmm", "zh", "short", False, None, None, CHOICE, 2948),
    "coco-karpathy": Row("short-retrieval", "en", "short", True, None, None, SHORT, 5000, "karpathy"),
    "coco-cn-human": Row("short-retrieval", "zh", "short", True, None, None, SHORT, 1000, "human-written"),
    "imagenet-1k-zh": Row(
        "classification", "zh", "short", False, "templates_80_zh", 1024, BOX, 50000, "clip-benchmark-zh"
    ),
    "imagenet-v2-zh": Row(
        "classification", "zh", "short", False, "templates_80_zh", 1024, BOX, 10000, "clip-benchmark-zh"
    ),
}
OPTIONAL = {"coco-karpathy", "coco-cn-human", "imagenet-1k-zh", "imagenet-v2-zh"}
TOGETHER = {"mmmu", "mmbench-en", "mmbench-cn"}
"""Their pictures lie in the same files as the questions."""

ROWS = {"lmm": ("LLaVA-1.5 + FG-CLIP 2", "FG-CLIP 2")}
"""How the paper calls the row of FG-CLIP 2, where it is not ``REFERENCE``."""

PAPER = {
    "fg-ovd": {"hard/top1": 52.3, "medium/top1": 76.3, "easy/top1": 80.3, "trivial/top1": 92.0},
    "coco-box": {"all/top1": 74.9},
    "lvis-box": {"full/top1": 47.3, "val2017/top1": 47.3},
    "boxclass-cn": {"all/top1": 60.7},
    "lvis-minival": {"fused/ap": 51.6, "fused/apr": 47.5, "fused/apc": 50.7, "fused/apf": 53.2},
    "lvis-val": {"fused/ap": 44.0, "fused/apr": 37.4, "fused/apc": 42.8, "fused/apf": 48.2},
    "sharegpt4v": {"*/i2t_r1": 95.8, "*/t2i_r1": 95.4},
    "dci": {"*/i2t_r1": 64.5, "*/t2i_r1": 64.9},
    "lit-cn": {"*/i2t_r1": 82.4, "*/t2i_r1": 81.1},
    "dci-cn": {"*/i2t_r1": 53.9, "*/t2i_r1": 55.7},
    "docci-cn": {"*/i2t_r1": 71.2, "*/t2i_r1": 75.4},
    "coco": {"*/i2t_r1": 72.1, "*/t2i_r1": 54.5},
    "flickr30k": {"*/i2t_r1": 94.1, "*/t2i_r1": 81.9},
    "flickr30k-cna": {"*/i2t_r1": 85.4, "*/t2i_r1": 69.9},
    "coco-cn": {"*/i2t_r1": 77.2, "*/t2i_r1": 62.9},
    "imagenet-1k": {"all/top1": 79.5},
    "imagenet-v2": {"all/top1": 72.2},
    "ade20k-847": {"all/miou": 16.6},
    "pascal-context-459": {"all/miou": 24.0},
    "ade20k-150": {"all/miou": 38.5},
    "pascal-context-59": {"all/miou": 61.2},
    "voc-20": {"all/miou": 97.1},
    "voc-21": {"all/miou": 81.1},
    "gqa": {"all/accuracy": 64.0},
    "mmmu": {"all/accuracy": 38.1},
    "textvqa": {"all/vqa_accuracy": 62.0},
    "refcoco": {"val/acc_iou50": 84.9, "testA/acc_iou50": 89.8, "testB/acc_iou50": 79.5},
    "mmbench-en": {"dev/accuracy": 67.6, "test/accuracy": 66.5},
    "mmbench-cn": {"dev/accuracy": 60.5, "test/accuracy": 61.4},
}
"""FG-CLIP 2 ViT-B/16, in percent."""


def built_in() -> list[tuple[Task, DatasetSpec]]:
    """All built-in datasets, in order."""
    return [datasets().get(name) for name in datasets() if datasets().get(name)[0].id in set(map(task_of, TABLE))]


def task_of(dataset: str) -> str:
    return TABLE[dataset].task


def test_these_are_the_datasets() -> None:
    assert {spec.id for _, spec in built_in()} == set(TABLE)
    assert {spec.id for _, spec in built_in() if spec.optional} == OPTIONAL
    assert len(set(TABLE) - OPTIONAL) == 29


def test_optional_datasets_are_chosen_only_by_name() -> None:
    chosen = [spec.id for _, spec in select(None, None)]
    assert not OPTIONAL & set(chosen)
    assert set(TABLE) - OPTIONAL <= set(chosen)
    assert [spec.id for _, spec in select(None, "coco-karpathy")] == ["coco-karpathy"]


def test_tasks_come_in_the_order_of_the_paper_and_leave_room() -> None:
    order = ("fine-grained", "box-classification", "detection", "long-retrieval", "short-retrieval", "classification")
    positions = [tasks().get(name).position for name in (*order, "segmentation", "lmm")]
    assert all(later - earlier > 1 for earlier, later in itertools.pairwise(positions))


@pytest.mark.parametrize("dataset", TABLE)
class TestEach:
    @pytest.fixture
    def spec(self, dataset: str) -> DatasetSpec:
        return datasets().get(dataset)[1]

    def test_protocol(self, dataset: str, spec: DatasetSpec) -> None:
        row = TABLE[dataset]
        text = spec.protocol.text
        found = Row(
            spec.task,
            spec.language,
            text.kind,
            text.lowercase,
            text.templates,
            spec.protocol.budget,
            spec.metrics,
            sum(spec.published_items.values()) or None,
            spec.protocol.id,
        )
        assert found == row

    def test_the_main_numbers_are_among_the_metrics(self, dataset: str, spec: DatasetSpec) -> None:
        assert spec.main
        assert {key.metric for key in (*spec.main, *spec.shown)} <= set(spec.metrics)
        assert set(spec.main) <= set(spec.shown or spec.main), "a table without the main number"
        assert set(spec.published) <= {*spec.main, *spec.shown}

    def test_the_paper_s_numbers_are_found(self, dataset: str, spec: DatasetSpec) -> None:
        row = ROWS.get(spec.task, REFERENCE)
        found = {f"{key.subset}/{key.metric}": published(spec, key, row) for key in spec.published}
        assert found == PAPER.get(dataset, {})
        assert bool(found) != spec.optional

    def test_only_segmentation_s_numbers_are_another_protocol_s(self, dataset: str, spec: DatasetSpec) -> None:
        found = {foreign_protocol(spec, key, spec.protocol.id) for key in spec.published}
        assert found == ({"catseg"} if spec.task == "segmentation" else set() if spec.optional else {None})

    def test_what_the_user_may_choose_has_a_default_that_is_allowed(self, dataset: str, spec: DatasetSpec) -> None:
        for choice in spec.protocol.choices.values():
            assert choice.allows(choice.default)
            assert choice.help.strip()

    def test_places_are_relative_and_stay_below_the_data_root(self, dataset: str, spec: DatasetSpec) -> None:
        assert ("images" in spec.files) == (dataset not in TOGETHER)
        for places in spec.files.values():
            assert places
            assert len(set(places)) == len(places)
            for place in map(PurePosixPath, places):
                assert not place.is_absolute()
                assert ".." not in place.parts

    def test_resources_exist(self, dataset: str, spec: DatasetSpec) -> None:
        text = spec.protocol.text
        assert all(lines(name) for name in (text.templates, text.classes) if name)

    def test_people_are_told_what_they_need(self, dataset: str, spec: DatasetSpec) -> None:
        for text in (spec.title, spec.licence, spec.citation, spec.how_to_get):
            assert text.strip()
        assert re.fullmatch(r"https://\S+", spec.homepage)
        assert "<data root>" in spec.how_to_get
        assert all(detail for detail in spec.protocol.details.values())
        assert ("decoding" if spec.task == "lmm" else "tie") in spec.protocol.details

    def test_hub_files_go_where_the_dataset_looks_for_them(self, dataset: str, spec: DatasetSpec) -> None:
        for source in spec.hub:
            places = [place for role in spec.files.values() for place in role]
            assert any(place == source.folder or place.startswith(f"{source.folder}/") for place in places)
            for name, digest in source.sha256.items():
                assert any(fnmatch.fnmatch(name, pattern) for pattern in source.files)
                assert re.fullmatch("[0-9a-f]{64}", digest)
            for pattern in source.unpack:
                assert pattern.endswith(".tar.gz")


def test_q27_long_texts_are_asked_for_by_the_long_path_and_only_there() -> None:
    """196 positions belong to the long path, 64 to the other two: no dataset can ask for another pair."""
    lengths = load_adapter("fgclip2-untrained").info.text_length
    assert lengths == {"short": 64, "box": 64, "long": 196}
    for _, spec in built_in():
        assert (lengths[spec.protocol.text.kind] == 196) == (spec.task == "long-retrieval")


def test_titles_are_unique() -> None:
    titles = [spec.title for _, spec in built_in()]
    assert len(set(titles)) == len(titles)


def test_texts_are_prepared_as_a_whole() -> None:
    protocol = datasets().get("coco")[1].protocol.text
    assert protocol.prepare("A ΣΑΣ İ") == "A ΣΑΣ İ".lower()
    assert replace(protocol, lowercase=False).prepare("A") == "A"


def test_q8_the_paper_s_lvis_number_stands_beside_both_subsets() -> None:
    spec = datasets().get("lvis-box")[1]
    assert spec.main == (MetricKey("full", "top1"), MetricKey("val2017", "top1"))
    assert any("not stated" in note for note in spec.notes)


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ("coco-cn", "The paper calls it the validation set"),
        ("dci", "The paper says 'full test set'"),
        ("fg-ovd", "The paper's 'ten negatives' is not exact"),
    ],
)
def test_q26_where_paper_and_scripts_differ_a_note_says_so(dataset: str, words: str) -> None:
    assert any(words in note for note in datasets().get(dataset)[1].notes)


@pytest.mark.parametrize("dataset", sorted(name for name in set(TABLE) - OPTIONAL if task_of(name) != "lmm"))
def test_q28_english_texts_are_lower_cased_and_budgets_are_those_of_version_2(dataset: str) -> None:
    """Version 1 did not lower-case and squashed pictures to one size."""
    spec = datasets().get(dataset)[1]
    assert spec.protocol.text.lowercase == (spec.language == "en" or dataset == "coco-cn")
    assert spec.protocol.budget == (1024 if spec.task in ("classification", "segmentation") else None)


@pytest.mark.parametrize("dataset", sorted(name for name in TABLE if task_of(name) == "lmm"))
def test_questions_are_asked_as_they_are(dataset: str) -> None:
    """A chat model is asked in the words of the prompt, and tells upper from lower case."""
    protocol = datasets().get(dataset)[1].protocol
    assert protocol.text.prepare("What does the SIGN say?") == "What does the SIGN say?"
    assert (protocol.text.templates, protocol.budget) == (None, None)
    assert {"prompt", "scorer"} <= set(protocol.choices)
