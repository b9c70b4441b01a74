from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from fgbench.data.atomic import write_atomic
from fgbench.errors import StoreError


def failing(number: int) -> Any:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_it_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.json"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("module", "function"), [(os, "fsync"), (Path, "replace")])
@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "no space left.*What was finished is kept"),
        (errno.EDQUOT, "no space left"),
        (errno.EACCES, r"cannot be written \(Permission denied\)"),
        (errno.EIO, "cannot be written"),
    ],
)
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, function: str, number: int, message: str
) -> None:
    path = tmp_path / "file.json"
    write_atomic(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(module, function, failing(number))
        with pytest.raises(StoreError, match=rf"{path}: {message}"):
            write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_the_place_of_a_folder_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written"):
        write_atomic(tmp_path / "file" / "below.json", b"x")


def test_nothing_is_seen_at_the_place_before_all_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "file.json", []
    real = os.fsync

    def watch(descriptor: int) -> None:
        seen.append(path.exists())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    write_atomic(path, b"x" * 100_000)
    assert seen == [False]
