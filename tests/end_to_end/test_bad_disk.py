"""A disk that is full, or forgets: what was there stays, and the next run goes on."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fgbench.errors import StoreError

from .results import Run, counters, record

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Data


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets so many files be written, and none after them."""

    def after(files: int) -> None:
        left = iter(range(files))
        sync = os.fsync

        def fsync(descriptor: int) -> None:
            if next(left, None) is None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)

    return after


def test_no_space_left(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_disk: Callable[[int], None]
) -> None:
    """Wherever it happens among the files of a run: chunks, records with their outcomes, the table."""
    whole = tmp_path / "whole"
    run(output=whole)
    chunks = len(list(whole.glob("features/*/*")))
    for files in range(sum(path.is_file() for path in whole.rglob("*"))):
        output = tmp_path / f"results {files}"
        full_disk(files)
        with pytest.raises(StoreError, match="no space left on the disk") as caught:
            run(output=output)
        monkeypatch.undo()
        assert str(output) in str(caught.value)
        assert "--output" in str(caught.value)
        written = [path for path in output.rglob("*") if path.is_file()]
        assert len(written) == files, written
        for path in output.glob("*/*.json"):
            json.loads(path.read_text(encoding="utf-8"))
            assert path.with_suffix(".items.npz") in written

        kept = len(list(output.glob("features/*/*")))
        result = run(output=output)
        assert result.exit_code == 0
        assert counters(result)["chunks_encoded"] == len(list(output.glob("features/*/*"))) - kept
        # Texts are encoded first; the pictures of this run are one chunk.
        assert (counters(result)["image_passes"] == 0) == (files >= chunks)
        assert (output / "results.csv").read_bytes() == (whole / "results.csv").read_bytes()


def test_no_space_left_leaves_the_old_record(
    run: Run, tmp_path: Path, data: Data, full_disk: Callable[[int], None]
) -> None:
    run()
    path = tmp_path / "results/thumbnail/coco.json"
    before = path.read_bytes()
    data.add_picture()
    full_disk(0)
    with pytest.raises(StoreError):
        run()
    assert path.read_bytes() == before


def test_a_damaged_chunk_is_encoded_again(run: Run, tmp_path: Path) -> None:
    first = run()
    chunks = sorted((tmp_path / "results").glob("features/*/*.safetensors"))
    chunks[0].write_bytes(chunks[0].read_bytes()[:-7])
    content = bytearray(chunks[1].read_bytes())
    content[-3] ^= 1
    chunks[1].write_bytes(content)
    again = run()
    assert again.notes == ("2 damaged feature files were found and encoded again.",)
    assert counters(again)["chunks_encoded"] == 2
    for dataset in ("fg-ovd", "coco-box", "coco"):
        assert record(first, dataset)["scores"] == record(again, dataset)["scores"]
