"""The commands: what they print, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from fgbench import cli_leaderboard
from fgbench.leaderboard.check import check_file
from fgbench.leaderboard.publish import FORMATS
from fgbench.report.paper import EDITIONS

from .leaderboard import good


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    cli_leaderboard.mount(made)
    return made


def run(app: typer.Typer, *arguments: str | Path, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["leaderboard", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def test_from_records_to_tables(app: typer.Typer, tmp_path: Path) -> None:
    results = good.save(tmp_path / "results", *(good.record(dataset) for dataset in good.VALUES))
    to = tmp_path / "ours.csv"
    assert f"{to}: 5 added, 0 replaced, 0 unchanged, 0 left out; 14 rows" in run(app, "add", results, "--to", to)
    assert "5 unchanged" in run(app, "add", results, "--to", to)
    assert run(app, "check", to) == f"{to}: 14 rows, accepted\n"
    said = run(app, "build", to, "--output", tmp_path / "tables", "--edition", "icml-2026-v3")
    assert "14 measured and 756 reported numbers." in said
    assert check_file(tmp_path / "tables/long.csv")[0].accepted
    table = run(app, "export", to, "--format", "latex", "--task", "fine-grained", "--edition", "none")
    assert r"our-model (measured) & -- & 52.3" in table
    card = run(app, "export", to, "--format", "hf-card", "--output", tmp_path / "card.md")
    assert card == f"{tmp_path / 'card.md'}: written\n"


def test_a_refusal_names_line_column_and_reason(app: typer.Typer, tmp_path: Path) -> None:
    content = good.rows()
    content[0]["value"] = "52.3"
    content[3]["main"] = "2"
    path = good.write(tmp_path / "wrong.csv", content)
    lines = run(app, "check", path, code=1).splitlines()
    assert lines[0].startswith(f"{path}: line 2, value [percent]: '52.3': a fraction")
    assert lines[1].startswith(f"{path}: line 5, main [word]: '2':")
    assert lines[2] == f"{path}: 14 rows, refused, 2 problems"
    found = json.loads(run(app, "check", path, "--json", code=1))
    assert (found["accepted"], found["rows"]) == (False, 14)
    assert [(each["line"], each["column"], each["code"]) for each in found["problems"]] == [
        (2, "value", "percent"), (5, "main", "word")
    ]  # fmt: skip


def test_nothing_to_add_is_3(app: typer.Typer, tmp_path: Path) -> None:
    record = good.record("coco")
    record["arguments"]["effective"]["limit"] = 7
    said = run(app, "add", good.save(tmp_path / "results", record), "--to", tmp_path / "x.csv", code=3)
    assert "left out: our-model on coco: a limited run (--limit 7)" in said
    found = json.loads(run(app, "add", tmp_path / "results", "--to", tmp_path / "x.csv", "--json", code=3))
    assert found["left_out"][0]["what"] == "our-model on coco"


def test_the_papers_numbers_need_no_input(app: typer.Typer, tmp_path: Path) -> None:
    found = json.loads(run(app, "build", "--output", tmp_path, "--json"))
    assert (found["measured"], found["reported"]) == (0, 1395)
    assert "| FG-CLIP 2 | ViT-So/16 | reported |" in run(app, "export", "--task", "fine-grained")


def test_what_can_be_chosen_is_what_there_is() -> None:
    assert {each.value for each in cli_leaderboard._Format} == set(FORMATS)
    assert {each.value for each in cli_leaderboard._Edition} == {*EDITIONS, "none"}


def test_items_are_counted(app: typer.Typer, tmp_path: Path) -> None:
    path = good.write(tmp_path / "ours.csv", good.rows())
    said = run(app, "check", path, "--items", tmp_path, code=1)
    assert "[items]" in said
    assert "0 values recomputed from items agree" in said
