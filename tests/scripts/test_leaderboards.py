from __future__ import annotations

from pathlib import Path

from scripts.leaderboards import regenerate

from ..leaderboard import good
from ..leaderboard.test_add import miniature


def test_results_that_are_gone_do_not_stay(tmp_path: Path) -> None:
    board = tmp_path / "leaderboards"
    old = board / "results/miniature/old.csv"
    old.parent.mkdir(parents=True)
    old.write_text("of a model that is gone")
    real = good.write(board / "results/real.csv", good.rows())
    regenerate(good.save(tmp_path / "results", miniature("coco")), board)
    assert {path.name for path in old.parent.iterdir()} == {"our-model.csv"}
    assert real.is_file()
    assert (board / "tables/miniature/short-retrieval.csv").is_file()
    assert "our-model" in (board / "tables/tables.md").read_text(encoding="utf-8")
