from __future__ import annotations

import csv
import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.errors import StoreError
from fgbench.results.folder import COLUMNS, model_folder, records, rows, save, slug, write_csv
from fgbench.results.record import SCHEMA, Record


def record(dataset: str = "demo", *, name: str = "model", sha256: str = "a" * 64, limit: int | None = None) -> Record:
    """As written by a run, as far as the folder looks at it."""
    return {
        "schema": SCHEMA,
        "dataset": dataset,
        "task": "demo-task",
        "language": "en",
        "protocol": {"id": "paper", "region_mode": "roi"},
        "model": {"name": name, "adapter": "fake", "source": "here", "revision": None, "sha256": sha256},
        "scores": [
            {"subset": "all", "metric": "top1", "value": 1 / 3, "n": 3},
            {"subset": "all", "metric": "top5", "value": 1.0, "n": 3},
        ],
        "main": [{"subset": "all", "metric": "top1", "value": 1 / 3}],
        "counts": {"expected": 4, "evaluated": 3, "published": None},
        "arguments": {"effective": {"limit": limit}},
        "environment": {"precision": "fp32", "packages": {"fgbench": "0.1.0"}},
    }


OUTCOMES = {"hard/id": np.arange(3), "rank": np.array([0, 4, 2]), "name": np.array(["a", "图", ""])}


def table(output: Path) -> list[dict[str, str]]:
    with write_csv(output).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class TestSaving:
    def test_record_and_outcomes_lie_side_by_side(self, tmp_path: Path) -> None:
        path = save(record(), OUTCOMES, tmp_path / "model")
        assert path == tmp_path / "model/demo.json"
        assert json.loads(path.read_text(encoding="utf-8")) == record()
        with np.load(tmp_path / "model/demo.items.npz", allow_pickle=False) as found:
            assert {name: found[name].tolist() for name in found.files} == {
                name: values.tolist() for name, values in OUTCOMES.items()
            }

    def test_a_limited_run_never_takes_the_place_of_a_full_one(self, tmp_path: Path) -> None:
        for limit in (None, 5, 7):
            save(record(limit=limit), OUTCOMES, tmp_path)
        assert sorted(path.name for path in tmp_path.glob("*.json")) == [
            "demo.json", "demo.limit-5.json", "demo.limit-7.json"
        ]  # fmt: skip
        assert len(list(tmp_path.glob("*.items.npz"))) == 3

    def test_objects_that_would_be_pickled_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="allow_pickle"):
            save(record(), {"id": np.array([{"a": 1}], dtype=object)}, tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_full_disk_leaves_the_old_record(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = save(record(), OUTCOMES, tmp_path)
        before = {each: each.read_bytes() for each in tmp_path.iterdir()}

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="no space left"):
            save({**record(), "task": "another"}, OUTCOMES, tmp_path)
        assert {each: each.read_bytes() for each in tmp_path.iterdir()} == before
        assert path in before

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_a_number_that_is_none_is_refused(self, tmp_path: Path, value: float) -> None:
        broken = record()
        broken["scores"][0]["value"] = value
        with pytest.raises(ValueError, match="JSON compliant"):
            save(broken, OUTCOMES, tmp_path)
        assert not list(tmp_path.glob("*.json"))


class TestModelFolder:
    def test_the_first_model_gets_its_name(self, tmp_path: Path) -> None:
        assert model_folder(tmp_path, "fgclip2", "a" * 64) == tmp_path / "fgclip2"

    def test_the_same_model_gets_the_same_folder(self, tmp_path: Path) -> None:
        save(record(), OUTCOMES, model_folder(tmp_path, "model", "a" * 64))
        assert model_folder(tmp_path, "model", "a" * 64) == tmp_path / "model"

    def test_another_checkpoint_of_the_same_name_gets_a_folder_of_its_own(self, tmp_path: Path) -> None:
        save(record(), OUTCOMES, tmp_path / "model")
        other = model_folder(tmp_path, "model", "b" * 64)
        assert other == tmp_path / "model-bbbbbbbb"
        save(record(sha256="b" * 64), OUTCOMES, other)
        assert model_folder(tmp_path, "model", "b" * 64) == other
        assert model_folder(tmp_path, "model", "a" * 64) == tmp_path / "model"
        assert len(list(records(tmp_path))) == 2

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": "another"}', json.dumps({"schema": SCHEMA})])
    def test_files_that_are_no_records_do_not_count(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "model").mkdir()
        (tmp_path / "model/notes.json").write_text(content)
        assert model_folder(tmp_path, "model", "a" * 64) == tmp_path / "model"

    @pytest.mark.parametrize(
        ("name", "folder"),
        [
            ("fgclip2", "fgclip2"),
            ("openclip:ViT-B-16/openai", "openclip_ViT-B-16_openai"),
            ("fgclip2?region=crop&precision=bf16", "fgclip2_region=crop_precision=bf16"),
            ("../../etc/passwd", "etc_passwd"),
            ("C:\\x", "C_x"),
            ("..", "model"),
            ("", "model"),
            (".hidden", "hidden"),
            ("模型", "模型"),
            ("a\0b\nc", "a_b_c"),
        ],
    )
    def test_a_name_becomes_one_folder_name(self, name: str, folder: str) -> None:
        assert slug(name) == folder

    @given(st.text(max_size=20))
    def test_whatever_the_name_the_folder_lies_below_the_output(self, name: str) -> None:
        assert Path("/results", slug(name)).parent == Path("/results")
        assert slug(name) not in {".", ".."}


class TestCsv:
    def test_there_is_a_row_for_every_score(self, tmp_path: Path) -> None:
        save(record(), OUTCOMES, tmp_path / "model")
        first, second = table(tmp_path)
        assert tuple(first) == COLUMNS
        assert (first["model"], first["dataset"], first["subset"], first["metric"]) == ("model", "demo", "all", "top1")
        assert (first["main"], second["main"]) == ("1", "0")
        assert (first["limit"], first["published"], first["revision"]) == ("", "", "")

    def test_values_are_written_in_full(self, tmp_path: Path) -> None:
        save(record(), OUTCOMES, tmp_path / "model")
        assert float(table(tmp_path)[0]["value"]) == 1 / 3

    def test_every_column_has_its_value(self) -> None:
        assert {tuple(row) for row in rows(record())} == {COLUMNS}

    def test_the_order_does_not_depend_on_who_came_first(self, tmp_path: Path) -> None:
        for dataset, name in (("b", "z"), ("a", "z"), ("c", "m")):
            save(record(dataset, name=name), OUTCOMES, tmp_path / name)
        found = [(row["model"], row["dataset"]) for row in table(tmp_path)]
        assert found == [("m", "c")] * 2 + [("z", "a")] * 2 + [("z", "b")] * 2
        before = (tmp_path / "results.csv").read_bytes()
        assert write_csv(tmp_path).read_bytes() == before

    @pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
    def test_a_cell_that_a_spreadsheet_would_run_is_made_harmless(self, tmp_path: Path, name: str) -> None:
        save(record(name=name), OUTCOMES, tmp_path / "model")
        assert {row["model"] for row in table(tmp_path)} == {"'" + name.replace("\r", "\n")}

    def test_a_carriage_return_starts_no_row(self, tmp_path: Path) -> None:
        save(record(name="a\r=1"), OUTCOMES, tmp_path / "model")
        assert [row["model"] for row in table(tmp_path)] == ["a\n=1", "a\n=1"]

    def test_commas_quotes_and_line_ends_stay_in_their_cell(self, tmp_path: Path) -> None:
        name = 'a,"b"\nc;图'
        save(record(name=name), OUTCOMES, tmp_path / "model")
        assert [row["model"] for row in table(tmp_path)] == [name, name]

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": "another"}', json.dumps({"schema": SCHEMA})])
    def test_files_that_are_no_records_are_passed_over(self, tmp_path: Path, content: str) -> None:
        save(record(), OUTCOMES, tmp_path / "model")
        (tmp_path / "model/other.json").write_text(content)
        assert len(table(tmp_path)) == 2

    def test_without_records_there_is_a_head(self, tmp_path: Path) -> None:
        assert table(tmp_path) == []
        assert (tmp_path / "results.csv").read_text() == ",".join(COLUMNS) + "\n"
