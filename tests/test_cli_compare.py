"""``fgbench compare`` and ``fgbench bilingual`` as their users see them: exit codes, messages, JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fgbench.cli import app
from fgbench.errors import DataMissingError, UsageError

from .compare.models import PICTURES, write

GOOD, BAD = [0] * 30 + [3] * 10, [0] * 12 + [3] * 28


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write(tmp_path, "good", GOOD)
    write(tmp_path, "bad", BAD)
    return tmp_path


def run(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def test_two_models(results: Path) -> None:
    code, text = run("compare", "good", "bad", "--results", results)
    assert code == 0
    assert "+45.0" in text
    assert "mean of 1 datasets" in text


def test_json_stands_alone(results: Path) -> None:
    code, text = run("compare", "good", "bad", "--results", results, "--json", "--all")
    assert code == 0
    assert [row["metric"] for row in json.loads(text)["rows"]] == ["i2t_r1", "t2i_r1"]


def test_what_cannot_be_compared_is_3(results: Path) -> None:
    write(results, "bad", BAD, protocol__id="karpathy")
    code, text = run("compare", "good", "bad", "--results", results)
    assert code == 3
    assert "protocol.id: paper | karpathy" in " ".join(text.split())


def test_the_paper(results: Path) -> None:
    code, text = run("compare", "good", "paper", "--results", results)
    assert code == 3
    assert "40 | 5000" in text
    assert json.loads(run("compare", "good", "paper", "--results", results, "--json")[1])["own"] is False


def test_the_paper_comes_second() -> None:
    with pytest.raises(UsageError, match="fgbench compare good paper"):
        run("compare", "paper", "good")


def test_a_name_that_is_not_there(results: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'good'"):
        run("compare", "godd", "bad", "--results", results)


def test_both_languages(results: Path) -> None:
    with pytest.raises(DataMissingError, match=r"The pairs are: .*flickr30k with flickr30k-cna"):
        run("bilingual", "--results", results)
    for dataset in ("flickr30k", "flickr30k-cna"):
        write(results, "good", GOOD, dataset, names=[str(number) for number in range(PICTURES)])
    code, text = run("bilingual", "--results", results)
    assert code == 0
    assert "the same" in text
    assert {row["model"] for row in json.loads(run("bilingual", "good", "--results", results, "--json")[1])} == {"good"}


def test_no_model_library_is_loaded() -> None:
    code = (
        "import sys, fgbench.compare.paper, fgbench.compare.bilingual, fgbench.report.comparison;"
        "print([name for name in ('torch', 'pandas', 'scipy', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
