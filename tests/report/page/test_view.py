from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fgbench import selection
from fgbench.report.page.gather import gather
from fgbench.report.page.numbers import Column
from fgbench.report.page.standing import Group, Scope
from fgbench.report.page.view import ScopePart, TaskPart, build
from fgbench.report.page.words import Words
from fgbench.spec import MetricKey

from .records import record, spec, write


@pytest.fixture
def view(tmp_path: Path) -> Any:
    def make(*records: dict[str, Any]) -> list[ScopePart]:
        known = selection.datasets()
        specs = lambda name: spec(name) if name in known else None  # noqa: E731
        found = gather(write(tmp_path, records)).found
        return build(found, specs, lambda name: Words(name, name), list(known))[1]

    return make


def with_values(dataset: str, name: str, *values: float, **changes: Any) -> dict[str, Any]:
    found = record(dataset, name, **changes)
    for score, value in zip(found["scores"], values, strict=True):
        score |= {"value": value, "interval": {"low": value, "high": value}}
    return found


def task(part: ScopePart, name: str) -> TaskPart:
    return next(each for each in part.tasks if each.id == name)


def test_each_scope_stands_for_itself(view: Any) -> None:
    parts = view(
        record("coco", "full"),
        record("coco", "few", arguments={"effective": {"limit": 3}}),
        record("coco", "mini", arguments={"effective": {"data_root": "mini"}}),
    )
    assert [(part.scope, [row.label for row in part.rows if row.group is Group.MEASURED]) for part in parts] == [
        (Scope.COMPLETE, ["full"]), (Scope.LIMITED, ["few"]), (Scope.MINIATURE, ["mini"])
    ]  # fmt: skip


def test_rows_of_another_protocol_are_never_among_the_best(view: Any) -> None:
    (part,) = view(
        with_values("voc-21", "a", 0.20),
        with_values("voc-21", "b", 0.30),
        with_values("voc-21", "c", 0.90, protocol={"id": "catseg", "choices": {}}),
        with_values("voc-21", "d", 0.95, model={"kind": "external"}, protocol={"id": "external/d"}),
    )
    table = task(part, "segmentation")
    assert table.best(table.columns[0]) == 30.0
    assert [(group, [row.label for row in rows]) for group, rows in table.groups()] == [
        ("measured", ["a", "b"]), ("other", ["c"]), ("external", ["d"])
    ]  # fmt: skip


def test_a_single_number_is_not_called_best(view: Any) -> None:
    (part,) = view(with_values("imagenet-1k", "a", 0.5))
    table = task(part, "classification")
    assert table.best(table.columns[0]) is None


def test_equal_as_shown_is_equally_good(view: Any) -> None:
    (part,) = view(with_values("imagenet-1k", "a", 0.50001), with_values("imagenet-1k", "b", 0.50004))
    table = task(part, "classification")
    assert table.best(table.columns[0]) == 50.0


class TestMeans:
    def test_a_task_is_the_mean_over_datasets_not_over_numbers(self, view: Any) -> None:
        (part,) = view(with_values("coco-box", "a", 0.9), with_values("lvis-box", "a", 0.2, 0.4))
        assert task(part, "box-classification").mean(part.rows[0]) == pytest.approx((90 + 30) / 2)

    def test_a_row_that_lacks_a_dataset_has_no_mean(self, view: Any) -> None:
        (part,) = view(with_values("coco-box", "a", 0.9), with_values("lvis-box", "a", 0.2, 0.4),
                       with_values("coco-box", "b", 0.9))  # fmt: skip
        found = {row.label: task(part, "box-classification").mean(row) for row in part.rows}
        assert found["b"] is None
        assert found["a"] is not None

    def test_what_only_incomparable_rows_have_is_not_lacking(self, view: Any) -> None:
        (part,) = view(with_values("voc-21", "a", 0.2),
                       with_values("voc-20", "c", 0.9, protocol={"id": "catseg", "choices": {}}))  # fmt: skip
        assert task(part, "segmentation").mean(part.rows[0]) == pytest.approx(20)

    def test_ap_is_not_averaged_with_its_parts(self, view: Any) -> None:
        (part,) = view(with_values("lvis-minival", "a", 0.4, 0.1, 0.2, 0.3))
        assert task(part, "detection").mean(part.rows[0]) == pytest.approx(40)


class TestReported:
    def test_a_complete_result_has_its_models_row_of_the_paper_in_its_colour(self, view: Any) -> None:
        (part,) = view(record("coco", "a"), record("coco", "b", model={"paper": ["FG-CLIP", "ViT-B/16"]}))
        rows = {row.label: row for row in part.rows}
        assert rows["FG-CLIP ViT-B/16"].series == rows["b"].series
        assert rows["FG-CLIP ViT-B/16"].group is Group.REPORTED
        assert rows["FG-CLIP 2 ViT-B/16"].values[Column("coco", MetricKey("*", "i2t_r1"))].percent == 72.1

    def test_numbers_of_another_protocol_stand_below_the_table(self, view: Any) -> None:
        (part,) = view(record("ade20k-150", "a"), record("coco", "a"))
        table = task(part, "segmentation")
        assert [row.group for row in table.rows] == [Group.MEASURED]
        assert table.apart == {"catseg": ["FG-CLIP 2 ViT-B/16: ADE20K-150 38.5"]}

    def test_nothing_of_the_paper_stands_beside_miniature_data(self, view: Any) -> None:
        (part,) = view(record("coco", "a", arguments={"effective": {"data_root": "mini"}}),
                       record("ade20k-150", "a", arguments={"effective": {"data_root": "mini"}}))  # fmt: skip
        assert {row.group for row in part.rows} == {Group.MEASURED}
        assert task(part, "segmentation").apart == {}


def test_two_folders_of_one_name_are_told_apart(tmp_path: Path, view: Any) -> None:
    (tmp_path / "last-12345678").mkdir()
    write(tmp_path, [record("coco", "last")])
    (tmp_path / "last/coco.json").rename(tmp_path / "last-12345678/coco.json")
    (part,) = view(record("coco", "last"))
    assert [row.label for row in part.rows if row.group is Group.MEASURED] == ["last (last)", "last (last-12345678)"]


def test_the_radar_leaves_out_rows_with_fewer_than_three_tasks(view: Any) -> None:
    (part,) = view(*(record(dataset, "a") for dataset in ("coco", "dci", "imagenet-1k")), record("coco", "b"))
    assert [row.label for row, _ in part.radar() if row.group is Group.MEASURED] == ["a"]


def test_a_dataset_that_is_not_installed_keeps_its_name_and_main_numbers(view: Any) -> None:
    other = {**record("coco", "a"), "dataset": "elsewhere", "task": "other"}
    (part,) = view(other)
    assert part.tasks[0].titles == {"elsewhere": "elsewhere"}
    assert [column.key.metric for column in part.columns] == ["i2t_r1", "t2i_r1"]
