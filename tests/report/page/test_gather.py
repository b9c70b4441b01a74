from __future__ import annotations

import json
from pathlib import Path

import pytest

from fgbench.errors import DataError, DataMissingError
from fgbench.report.page.gather import TABLE_ROWS, gather

from .records import record, write


def test_a_broken_file_is_named_and_the_others_are_shown(tmp_path: Path) -> None:
    write(tmp_path, [record("coco"), record("dci")])
    (tmp_path / "model/broken.json").write_text("{")
    (tmp_path / "model/old.json").write_text(json.dumps({**record("coco"), "schema": "fgbench.result/0"}))
    (tmp_path / "model/wrong.json").write_text(json.dumps(record("coco", counts={"expected": "many"})))
    (tmp_path / "model/deep.json").write_text("[" * 100_000)
    gathered = gather(tmp_path)
    assert [each.file for each in gathered.found] == ["model/coco.json", "model/dci.json"]
    reasons = dict(gathered.left_out)
    assert list(reasons) == ["model/broken.json", "model/deep.json", "model/old.json", "model/wrong.json"]
    assert "not a readable result record" in reasons["model/broken.json"]
    assert reasons["model/old.json"] == "schema is 'fgbench.result/0', this version reads 'fgbench.result/1'."
    assert reasons["model/wrong.json"] == "counts.expected is 'many'; expected a count."
    assert not any(str(tmp_path) in reason for reason in reasons.values())


def test_the_folder_of_one_model_will_do(tmp_path: Path) -> None:
    write(tmp_path, [record("coco", "one"), record("coco", "two")])
    assert [each.file for each in gather(tmp_path / "one").found] == ["one/coco.json"]


def test_no_folder_no_records_and_only_broken_ones_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="does not exist; expected the folder that 'fgbench eval' wrote"):
        gather(tmp_path / "absent")
    with pytest.raises(DataMissingError, match=r"no result records in it; expected <model>/<dataset>\.json"):
        gather(tmp_path)
    (tmp_path / "results.csv").write_text("model\n")
    with pytest.raises(DataMissingError, match="is a file"):
        gather(tmp_path / "results.csv")
    for number in range(7):
        write(tmp_path, [{**record("coco", str(number)), "schema": "fgbench.result/9"}])
    with pytest.raises(DataError, match=r"none of its 7 JSON files is a record of schema fgbench\.result/1") as caught:
        gather(tmp_path)
    assert str(caught.value).endswith("and 2 more")


class TestTables:
    def test_a_record_has_the_tables_beside_it_and_no_others(self, tmp_path: Path) -> None:
        write(tmp_path, [record("coco"), record("coco", arguments={"effective": {"limit": 5}})])
        for name in ("coco.length", "coco-cn.length", "coco.limit-5.length"):
            (tmp_path / f"model/{name}.csv").write_text(f"bin,n\n{name},3\n")
        full, limited = gather(tmp_path).found
        assert [(each.name, each.rows) for each in full.tables] == [("length", [["coco.length", "3"]])]
        assert [(each.name, each.rows) for each in limited.tables] == [("length", [["coco.limit-5.length", "3"]])]

    def test_a_long_table_is_cut_and_says_how_long_it_is(self, tmp_path: Path) -> None:
        write(tmp_path, [record("coco")])
        (tmp_path / "model/coco.classes.csv").write_text("class\n" + "x\n" * 1203)
        (table,) = gather(tmp_path).found[0].tables
        assert (len(table.rows), table.total) == (TABLE_ROWS, 1203)

    def test_what_is_no_table_is_passed_over(self, tmp_path: Path) -> None:
        write(tmp_path, [record("coco")])
        (tmp_path / "model/coco.a.csv").write_bytes(b"\xff\xfe\x00")
        (tmp_path / "model/coco.b.csv").write_text("")
        (tmp_path / "model/coco.c.csv").write_text("x" * 5_000_000)
        assert gather(tmp_path).found[0].tables == ()
