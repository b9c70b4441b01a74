"""Columns of COCO-like files, and what is kept of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.data import json_tables
from fgbench.data.json_tables import Lists, Wanted, read_tables
from fgbench.errors import DataError

WANTED: Wanted = {
    "images": {"id": "integer", "file_name": "text", "lists": "integers"},
    "annotations": {"id": "integer", "bbox": "box", "area": "number", "iscrowd": "flag"},
}


def content(**changes: Any) -> dict[str, Any]:
    images = [{"id": n, "file_name": f"é{n}.jpg", "lists": list(range(n))} for n in (3, 1)]
    outline = [[1.5, 2, -3e-2], [4, 5]]
    annotations = [
        {"id": 7, "bbox": [1, 2.5, 3, 4], "segmentation": outline, "area": 2, "iscrowd": 1},
        {"id": 8, "bbox": [0, 0, 1, 1], "segmentation": {"counts": [1], "size": [2, 2]}, "area": 0.5},
    ]
    return {"images": images, "annotations": annotations, **changes}


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Columns of the smallest file are kept in this folder."""
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(json_tables, "KEPT_FROM", 0)
    return tmp_path / "cache/annotations"


@pytest.mark.parametrize("times", [1, 2], ids=["parsed", "kept"])
def test_columns_are_the_fields_in_file_order(tmp_path: Path, kept: Path, times: int) -> None:
    path = write(tmp_path / "a.json", content())
    tables = [read_tables(path, WANTED) for _ in range(times)][-1]
    images, annotations = tables["images"], tables["annotations"]
    assert images.need("id").tolist() == [3, 1]
    assert images.need("file_name") == ["é3.jpg", "é1.jpg"]
    assert [images.need("lists")[row].tolist() for row in (0, 1)] == [[0, 1, 2], [0]]
    assert annotations.need("bbox").tolist() == [[1, 2.5, 3, 4], [0, 0, 1, 1]]
    assert annotations.need("area").tolist() == [2.0, 0.5]
    assert annotations.need("iscrowd").tolist() == [True, False]
    assert (images.where(0), annotations.where(0)) == (f"{path}: image 3", f"{path}: annotations[0]")


def test_a_second_reading_does_not_parse_and_a_changed_file_does(
    tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.json", content())
    before = path.stat()
    read_tables(path, WANTED)
    assert len(list(kept.iterdir())) == 1
    parsed: list[Path] = []
    parse = json_tables._parsed

    def parse_noted(place: Path) -> Any:
        parsed.append(place)
        return parse(place)

    monkeypatch.setattr(json_tables, "_parsed", parse_noted)
    read_tables(path, WANTED)
    assert not parsed
    write(path, content(images=[{"id": 9, "file_name": "é9.jpg", "lists": []}, content()["images"][1]]))
    # As a copy that keeps times would leave it.
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read_tables(path, WANTED)["images"].need("id").tolist() == [9, 1]
    assert parsed == [path]


def test_damaged_columns_are_made_again(tmp_path: Path, kept: Path) -> None:
    path = write(tmp_path / "a.json", content())
    read_tables(path, WANTED)
    [place] = kept.iterdir()
    place.write_bytes(place.read_bytes()[:-3])
    assert read_tables(path, WANTED)["images"].rows == 2


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, kept: Path) -> None:
    kept.parent.write_text("a file where a folder should be")
    assert read_tables(write(tmp_path / "a.json", content()), WANTED)["images"].rows == 2


@pytest.mark.parametrize("times", [1, 2], ids=["parsed", "kept"])
def test_a_field_is_only_missed_when_it_is_asked_for(tmp_path: Path, kept: Path, times: int) -> None:
    images = [{"id": 3, "file_name": "a"}, {"id": 1}]
    tables = [read_tables(write(tmp_path / "a.json", content(images=images)), WANTED) for _ in range(times)]
    table = tables[-1]["images"]
    assert table.maybe("lists") is None
    with pytest.raises(DataError, match="image 1: field 'file_name' is missing"):
        table.maybe("file_name")
    with pytest.raises(DataError, match="image 3: field 'lists' is missing"):
        table.need("lists")


@given(st.text(), st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False))), st.booleans())
def test_cutting_outlines_out_changes_nothing_else(text: str, outline: list[list[float]], spaced: bool) -> None:
    """Also where a string looks like an outline."""
    row = {"a": text, "segmentation": outline, "b": f'"segmentation": [[1]] {text}', "c": [["segmentation"], [1]]}
    raw = json.dumps([row], separators=None if spaced else (",", ":")).encode()
    [found] = json.loads(json_tables._OUTLINES.sub(b'"segmentation":0', raw))
    assert {**found, "segmentation": None} == {**row, "segmentation": None}
    assert found["segmentation"] == (0 if outline else [])


def test_lists_are_cut_at_their_ends() -> None:
    lists = Lists(np.array([5, 6, 7]), np.array([0, 2, 2, 3]))
    assert [lists[row].tolist() for row in range(4)] == [[], [5, 6], [], [7]]
