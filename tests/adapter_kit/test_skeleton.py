"""``fgbench new-adapter`` and ``fgbench check-adapter`` through the command line; the package that is written works."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fgbench.adapter_kit.skeleton import package_files, write_package
from fgbench.errors import UsageError

from ..packaging.tools import command, need

NAME = "tiny-net"
LINES = 40
"""A new model is promised to take fewer."""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder in which the package is written."""
    folder = tmp_path_factory.mktemp("author")
    done = command("-m", "fgbench", "new-adapter", NAME, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[2:] == [
        f"pip install -e fgbench-{NAME}",
        f"fgbench check-adapter {NAME}",
        f"fgbench eval --model {NAME} --task short-retrieval --dataset coco --data-root mini",
    ]
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    """The command line beside the installed package."""
    need("pip")
    need("setuptools", 77)
    source = shutil.copytree(folder / f"fgbench-{NAME}", folder / "source")
    options = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    done = command("-m", "pip", "install", *options, "--target", folder / "site", source, cwd=folder)
    assert done.returncode == 0, done.stderr
    return lambda *arguments: command(*arguments, cwd=folder, path=folder / "site")


def test_the_package_is_small_and_complete(folder: Path) -> None:
    package = folder / f"fgbench-{NAME}"
    found = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    files = {"__init__.py", "model.py"}
    assert found == {"pyproject.toml", "README.md", "tests/test_model.py", *(f"fgbench_tiny_net/{n}" for n in files)}
    for path in found:
        assert "@" not in (package / path).read_text(encoding="utf-8"), path
    assert len((package / "fgbench_tiny_net/model.py").read_text(encoding="utf-8").splitlines()) < LINES


def test_it_is_listed(run: Run) -> None:
    done = run("-m", "fgbench", "list", "models", "--json")
    [row] = [row for row in json.loads(done.stdout) if row["id"] == NAME]
    assert row["title"] == f"from fgbench-{NAME} 0.1.0"


@pytest.mark.slow
def test_it_passes_the_checks(run: Run) -> None:
    done = run("-m", "fgbench", "check-adapter", NAME, "--device", "cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].startswith(f"{NAME} on cpu: ")
    assert lines[-1].endswith(" 9 not applicable.")
    assert max(map(len, lines)) < 80
    assert {line[:5].strip() for line in lines[:-1]} == {"pass", "n/a", "info", ""}


@pytest.mark.slow
def test_its_own_test_passes(run: Run, folder: Path) -> None:
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", folder / f"fgbench-{NAME}/tests")
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_it_is_evaluated(run: Run) -> None:
    arguments = ("--task", "short-retrieval", "--dataset", "coco", "--data-root", "mini", "--device", "cpu", "--json")
    done = run("-m", "fgbench", "eval", "--model", f"{NAME}?seed=1", *arguments)
    assert done.returncode == 0, done.stderr
    [record] = json.loads(done.stdout)["records"]
    assert record["model"]["name"] == f"{NAME}?seed=1"
    assert record["model"]["settings"] == {"seed": "1"}
    assert record["counts"]["evaluated"] == record["counts"]["expected"] > 0


def test_it_is_clean(run: Run, folder: Path) -> None:
    need("ruff", 0)
    rules = ("--isolated", "--no-cache", "--line-length", "120", "--select", "E,F,W,B,UP,N,C4,SIM,RUF")
    done = run("-m", "ruff", "check", *rules, folder / f"fgbench-{NAME}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_broken_model_gives_exit_code_1(run: Run, folder: Path) -> None:
    path = folder / "site/fgbench_tiny_net/model.py"
    good = path.read_text(encoding="utf-8")
    path.write_text(good.replace("len(each) > LENGTH for each", "False for each"), encoding="utf-8")
    try:
        done = run("-m", "fgbench", "check-adapter", NAME, "--device", "cpu", "--json")
    finally:
        path.write_text(good, encoding="utf-8")
    assert done.returncode == 1, done.stderr
    content = json.loads(done.stdout)
    assert content["passed"] is False
    assert [row["name"] for row in content["checks"] if row["status"] == "fail"] == ["text length"]


@pytest.mark.slow
def test_wrong_usage_gives_exit_code_2(folder: Path) -> None:
    for arguments in (("check-adapter", "no-such-model"), ("check-adapter", "fgclip2-untrained", "--device", "tpu")):
        done = command("-m", "fgbench", *arguments, cwd=folder)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
    done = command("-m", "fgbench", "new-adapter", NAME, cwd=folder)
    assert done.returncode == 2
    assert "Nothing was written" in done.stderr


@pytest.mark.parametrize("name", ["", "Tiny", "1net", "a--b", "-a", "a-", "a_b", "a b", "a:b", "../a", "é", "x" * 41])
def test_names_that_cannot_be(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a model"):
        write_package(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["fgclip2", "openclip", "hf"])
def test_names_that_are_taken(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"There is a model '{name}' already"):
        write_package(name, tmp_path / "new")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    for folder in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(UsageError, match="is not an empty folder"):
            write_package(NAME, folder)
    with pytest.raises(UsageError, match="cannot be written"):
        write_package(NAME, tmp_path / "mine.txt/below")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_of_the_model_s_name_would_hide_the_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected another name than the model's"):
        write_package(NAME, tmp_path / NAME)


def test_an_empty_folder_is_fine(tmp_path: Path) -> None:
    assert write_package("a", tmp_path) == tmp_path
    assert (tmp_path / "fgbench_a/model.py").read_text(encoding="utf-8") == package_files("a")["fgbench_a/model.py"]


def test_writing_a_package_loads_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from fgbench.adapter_kit import skeleton as s; s.write_package('a'); print('torch' in sys.modules)"
    )
    assert command("-c", code, cwd=tmp_path).stdout.strip() == "False"
