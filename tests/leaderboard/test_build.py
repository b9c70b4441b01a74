from __future__ import annotations

import csv
from pathlib import Path

import pytest

from fgbench.errors import DataError
from fgbench.leaderboard.build import build
from fgbench.leaderboard.check import check_file
from fgbench.report.paper import ICML

from . import good
from .test_add import miniature


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    records = [good.record(dataset, model=model) for dataset in good.VALUES for model in ("b-model", "a-model")]
    return good.save(tmp_path / "results", *records, miniature("coco"))


def test_everything_in_one_long_table_that_passes_the_check(results: Path, tmp_path: Path) -> None:
    done = build([results], tmp_path / "out")
    assert (done.measured, done.reported) == (2 * len(good.rows()) + 4, 1395)
    report, rows = check_file(tmp_path / "out/long.csv", allow=("miniature",))
    assert report.problems == []
    assert len(rows) == done.measured + done.reported == done.files["long.csv"]


def test_equal_inputs_give_equal_bytes(results: Path, tmp_path: Path) -> None:
    done = build([results], tmp_path / "out")
    paths = sorted((results).glob("*/*.json"), reverse=True)
    build(paths, tmp_path / "again")
    for place in done.files:
        assert (tmp_path / "out" / place).read_bytes() == (tmp_path / "again" / place).read_bytes()


def test_a_wide_table_keeps_protocols_and_data_apart(results: Path, tmp_path: Path) -> None:
    build([results], tmp_path, editions=[ICML])
    rows = table(tmp_path / "segmentation.csv")
    assert {"voc-20/all/miou@catseg", "voc-20/all/miou@training-free"} <= set(rows[0])
    ours = next(row for row in rows if row["model"] == "a-model")
    assert (ours["voc-20/all/miou@training-free"], ours["voc-20/all/miou@catseg"]) == ("0.812346", "")
    theirs = next(row for row in rows if (row["model"], row["backbone"]) == ("FG-CLIP 2", "ViT-B/16"))
    assert (theirs["voc-20/all/miou@training-free"], theirs["voc-20/all/miou@catseg"]) == ("", "0.971")
    retrieval = table(tmp_path / "short-retrieval.csv")
    assert {row["scope"] for row in retrieval} == {"complete", "unstated"}
    assert {row["edition"] for row in retrieval} == {"", ICML}
    [small] = table(tmp_path / "miniature/short-retrieval.csv")
    assert (small["model"], small["scope"]) == ("our-model", "miniature")


def test_a_wide_table_names_what_is_not_like_for_like(tmp_path: Path) -> None:
    build([], tmp_path, editions=[ICML])
    rows = {(row["model"], row["backbone"]): row for row in table(tmp_path / "short-retrieval.csv")}
    assert "coco/*/i2t_r1@paper" in rows["SigLIP 2", "ViT-B/16"]["not_like_for_like"].split(";")
    assert rows["FG-CLIP 2", "ViT-B/16"]["not_like_for_like"] == ""


def test_tables_of_an_earlier_build_do_not_stay(results: Path, tmp_path: Path) -> None:
    build([results], tmp_path / "out")
    (tmp_path / "out/mine.csv").touch()
    build([good.save(tmp_path / "less", good.record("coco"))], tmp_path / "out", editions=[])
    left = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.csv")}
    assert left == {"long.csv", "short-retrieval.csv", "mine.csv"}


def test_a_file_with_problems_stops_the_build(results: Path, tmp_path: Path) -> None:
    content = good.rows()
    content[0]["value"] = "2000"
    submission = good.write(tmp_path / "submission.csv", content)
    with pytest.raises(DataError, match=r"line 2, value \[range\]"):
        build([results, submission], tmp_path / "out")
    assert not (tmp_path / "out").exists()
