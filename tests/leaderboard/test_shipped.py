"""What lies below ``leaderboards/``: it passes its own check, and the tables are those of the results."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fgbench.leaderboard.build import build
from fgbench.leaderboard.check import check_file
from fgbench.leaderboard.columns import COLUMNS
from fgbench.leaderboard.problems import CODES
from fgbench.leaderboard.publish import publish
from fgbench.report.paper import ICML

FOLDER = Path(__file__).resolve().parents[2] / "leaderboards"
SUBMISSIONS = sorted((FOLDER / "results").rglob("*.csv"))


@pytest.mark.parametrize("path", SUBMISSIONS, ids=[path.stem for path in SUBMISSIONS])
def test_a_result_passes_the_check(path: Path) -> None:
    report, rows = check_file(path, allow=("miniature",))
    assert report.problems == []
    assert {row["scope"] == "miniature" for row in rows} == {"miniature" in path.parts}


def test_two_models_of_the_miniature_suite_are_there() -> None:
    assert {"fgclip2-tiny", "fgclip2-tiny-early"} <= {path.stem for path in SUBMISSIONS}


def test_the_tables_are_those_of_the_results(tmp_path: Path) -> None:
    """If this fails: ``python -m scripts.leaderboards``."""
    done = build([FOLDER / "results"], tmp_path)
    publish([FOLDER / "results"], "md", edition=ICML, output=tmp_path / "tables.md")
    for place in (*done.files, "tables.md"):
        assert (FOLDER / "tables" / place).read_bytes() == (tmp_path / place).read_bytes(), place
    shipped = {path.relative_to(FOLDER / "tables") for path in (FOLDER / "tables").rglob("*") if path.is_file()}
    assert shipped == {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_guide_has_every_column_and_every_reason_in_order(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    first_cells = re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE)
    start = first_cells.index("schema")
    assert first_cells[start : start + len(COLUMNS)] == list(COLUMNS)
    start = first_cells.index("file")
    assert first_cells[start : start + len(CODES)] == list(CODES)


def test_the_english_guide_says_what_the_code_says() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name, content in {**COLUMNS, **CODES}.items():
        assert f"| `{name}` | {content} |" in text
