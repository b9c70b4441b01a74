from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench import selection
from fgbench.leaderboard.problems import Report
from fgbench.leaderboard.rules import check_row, published_sizes, resolution

from . import good


def codes(dataset: str, subset: str, metric: str, **cells: str) -> set[str]:
    report = Report("x")
    check_row(2, good.row(dataset, subset, metric, low="", high="", **cells), {"complete"}, report)
    return {problem.code for problem in report.problems}


@given(st.integers(0, 3545))
def test_every_number_of_hits_is_possible(hits: int) -> None:
    assert codes("fg-ovd", "hard", "top1", value=repr(hits / 3545)) == set()


@given(st.integers(0, 3545), st.floats(1e-8, 1e-4))
def test_what_lies_between_two_numbers_of_hits_is_not(hits: int, off: float) -> None:
    assert codes("fg-ovd", "hard", "top1", value=f"{max(0.0, hits / 3545 - off) or off:.15f}") == {"resolution"}


@given(st.integers(0, 50_000))
def test_vqa_accuracy_has_steps_of_a_tenth(tenths: int) -> None:
    assert codes("textvqa", "all", "vqa_accuracy", value=repr(tenths / 10 / 5000)) == set()


@given(st.floats(0.001, 0.999))
def test_any_fraction_is_a_possible_mean_iou(value: float) -> None:
    assert codes("voc-20", "all", "miou", value=f"{value:.12f}") == set()


def test_steps_of_the_metrics_of_all_datasets() -> None:
    """A new metric has to be looked at: is it a share of hits?"""
    registry = selection.datasets()
    metrics = {metric for name in registry for metric in registry.get(name)[1].metrics}
    hits = re.compile(r"top\d|[it]2[ti]_r\d+|(row_)?accuracy|acc_iou50|unparsed|vanilla")
    assert {metric for metric in metrics if resolution(metric) == 1} == set(filter(hits.fullmatch, metrics))
    assert {metric for metric in metrics if resolution(metric) == 10} == {"vqa_accuracy"}
    assert {metric for metric in metrics if resolution(metric) is None} == {
        "ap", "apr", "apc", "apf", "ap50", "ap75", "aps", "apm", "apl", "ar300", "expected_if_guessed",
        "miou", "miou_union", "miou_all", "pixel_accuracy", "class_accuracy", "fw_iou",
    }  # fmt: skip


def test_published_sizes_are_those_of_some_subsets() -> None:
    registry = selection.datasets()
    assert published_sizes(registry.get("mmbench-en")[1]) == [2948, 1784, 1164]
    assert published_sizes(registry.get("coco")[1]) == [5000]
    assert published_sizes(registry.get("dci-cn")[1]) == [None]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"evaluated": "5000", "expected": "5000"}, set()),
        ({"evaluated": "4996", "n": "4996", "value": "0.5"}, set()),
        ({"evaluated": "4000", "scope": "partial"}, {"partial", "n"}),
        ({"evaluated": "48", "expected": "48", "scope": "miniature", "n": "48", "value": "0.5"}, {"miniature"}),
        ({"protocol": "external/somebody"}, set()),
        ({"protocol": "external/"}, {"protocol"}),
    ],
)
def test_counts_and_protocols_of_a_retrieval_row(cells: dict[str, str], expected: set[str]) -> None:
    assert codes("coco", "*", "i2t_r1", **cells) == expected


def test_predictions_of_another_protocol_have_no_choices() -> None:
    assert codes("lvis-minival", "fused", "ap", protocol="external/x") == {"choices"}
    assert codes("lvis-minival", "fused", "ap", protocol="external/x", choices="") == set()


def test_the_papers_protocol_of_segmentation_is_known() -> None:
    assert codes("voc-20", "all", "miou", protocol="catseg", choices="") == set()
