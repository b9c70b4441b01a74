from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path

import pytest

from fgbench.report.paper import EDITIONS, ICML, PROJECT_PAGE, REFERENCE, PaperCell, cells, published, remarks
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


CHANGED = {
    ("DCI", "t2i_r1"): ("34.3", "34.2"),
    ("MSCOCO", "i2t_r1"): ("68.9", "71.2"),
    ("MSCOCO", "t2i_r1"): ("52.9", "55.2"),
    ("Flickr30k", "t2i_r1"): ("80.0", "78.0"),
    ("IN-1K", "top1"): ("79.4", "81.2"),
    ("IN-v2", "top1"): ("72.7", "74.5"),
}
"""What the project page and the ICML text print differently, all for SigLIP 2 ViT-B/16."""


def label(cell: PaperCell) -> tuple[str, str, str, str]:
    return cell.method, cell.backbone, cell.dataset, cell.metric


def test_six_cells_differ_between_the_editions() -> None:
    page = {label(cell): cell.printed for cell in cells(PROJECT_PAGE)}
    text = {label(cell): cell.printed for cell in cells(ICML) if cell.table in "1234567"}
    assert set(page) < set(text)
    assert {key[2:]: (value, text[key]) for key, value in page.items() if value != text[key]} == CHANGED
    assert {key[:2] for key, value in page.items() if value != text[key]} == {("SigLIP 2", "ViT-B/16")}
    for edition in EDITIONS:
        marked = {label(cell)[2:] for cell in cells(edition) if "editions-differ" in cell.remarks}
        assert marked == set(CHANGED)


def test_every_cell_has_its_place_in_this_project() -> None:
    """In its own names, under the protocol that the dataset's specification names for the paper."""
    for edition in EDITIONS:
        for cell in cells(edition):
            if cell.dataset_id == "vstar":
                continue
            spec = spec_of(cell.dataset_id)
            assert (cell.task, cell.language) == (spec.task, spec.language)
            assert cell.metric_id in spec.metrics
            known = {place.protocol or spec.protocol.id for place in spec.published.values()}
            assert cell.protocol in known | ({"detector"} if cell.subset == "detector" else set())
            assert set(cell.remarks) <= set(remarks())


def test_labels_and_ids_agree_with_the_specifications() -> None:
    printed = {(cell.table, cell.dataset, cell.metric): cell for cell in cells(ICML) if cell.subset != "detector"}
    registry = datasets()
    for name in registry:
        for key, place in registry.get(name)[1].published.items():
            cell = printed[place.table, place.dataset, place.metric]
            assert (cell.dataset_id, cell.metric_id) == (name, key.metric)
            assert cell.subset in (key.subset, "unstated")


def test_remarks_where_numbers_are_not_like_for_like() -> None:
    def marked(code: str) -> set[tuple[str, str]]:
        return {(cell.method, cell.dataset) for cell in cells(ICML) if code in cell.remarks}

    assert marked("ap-identity") == {
        ("LLMDet + FG-CLIP", "lvis-minival"), ("LLMDet + SigLIP 2", "lvis-val"), ("GLIP", "lvis-val")
    }  # fmt: skip
    assert sum("ap-identity" in cell.remarks for cell in cells(ICML)) == 5
    assert marked("catseg-2023") == {("CLIP", name) for name in ("PC-459", "A-150", "PC-59", "VOC-20", "VOC-21")}
    assert marked("equals-siglip2-paper") == {("SigLIP 2", name) for name in ("MSCOCO", "IN-1K", "IN-v2")}
    assert {label for _, label in marked("rounded-twice")} == {"VStar-AR", "VStar-SRR"}
    assert not remarks()["catseg-2023"].like_for_like
    assert remarks()["rounded-twice"].like_for_like


def _plain(rows: list[dict[str, str]]) -> list[tuple[str, ...]]:
    return [tuple(row[name] for name in ("method", "backbone", "dataset", "metric", "value")) for row in rows]


def test_the_editions_are_those_of_the_reference_material(shared: Path) -> None:
    def read(pattern: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        for path in sorted((shared / "data").glob(pattern)):
            found += csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        return found

    def ours(edition: str) -> list[tuple[str, ...]]:
        return [(*label(cell), cell.printed) for cell in cells(edition)]

    assert ours(PROJECT_PAGE) == _plain(read("paper_table[1-6]_*.csv"))
    text = read("paper_tables_v3.csv")
    assert ours(ICML) == _plain(text)
    assert [cell.table for cell in cells(ICML)] == [row["table"] for row in text]
