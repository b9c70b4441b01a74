"""fgbench.toml in the current folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from fgbench import api
from fgbench.data.config import data_places, read_config
from fgbench.errors import UsageError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str) -> None:
    (folder / "fgbench.toml").write_text(text, encoding="utf-8")


def test_without_a_file_the_data_root_is_the_folder_data(here: Path) -> None:
    assert data_places(None, None) == ("data", {})


def test_the_file_is_used_where_nothing_was_given(here: Path) -> None:
    write(here, 'data_root = "/d"\n[files]\n"lit-cn.annotations" = "/x/标注.txt"\n"coco.images" = "/i"\n')
    files = {"lit-cn.annotations": "/x/标注.txt", "coco.images": "/i"}
    assert data_places(None, None) == ("/d", files)
    assert data_places("/e", {"coco.images": "/j"}) == ("/e", {**files, "coco.images": "/j"})


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    write(tmp_path, 'data_root = "sets"\n[files]\n"coco.images" = "~/i"\n')
    config = read_config(tmp_path)
    assert config.data_root == str(tmp_path / "sets")
    assert config.files == {"coco.images": str(Path.home() / "i")}


def test_the_generated_datasets_are_never_mixed_with_own_files(here: Path) -> None:
    write(here, 'data_root = "mini"\n[files]\n"coco.images" = "/i"\n')
    assert data_places(None, None) == ("mini", {})
    write(here, 'data_root = "/d"\n[files]\n"coco.images" = "/i"\n')
    assert data_places("mini", None) == ("mini", {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data_root = /d", "not TOML"),
        ("dataroot = '/d'", "Did you mean 'data_root'"),
        ("data_root = 3", "should be a string, found 3"),
        ("files = 3", "a table"),
        ("[files]\ncoco.images = '/i'", '"coco.images"'),
        ("[files]\n'coco.images' = 3", "should be a string"),
    ],
)
def test_what_is_wrong_is_named(here: Path, text: str, expected: str) -> None:
    write(here, text)
    with pytest.raises(UsageError, match=expected) as caught:
        data_places(None, None)
    assert "fgbench.toml" in str(caught.value)


def test_a_plan_follows_the_file(here: Path) -> None:
    (here / "sets").mkdir()
    write(here, 'data_root = "sets"\n[files]\n"coco.images" = "/nowhere"\n')
    [planned] = api.plan(dataset="coco").datasets
    assert planned.files.root == Path("sets")
    assert planned.files.places("images") == [Path("/nowhere")]


def test_an_unknown_dataset_in_the_file_is_refused(here: Path) -> None:
    (here / "data").mkdir()
    write(here, '[files]\n"cocoo.images" = "/i"\n')
    with pytest.raises(UsageError, match="cocoo"):
        api.plan(dataset="coco")
