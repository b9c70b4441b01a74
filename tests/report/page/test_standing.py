from __future__ import annotations

from typing import Any

import pytest

from fgbench.report.page.standing import Group, Scope, standing

from .records import record, spec


def of(dataset: str, **changes: Any) -> tuple[Scope, Group, str]:
    return standing(record(dataset, **changes), spec(dataset))


@pytest.mark.parametrize(
    ("changes", "scope"),
    [
        ({}, Scope.COMPLETE),
        ({"counts": {"evaluated": 4999, "skipped": {"image_missing": 1}}}, Scope.INCOMPLETE),
        ({"counts": {"expected": 48, "evaluated": 48}}, Scope.INCOMPLETE),
        ({"counts": {"published": None}}, Scope.COMPLETE),
        ({"arguments": {"effective": {"limit": 5}}}, Scope.LIMITED),
        ({"arguments": {"effective": {"data_root": "mini", "limit": 5}}}, Scope.MINIATURE),
        ({"arguments": {"effective": {"data_root": "mini-3"}}}, Scope.MINIATURE),
        ({"arguments": {"effective": {"data_root": "miniature-golf"}}}, Scope.COMPLETE),
    ],
)
def test_the_scope_follows_from_the_items(changes: dict[str, Any], scope: Scope) -> None:
    assert of("coco", **changes)[0] is scope


def test_the_datasets_own_protocol_has_no_variant() -> None:
    for dataset in ("coco", "voc-21", "lvis-minival", "mmbench-cn"):
        assert of(dataset)[1:] == (Group.MEASURED, "")


def test_every_field_of_a_protocol_that_differs_sets_a_row_apart() -> None:
    choices = record("voc-21")["protocol"]["choices"]
    assert of("voc-21", protocol={"choices": {**choices, "templates": "scene"}}) == (
        Scope.COMPLETE, Group.OTHER, "templates=scene"
    )  # fmt: skip
    text = record("coco")["protocol"]["text"]
    assert of("coco", protocol={"text": {**text, "lowercase": False}})[1:] == (Group.OTHER, "text.lowercase=False")
    assert of("coco", protocol={"budget": 256})[1:] == (Group.OTHER, "budget=256")


def test_a_segmenter_has_its_own_protocol_and_no_choices() -> None:
    assert of("voc-21", protocol={"id": "catseg", "choices": {}})[1:] == (Group.OTHER, "catseg")


def test_predictions_made_elsewhere_are_a_group_of_their_own() -> None:
    found = of("voc-21", model={"kind": "external"}, protocol={"id": "external/mine", "choices": {}})
    assert found == (Scope.COMPLETE, Group.EXTERNAL, "external/mine")


def test_crops_are_the_same_protocol_and_get_a_remark_elsewhere() -> None:
    assert of("coco-box", protocol={"region_mode": "crop"})[1] is Group.MEASURED


def test_a_dataset_that_is_not_installed_is_never_taken_for_the_known_protocol() -> None:
    assert standing(record("coco"), None)[1:] == (Group.OTHER, "paper")
