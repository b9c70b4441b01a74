"""Parquet tables with pictures in their rows."""

from __future__ import annotations

import base64
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fgbench.data import parquet
from fgbench.data.embedded import read_table
from fgbench.data.images import decode, probe, read_bytes
from fgbench.errors import DataError
from fgbench.requests import ImageRef

from .test_images import encoded, noise

PICTURES = [encoded(noise(size=(8 + n, 6)), "PNG") for n in range(5)]


def hub(*data: bytes | None) -> list[dict[str, Any] | None]:
    """A picture column as the hub stores it."""
    return [None if each is None else {"bytes": each, "path": f"{n}.png"} for n, each in enumerate(data)]


def saved(folder: Path, columns: dict[str, Any], rows: int = 2) -> Path:
    path = folder / "table.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=rows)
    return path


def pictures(path: Path, column: str = "image") -> list[Any]:
    return [row[column] for _, row in read_table(path, (), (column,))]


def test_rows_and_pictures_over_several_row_groups(tmp_path: Path) -> None:
    path = saved(tmp_path, {"id": list("abcde"), "tags": [["x"], [], ["y", "z"], ["w"], []], "image": hub(*PICTURES)})
    found = list(read_table(path, ("id", "tags", "lacking"), ("image", "image_2")))
    assert [(where, row["id"], row["tags"]) for where, row in found][2] == (f"{path}: row 2", "c", ["y", "z"])
    assert all(set(row) == {"id", "tags", "image"} for _, row in found)
    refs = [row["image"] for _, row in found]
    assert str(refs[4]) == f"{path}!image[4]"
    # Any order, again and again.
    for number in (4, 0, 3, 3, 1, 2, 0):
        assert read_bytes(refs[number]) == PICTURES[number]
    assert [probe(ref).width for ref in refs] == [8, 9, 10, 11, 12]


def test_a_row_without_a_picture_has_none(tmp_path: Path) -> None:
    found = pictures(saved(tmp_path, {"image": hub(PICTURES[0], None, PICTURES[1])}))
    assert [ref is None for ref in found] == [False, True, False]
    assert [read_bytes(found[row]) for row in (0, 2)] == PICTURES[:2]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.string()])
def test_plain_columns_of_bytes_or_base64(tmp_path: Path, kind: Any) -> None:
    values: list[Any] = [PICTURES[0], None, PICTURES[1]]
    if kind == pa.string():
        values = [value and base64.b64encode(value).decode() for value in values]
    found = pictures(saved(tmp_path, {"image": pa.array(values, kind)}))
    assert found[1] is None
    assert [read_bytes(found[n]) for n in (0, 2)] == PICTURES[:2]


def test_a_large_value_is_not_multiplied(tmp_path: Path) -> None:
    """Two thousand equal pictures of a megabyte are two megabytes on disk; decoded one by one they fill the memory."""
    data = PICTURES[0] + b"\0" * 2**20
    path = tmp_path / "bomb.parquet"
    table = pa.table({"image": pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), [data])})
    pq.write_table(table, path, dictionary_pagesize_limit=2**23, store_schema=False)
    assert path.stat().st_size < 4 * 2**20
    before = pa.total_allocated_bytes()
    assert read_bytes(ImageRef(str(path), "image[1999]")) == data
    assert pa.total_allocated_bytes() - before < 16 * 2**20


def test_worker_processes_and_threads_read_the_same(tmp_path: Path) -> None:
    refs = pictures(saved(tmp_path, {"image": hub(*PICTURES)}))
    assert read_bytes(refs[0]) == PICTURES[0]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(read_bytes, refs * 20)) == PICTURES * 20
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as processes:
        assert list(processes.map(read_bytes, refs)) == PICTURES


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    [ref] = pictures(saved(tmp_path, {"image": hub(PICTURES[0])}))
    assert read_bytes(ref) == PICTURES[0]
    saved(tmp_path, {"image": hub(PICTURES[3]), "more": ["x" * 50]})
    assert read_bytes(ref) == PICTURES[3]


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("image[9]", "has only 2 rows"),
        ("image", r"expected column\[row\]"),
        ("image[-1]", r"expected column\[row\]"),
        ("other[0]", "no column 'other', or several of that name; the table has: image, number"),
        ("number[0]", "holds no picture"),
        ("image[1]", "holds no picture"),
    ],
)
def test_a_cell_that_is_not_there_is_named(tmp_path: Path, member: str, message: str) -> None:
    path = saved(tmp_path, {"image": [{"bytes": PICTURES[0]}, {"bytes": None}], "number": [1, 2]})
    with pytest.raises(DataError, match=message):
        decode(ImageRef(str(path), member))


@pytest.mark.parametrize("keep", [0, 3, 40, -20])
def test_a_damaged_file_is_named(tmp_path: Path, keep: int) -> None:
    path = saved(tmp_path, {"id": list("abcde"), "image": hub(*PICTURES)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="not a readable parquet table") as caught:
        list(read_table(path, ("id",), ("image",)))
    assert str(path) in str(caught.value)


def test_damaged_pages_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path, {"id": ["abc" * 50] * 5, "image": hub(*PICTURES)})
    ref = pictures(path)[0]
    data = bytearray(path.read_bytes())
    data[4:400] = b"\xff" * 396
    path.write_bytes(data)
    with pytest.raises(DataError):
        list(read_table(path, ("id",)))
    with pytest.raises(DataError):
        decode(ref)


_DAMAGED = {"id": list("abcde"), "image": hub(*PICTURES)}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data())
def test_no_damage_ends_in_anything_but_a_data_error(tmp_path: Path, data: st.DataObject) -> None:
    """Arrow ends the whole process where some parts of a damaged footer are asked for: those are not asked for."""
    path = saved(tmp_path, _DAMAGED)
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with suppress(DataError):
        for _, row in read_table(path, ("id",), ("image",)):
            if row.get("image"):
                decode(row["image"])


def test_a_row_group_of_unlikely_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, {"id": ["x" * 2000, "y" * 2000], "image": hub(*PICTURES[:2])})
    [ref, _] = pictures(path)
    monkeypatch.setattr(parquet, "MAX_GROUP", 1000)
    with pytest.raises(DataError, match="in row group 0, more than the limit"):
        list(read_table(path, ("id",)))
    with pytest.raises(DataError, match="in row group 0, more than the limit"):
        read_bytes(ref)
