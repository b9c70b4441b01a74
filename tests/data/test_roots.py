from __future__ import annotations

from pathlib import Path

import pytest

from fgbench.data.roots import cache_folder, resolve_root
from fgbench.errors import UsageError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("FGBENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert resolve_root(tmp_path) == resolve_root(str(tmp_path)) == tmp_path


def test_the_home_folder_may_be_shortened(home: Path) -> None:
    (home / "data").mkdir()
    assert resolve_root("~/data") == home / "data"


@pytest.mark.parametrize("name", ["absent", "file"])
def test_what_is_no_folder_is_a_usage_error_with_advice(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=rf"{tmp_path / name} does not exist.*--data-root DIR.*--data-root mini"):
        resolve_root(tmp_path / name)


def test_mini_is_made_in_the_cache_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    folder = resolve_root("mini")
    assert folder.parent == tmp_path / "cache"
    marker = folder / "marker"
    marker.touch()
    assert resolve_root("mini") == folder
    assert marker.exists()


def test_the_cache_is_where_the_user_wants_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == home / ".cache/fgbench"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/fgbench")
    monkeypatch.setenv("FGBENCH_CACHE", "/own")
    assert cache_folder() == Path("/own")
