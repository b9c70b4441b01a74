from __future__ import annotations

import csv
from importlib.resources import files

import pytest

from fgbench.report.paper import REFERENCE, published
from fgbench.selection import datasets
from fgbench.spec import DatasetSpec, MetricKey, PublishedCell

from ..fakes import dataset_spec


def table() -> list[dict[str, str]]:
    text = files("fgbench.leaderboards").joinpath("paper/icml-2026-v3.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def spec_of(name: str) -> DatasetSpec:
    return datasets().get(name)[1]


REFERENCE_ROW = {
    ("fg-ovd", "hard"): {"top1": 52.3},
    ("fg-ovd", "medium"): {"top1": 76.3},
    ("fg-ovd", "easy"): {"top1": 80.3},
    ("fg-ovd", "trivial"): {"top1": 92.0},
    ("coco-box", "all"): {"top1": 74.9},
    ("lvis-box", "full"): {"top1": 47.3},
    ("boxclass-cn", "all"): {"top1": 60.7},
    ("sharegpt4v", "*"): {"i2t_r1": 95.8, "t2i_r1": 95.4},
    ("dci", "*"): {"i2t_r1": 64.5, "t2i_r1": 64.9},
    ("coco", "*"): {"i2t_r1": 72.1, "t2i_r1": 54.5},
    ("flickr30k", "*"): {"i2t_r1": 94.1, "t2i_r1": 81.9},
    ("imagenet-1k", "all"): {"top1": 79.5},
    ("imagenet-v2", "all"): {"top1": 72.2},
    ("lit-cn", "*"): {"i2t_r1": 82.4, "t2i_r1": 81.1},
    ("dci-cn", "*"): {"i2t_r1": 53.9, "t2i_r1": 55.7},
    ("docci-cn", "*"): {"i2t_r1": 71.2, "t2i_r1": 75.4},
    ("flickr30k-cna", "*"): {"i2t_r1": 85.4, "t2i_r1": 69.9},
    ("coco-cn", "*"): {"i2t_r1": 77.2, "t2i_r1": 62.9},
}
"""FG-CLIP 2 ViT-B/16, copied by hand from the tables of the paper."""


@pytest.mark.parametrize(("place", "numbers"), REFERENCE_ROW.items(), ids=["/".join(place) for place in REFERENCE_ROW])
def test_the_reference_row_is_that_of_the_paper(place: tuple[str, str], numbers: dict[str, float]) -> None:
    dataset, subset = place
    found = {metric: published(spec_of(dataset), MetricKey(subset, metric), REFERENCE) for metric in numbers}
    assert found == numbers


def test_another_row_has_other_numbers() -> None:
    assert published(spec_of("fg-ovd"), MetricKey("hard", "top1"), ("CLIP", "ViT-B/16")) == 12.0


def test_what_the_paper_does_not_print_is_none() -> None:
    assert published(spec_of("coco"), MetricKey("*", "i2t_r5"), REFERENCE) is None
    assert published(spec_of("coco"), MetricKey("*", "i2t_r1"), ("Nobody's model", "ViT-B/16")) is None
    assert published(dataset_spec(), MetricKey("*", "share"), REFERENCE) is None


def test_a_cell_that_the_table_lacks_is_none() -> None:
    key = MetricKey("*", "share")
    spec = dataset_spec(published={key: PublishedCell("99", "Demo", "share")})
    assert published(spec, key, REFERENCE) is None


def test_every_cell_is_printed_once_and_is_a_percentage_or_score() -> None:
    rows = table()
    keys = [tuple(row[name] for name in ("table", "method", "backbone", "dataset", "metric")) for row in rows]
    assert len(set(keys)) == len(keys) > 700
    assert all(float(row["value"]) >= 0 for row in rows)


def test_the_reference_row_exists() -> None:
    assert REFERENCE in {(row["method"], row["backbone"]) for row in table()}
