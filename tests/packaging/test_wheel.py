"""What is shipped is what is in the tree: a package that pyproject.toml forgets works in a checkout and only there."""

from __future__ import annotations

import importlib
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from .tools import REPOSITORY, command, need

PLACES = {
    "fgbench": "fgbench",
    "tasks": "fgbench/tasks",
    "adapters": "fgbench/adapters",
    "leaderboards": "fgbench/leaderboards",
}
"""Folders of the tree, and where they are installed."""


SOURCES = ("docs", "tests")
"""Folders that only the source distribution has."""


def project() -> Any:
    """The content of pyproject.toml."""
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return toml.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def files(folder: Path) -> set[str]:
    """Every file below a folder, relative to it, without what Python leaves behind."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != ".DS_Store"
    }


def tree(repository: Path = REPOSITORY) -> set[str]:
    """Every file that has to be installed, by its place in the wheel."""
    return {f"{place}/{name}" for folder, place in PLACES.items() for name in files(repository / folder)}


def installed(wheel: Path) -> set[str]:
    """Every file of a wheel but its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy of the tree: a build leaves traces, and older traces end up in wheels."""
    need("build")
    need("setuptools", 77)
    folder = tmp_path_factory.mktemp("tree") / "fgbench"
    folder.mkdir()
    for name in (*PLACES, *SOURCES):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in REPOSITORY.iterdir():
        if path.suffix in {".toml", ".md", ".in", ".py"} or path.name == "LICENSE":
            shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def distributions(copy: Path) -> tuple[Path, Path, Path]:
    """The source distribution, the wheel built from it, and the wheel built from the tree."""
    direct = copy.parent / "direct"
    for options in (("--outdir", copy.parent / "dist"), ("--outdir", direct, "--wheel")):
        done = command("-m", "build", "--no-isolation", *options, copy, cwd=copy.parent)
        assert done.returncode == 0, done.stdout + done.stderr
    [sdist] = (copy.parent / "dist").glob("*.tar.gz")
    [from_sdist] = (copy.parent / "dist").glob("*.whl")
    [from_tree] = direct.glob("*.whl")
    return sdist, from_sdist, from_tree


def test_every_package_of_the_tree_is_named() -> None:
    settings = project()["tool"]["setuptools"]
    found = {path.rpartition("/")[0].replace("/", ".") for path in tree() if path.endswith("/__init__.py")}
    assert sorted(settings["packages"]) == sorted(found)
    assert settings["package-dir"] == {place.replace("/", "."): folder for folder, place in PLACES.items()}


def test_every_folder_with_python_files_is_a_package() -> None:
    found = tree()
    for path in found:
        if path.endswith(".py"):
            assert f"{path.rpartition('/')[0]}/__init__.py" in found, path


@pytest.mark.slow
def test_the_wheel_holds_the_tree_and_nothing_else(distributions: tuple[Path, Path, Path], copy: Path) -> None:
    _, from_sdist, from_tree = distributions
    assert installed(from_tree) == tree(copy)
    assert installed(from_sdist) == tree(copy)


@pytest.mark.slow
def test_the_wheel_has_licence_script_and_type_marker(distributions: tuple[Path, Path, Path]) -> None:
    _, wheel, _ = distributions
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition(".dist-info/")[2]: name for name in archive.namelist() if ".dist-info/" in name}
        assert b"fgbench = fgbench.cli:main" in archive.read(names["entry_points.txt"])
        licence = archive.read(names["licenses/LICENSE"])
        metadata = archive.read(names["METADATA"]).decode()
        assert archive.read(names["top_level.txt"]).split() == [b"fgbench"]
    assert licence == (REPOSITORY / "LICENSE").read_bytes()
    assert b"Apache License" in licence
    assert "License-Expression: Apache-2.0" in metadata
    assert f"Version: {project()['project']['version']}\n" in metadata
    assert "fgbench/py.typed" in installed(wheel)


@pytest.mark.slow
def test_the_source_distribution_is_complete(distributions: tuple[Path, Path, Path], copy: Path) -> None:
    sdist, _, _ = distributions
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in (*PLACES, *SOURCES):
        assert {f"{folder}/{name}" for name in files(copy / folder)} <= names
    assert {"pyproject.toml", "README.md", "LICENSE"} <= names
    assert not any("__pycache__" in name for name in names)


@pytest.mark.slow
def test_the_wheel_works_outside_the_tree(distributions: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """Unpacked in front of the checkout's own installation, as ``pip install --target`` would."""
    _, wheel, _ = distributions
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    where = command("-c", "import fgbench.tasks; print(fgbench.tasks.__file__)", cwd=tmp_path, path=site)
    assert where.stdout.strip() == str(site / "fgbench/tasks/__init__.py"), where.stderr
    for what, name in (("tasks", "fine-grained"), ("models", "fgclip2")):
        done = command("-m", "fgbench", "list", what, cwd=tmp_path, path=site)
        assert done.returncode == 0, done.stderr
        assert name in done.stdout
    code = "import importlib.util as u; print([n for n in ('tasks', 'adapters', 'leaderboards') if u.find_spec(n)])"
    assert command("-c", code, cwd=tmp_path, path=site).stdout.strip() == "[]"
