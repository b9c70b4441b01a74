"""Streaming the arrays of a JSON object."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.data.json_stream import read_json_arrays
from fgbench.errors import DataError

TEXT = st.text(st.sampled_from('ab "\\[]{},:\n\t语🙂\u2028é'), max_size=12)
ROWS = st.lists(st.dictionaries(TEXT, TEXT | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False)), max_size=5)
OTHER = st.dictionaries(TEXT.map("other {}".format), ROWS | st.integers() | TEXT | st.none() | st.lists(st.integers()))


def written(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@given(ROWS, ROWS, OTHER, st.integers(1, 200), st.sampled_from([None, 1]), st.booleans())
def test_any_object_is_read_with_any_block(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[Any],
    second: list[Any],
    other: dict[str, Any],
    block: int,
    indent: int | None,
    escaped: bool,
) -> None:
    path = tmp_path_factory.getbasetemp() / "stream.json"
    content = {"images": first, **other, "marks": second}
    path.write_text(json.dumps(content, indent=indent, ensure_ascii=escaped), encoding="utf-8")
    found = [(name, row) for name, _, row in read_json_arrays(path, ("images", "marks"), block)]
    assert found == [("images", row) for row in first] + [("marks", row) for row in second]


def test_where_says_file_array_and_number(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", {"x": [1], "images": [{}, {}]})
    assert [where for _, where, _ in read_json_arrays(path, ("images",))] == [f"{path}: images[{n}]" for n in (0, 1)]


def test_the_file_is_never_held(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", {"x": [{"a": "b" * 500}] * 20_000, "images": [{"a": "b" * 500}] * 4_000})
    tracemalloc.start()
    count = sum(1 for _ in read_json_arrays(path, ("images",), 1 << 16))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 4_000
    assert path.stat().st_size > 10_000_000 > 10 * peak


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected '{', found the end of the file"),
        ("[]", r"expected '\{', found '\[\]'"),
        ('{"images": []', "expected ',', found the end of the file"),
        ('{"images": [{}', "expected ',', found the end of the file"),
        ('{"images": [{} {}]}', r"expected ',', found '\{\}\]\}'"),
        ('{"images": [{"a": 1]}', r"images\[0\]: not valid JSON: .* may be cut off"),
        ('{"images": [1]}', r"images\[0\] should be an object, found 1"),
        ('{"images": {}}', r"expected '\[', found '\{\}\}'"),
        ('{"x": []}', "no array 'images'; present are x"),
        ('{"x": 1 "images": []}', "expected ','"),
        ("{1: []}", "expected the name of a member, found 1"),
        ('{"images": [' + "[" * 100_000, "images.*(not valid JSON|RecursionError)"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path / "a.json", text)
    with pytest.raises(DataError, match=message) as caught:
        list(read_json_arrays(path, ("images",)))
    assert str(path) in str(caught.value)


def test_other_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"images": ["\xff"]}')
    with pytest.raises(DataError, match="not UTF-8"):
        list(read_json_arrays(tmp_path / "a.json", ("images",)))
    with pytest.raises(DataError, match="cannot be read"):
        list(read_json_arrays(tmp_path / "b.json", ("images",)))
