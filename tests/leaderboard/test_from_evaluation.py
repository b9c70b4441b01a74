"""What an evaluation writes is what a leaderboard takes: records, rows, and values recomputed from items."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from fgbench import evaluate
from fgbench.cli import app
from fgbench.data.mini.boxes import write_boxes
from fgbench.data.mini.detections import write_detections
from fgbench.leaderboard.add import add
from fgbench.leaderboard.check import check_file

from ..fakes import FakeAdapter


def test_from_an_evaluation_to_an_accepted_file(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_boxes(root)
    write_detections(root)
    results = tmp_path / "results"
    evaluate(FakeAdapter(), None, "coco-box,lvis-minival", data_root=root, output=results)
    to = tmp_path / "board.csv"
    assert len(add([results], to).left_out) == 2  # a small data set under another name than mini
    done = add([results], to, allow=("partial",))
    assert done.added == ["fake on coco-box", "fake on lvis-minival"]
    report, rows = check_file(to, allow=("partial",), items=results)
    assert report.problems == []
    assert report.recomputed == len(rows)
    assert report.not_recomputed == 0
    assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in rows if row["low"])


def test_the_commands_are_on_the_command_line() -> None:
    done = CliRunner().invoke(app, ["leaderboard", "--help"])
    assert all(name in done.output for name in ("build", "check", "add", "export"))
