"""What makes two numbers incomparable, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from fgbench.compare.protocol import as_published, protocol_difference
from fgbench.selection import datasets
from fgbench.spec import MetricKey

from .models import record

TEXT = {"kind": "short", "lowercase": True, "templates": None, "classes": None}


def test_equal_records_do_not_differ() -> None:
    assert protocol_difference(record(model="one"), record(model="two", value=0.9)) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"dataset": "flickr30k"}, "dataset"),
        ({"protocol__id": "karpathy"}, "protocol.id"),
        ({"protocol__text": {**TEXT, "kind": "long"}}, "protocol.text.kind"),
        ({"protocol__text": {**TEXT, "lowercase": False}}, "protocol.text.lowercase"),
        ({"protocol__text": {**TEXT, "templates": "templates_80"}}, "protocol.text.templates"),
        ({"protocol__text": {**TEXT, "classes": "other"}}, "protocol.text.classes"),
        ({"protocol__budget": 1024}, "protocol.budget"),
        ({"protocol__details": {"gallery": "half"}}, "protocol.details.gallery"),
        ({"arguments__effective": {"limit": 5}}, "limit"),
        ({"arguments__effective": {"limit": None, "data_root": "mini-4"}}, "data"),
        ({"data__annotations": {"elsewhere/captions.json": "9"}}, "data.annotations.captions.json"),
        ({"data__images_sha256": "9"}, "data.images_sha256"),
    ],
)
def test_a_decisive_field(changes: dict[str, Any], field: str) -> None:
    [found] = protocol_difference(record(), record(**changes))
    assert (found.field, found.decisive) == (field, True)


@pytest.mark.parametrize("name", ["choices", "region_mode"])
def test_choices_and_region_mode(name: str) -> None:
    both: dict[str, tuple[Any, Any]] = {
        "choices": ({"alpha": "0.5"}, {"alpha": "0.3"}),
        "region_mode": ("roi", "crop"),
    }
    values = both[name]
    [found] = protocol_difference(*(record(**{f"protocol__{name}": value}) for value in values))
    assert found.field == {"choices": "protocol.choices.alpha", "region_mode": "protocol.region_mode"}[name]
    assert found.decisive


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"counts__evaluated": 39}, "counts.evaluated"),
        ({"counts__skipped": {"image_missing": 1}}, "counts.skipped"),
        ({"protocol__id": "external/two"}, "protocol.id"),
        ({"environment__precision": "bf16"}, "environment.precision"),
    ],
)
def test_a_field_worth_knowing(changes: dict[str, Any], field: str) -> None:
    first = record(protocol__id="external/one") if field == "protocol.id" else record()
    [found] = protocol_difference(first, record(**changes))
    assert (found.field, found.decisive) == (field, False)


def test_pictures_differ_where_some_were_left_out() -> None:
    found = protocol_difference(record(), record(counts__evaluated=39, data__images_sha256="9"))
    assert not any(each.decisive for each in found)


def test_what_one_record_does_not_say_does_not_count() -> None:
    """Predictions made elsewhere have no pictures; older records have no choices."""
    older = record(data__images_sha256="", data__annotations={})
    del older["protocol"]["choices"], older["protocol"]["details"], older["protocol"]["budget"]
    assert protocol_difference(record(), older) == []


def test_digests_are_shortened_for_people() -> None:
    [found] = protocol_difference(record(data__images_sha256="a" * 64), record(data__images_sha256="b" * 64))
    assert str(found) == f"data.images_sha256: {'a' * 12}… | {'b' * 12}…"


def test_the_papers_protocol_of_segmentation_is_another_one() -> None:
    spec = datasets().get("voc-20")[1]
    paper = as_published(spec, MetricKey("all", "miou"), ("FG-CLIP 2", "ViT-B/16"), 1449)
    assert paper["protocol"] == {"id": "catseg"}
    own = as_published(datasets().get("coco")[1], MetricKey("*", "i2t_r1"), ("FG-CLIP 2", "ViT-B/16"), 5000)
    assert own["protocol"]["id"] == "paper"
    assert own["protocol"]["text"] == TEXT
