from __future__ import annotations

from pathlib import Path

import pytest

from fgbench.errors import DataError, DataMissingError, UsageError
from fgbench.leaderboard.add import add
from fgbench.leaderboard.check import check_file
from fgbench.results.record import Record

from . import good


def miniature(dataset: str) -> Record:
    record = good.record(dataset, expected=48, evaluated=48)
    for score in record["scores"]:
        score |= {"n": 48, "value": 0.5, "interval": None}
    record["arguments"]["effective"]["data_root"] = "mini"
    return record


def test_added_replaced_unchanged(tmp_path: Path) -> None:
    results = good.save(tmp_path / "results", good.record("fg-ovd"), good.record("coco"))
    to = tmp_path / "board.csv"
    first = add([results], to)
    assert (first.added, first.replaced, first.unchanged) == (["our-model on coco", "our-model on fg-ovd"], [], [])
    assert first.rows == 8
    assert check_file(to)[0].accepted
    before = to.read_bytes()
    again = add([results], to)
    assert (again.added, again.replaced, len(again.unchanged)) == ([], [], 2)
    assert to.read_bytes() == before
    good.save(results, good.record("coco", shift=1), good.record("voc-20"))
    third = add([results], to)
    assert (third.added, third.replaced, third.unchanged) == (
        ["our-model on voc-20"], ["our-model on coco"], ["our-model on fg-ovd"]
    )  # fmt: skip
    assert repr(3604 / 5000) in to.read_text()
    assert repr(3605 / 5000) not in to.read_text()


def test_a_new_model_is_a_block_of_new_lines(tmp_path: Path) -> None:
    to = tmp_path / "board.csv"
    add([good.save(tmp_path / "a", good.record("coco"), good.record("fg-ovd"))], to)
    before = to.read_text().splitlines()
    add([good.save(tmp_path / "b", good.record("coco", model="another"))], to)
    after = to.read_text().splitlines()
    assert [line for line in after if line in before] == before
    assert len(after) == len(before) + 4


def test_limited_and_miniature_results_are_left_out_with_the_reason(tmp_path: Path) -> None:
    limited = good.record("coco")
    limited["arguments"]["effective"]["limit"] = 5
    results = good.save(tmp_path / "results", limited, miniature("voc-20"))
    (results / "our-model/notes.json").write_text("{}")
    done = add([results], tmp_path / "board.csv")
    assert done.rows == 0
    assert not (tmp_path / "board.csv").exists()
    reasons = {each.what.rpartition("/")[2]: each.why for each in done.left_out}
    assert "--limit 5" in reasons["our-model on coco"]
    assert "--allow-miniature" in reasons["our-model on voc-20"]
    assert "schema" in reasons["notes.json"]
    assert add([results], tmp_path / "board.csv", allow=("miniature",)).added == ["our-model on voc-20"]


def test_a_part_of_a_dataset_stands_apart(tmp_path: Path) -> None:
    part = good.record("voc-20", evaluated=1400)
    part["scores"][0]["n"] = 1400
    results = good.save(tmp_path / "results", part)
    [left_out] = add([results], tmp_path / "board.csv").left_out
    assert "--allow-partial" in left_out.why
    add([results], tmp_path / "board.csv", allow=("partial",))
    assert check_file(tmp_path / "board.csv")[0].problems[0].code == "partial"
    assert check_file(tmp_path / "board.csv", allow=("partial",))[0].accepted


def test_nothing_is_written_if_the_outcome_is_wrong(tmp_path: Path) -> None:
    to = tmp_path / "board.csv"
    add([good.save(tmp_path / "a", good.record("coco"))], to)
    before = to.read_bytes()
    other = good.record("fg-ovd")
    other["model"]["sha256"] = "ab" * 32  # another checkpoint of that name
    with pytest.raises(DataError, match=r"weights_sha256 \[inconsistent\]"):
        add([good.save(tmp_path / "b", other)], to)
    to.write_bytes(before + b"nonsense\n")
    with pytest.raises(DataError, match=r"line 6 \[cells\]"):
        add([tmp_path / "a"], to)
    assert to.read_bytes() == before + b"nonsense\n"


def test_a_leaderboard_file_is_an_input_too(tmp_path: Path) -> None:
    submission = good.write(tmp_path / "submission.csv", good.rows())
    assert len(add([submission], tmp_path / "board.csv").added) == len(good.VALUES)
    assert (tmp_path / "board.csv").read_bytes() == submission.read_bytes()


def test_inputs_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "text.txt").touch()
    (tmp_path / "empty").mkdir()
    to = tmp_path / "board.csv"
    with pytest.raises(DataMissingError, match="not there"):
        add([tmp_path / "absent"], to)
    with pytest.raises(DataMissingError, match="neither"):
        add([tmp_path / "empty"], to)
    with pytest.raises(UsageError, match="expected a record"):
        add([tmp_path / "text.txt"], to)


def test_inputs_that_contradict_each_other(tmp_path: Path) -> None:
    a = good.save(tmp_path / "a", good.record("coco"))
    b = good.save(tmp_path / "b", good.record("coco", shift=1))
    with pytest.raises(DataError, match="our-model on coco"):
        add([a, b], tmp_path / "board.csv")
    assert add([a, a / "our-model", a / "our-model/coco.json"], tmp_path / "board.csv").rows == 4


def test_records_that_lack_fields_are_left_out(tmp_path: Path) -> None:
    record = good.record("coco")
    del record["environment"]["packages"]
    [left_out] = add([good.save(tmp_path / "a", record)], tmp_path / "board.csv").left_out
    assert "packages" in left_out.why
