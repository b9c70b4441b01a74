from __future__ import annotations

import hashlib
from decimal import Decimal

import pytest

from fgbench import selection
from fgbench.leaderboard.columns import COLUMNS, key, ordered
from fgbench.leaderboard.rows import data_sha256, measured, paper_rows, reported, scope
from fgbench.report.paper import EDITIONS, ICML, cells
from fgbench.results.folder import COLUMNS as RESULTS_CSV
from fgbench.results.folder import rows as csv_rows

from . import good


def test_the_rows_of_records_are_those_of_the_good_submission() -> None:
    found = ordered(row for dataset in good.VALUES for row in measured(good.record(dataset)))
    digest = good.rows()[0]["data_sha256"]
    assert [{**row, "data_sha256": digest} for row in found] == good.rows()


def test_a_row_says_what_results_csv_says() -> None:
    record = good.record("coco")
    for row, other in zip(measured(record), csv_rows(record), strict=True):
        assert set(RESULTS_CSV) <= set(COLUMNS)
        assert {name: row[name] for name in RESULTS_CSV} == {
            name: "" if other[name] is None else str(other[name]) for name in RESULTS_CSV
        }


def test_a_record_without_intervals_has_rows_without() -> None:
    record = good.record("voc-20")
    del record["scores"][0]["interval"]
    [row] = measured(record)
    assert (row["low"], row["high"]) == ("", "")


def test_breakdowns_stay_in_the_record() -> None:
    record = good.record("fg-ovd")
    record["scores"].append({"subset": "some class", "metric": "top1", "value": 0.5, "n": 2, "interval": None})
    assert len(list(measured(record))) == 4


def test_the_papers_row_gives_the_backbone() -> None:
    record = good.record("voc-20")
    record["model"]["paper"] = ["FG-CLIP 2", "ViT-L/16"]
    assert [row["backbone"] for row in measured(record)] == ["ViT-L/16"]


def test_the_fingerprint_of_data_is_independent_of_names() -> None:
    data = {"annotations": {"b": "22", "a": "33"}, "images_sha256": "11"}
    assert data_sha256(data) == hashlib.sha256(b"22\n33\n11").hexdigest()
    assert data_sha256({**data, "annotations": {"x/c": "33", "d": "22"}}) == data_sha256(data)
    assert data_sha256({**data, "images_sha256": "12"}) != data_sha256(data)


@pytest.mark.parametrize(
    ("expected", "evaluated", "published", "miniature", "found"),
    [
        (5000, 5000, 5000, False, "complete"),
        (5000, 4995, 5000, False, "complete"),
        (5000, 4994, 5000, False, "partial"),
        (4999, 4999, 5000, False, "partial"),
        (48, 48, 5000, True, "miniature"),
        (48, 48, None, True, "miniature"),
        (48, 48, None, False, "partial"),
        (7805, 7805, None, False, "complete"),
        (5000, 5000, 5000, True, "complete"),  # a folder that happens to be called mini
    ],
)
def test_scope(expected: int, evaluated: int, published: int | None, miniature: bool, found: str) -> None:
    assert scope(expected, evaluated, published, miniature=miniature) == found


def test_the_miniature_suite_is_known_by_its_name() -> None:
    record = good.record("coco", expected=48, evaluated=48)
    record["arguments"]["effective"]["data_root"] = "mini"
    assert {row["scope"] for row in measured(record)} == {"miniature"}


def test_a_printed_number_keeps_its_digits() -> None:
    for cell in cells(ICML):
        value = reported(cell)["value"]
        assert Decimal(value) * 100 == Decimal(cell.printed)
        assert len(value.partition(".")[2]) == len(cell.printed.partition(".")[2]) + 2


def test_what_a_later_table_repeats_is_the_same_number() -> None:
    """Of a number that stands in two tables of an edition, one is kept."""
    for edition in EDITIONS:
        for cell in cells(edition):
            row = reported(cell)
            assert paper_rows()[key(row)]["value"] == row["value"]
    assert len(paper_rows()) == 1395


def test_order_does_not_depend_on_the_order_of_input() -> None:
    rows = good.rows()
    assert ordered(reversed(rows)) == ordered(rows) == rows
    places = list(selection.datasets())
    found = [places.index(row["dataset"]) for row in rows]
    assert found == sorted(found)
