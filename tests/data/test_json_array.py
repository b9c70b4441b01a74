"""Streaming a JSON array of which only the beginning is wanted."""

from __future__ import annotations

import io
import itertools
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fgbench.data.annotations import read_json_array
from fgbench.errors import DataError

TEXT = st.text(st.sampled_from('ab "\\[]{},:\n\t语🙂\u2028é'), max_size=12)
ROWS = st.lists(st.dictionaries(TEXT, TEXT | st.integers() | st.lists(TEXT, max_size=2), max_size=3), max_size=5)
SPACE = st.text(st.sampled_from(" \n\r\t"), max_size=4)


def taken(path: Path, count: int | None = None, block: int = 1 << 20) -> list[dict[str, Any]]:
    return [row for _, row in itertools.islice(read_json_array(path, block), count)]


@given(ROWS, st.integers(1, 50), st.booleans(), SPACE, st.booleans())
@example([{}], 1, False, "\n", False)
@example([{"a": "\U0001f642"}, {}], 2, False, "", True)
def test_any_list_of_objects_is_read_with_any_block(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], block: int, escaped: bool, space: str, mark: bool
) -> None:
    """White space in every place that the grammar allows, characters of several bytes, a byte order mark."""
    encoded = [json.dumps(row, ensure_ascii=escaped) for row in rows]
    text = f"{space}[{space}" + f"{space},{space}".join(encoded) + f"{space}]{space}"
    path = tmp_path_factory.mktemp("array") / "rows.json"
    path.write_bytes(text.encode("utf-8-sig" if mark else "utf-8"))
    assert taken(path, block=block) == rows


@pytest.mark.parametrize("block", range(1, 12))
def test_characters_of_several_bytes_may_lie_across_the_end_of_a_block(tmp_path: Path, block: int) -> None:
    rows = [{"键": "🙂é语" * 3}, {"b": "é"}]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    assert taken(path, block=block) == rows


def test_rows_longer_than_a_block_are_read(tmp_path: Path) -> None:
    rows = [{"n": number, "text": "x" * (10 ** (number % 6))} for number in range(12)]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    assert taken(path, block=100) == rows


def big_rows() -> Iterator[str]:
    """About 1.2 KB each, as in the published file."""
    for number in itertools.count():
        row = {"image": f"sam/images/sa_{number}.jpg", "conversations": [{}, {"value": "A long caption. " * 70}]}
        yield json.dumps(row)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An array of 50 MB, indented by one row per line; its end is broken, which nobody may notice."""
    path = tmp_path_factory.mktemp("big") / "rows.json"
    with path.open("w", encoding="utf-8") as file:
        file.write("[\n")
        for row in big_rows():
            file.write(f"{row},\n")
            if file.tell() > 50_000_000:
                break
        file.write("broken")
    return path


class Counting(io.TextIOWrapper):
    """Counts the characters that were asked for."""

    characters = 0

    def read(self, size: int | None = -1, /) -> str:
        text = super().read(size)
        Counting.characters += len(text)
        return text


def test_1000_rows_of_50_mb_read_the_beginning_only(big: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [json.loads(row) for row in itertools.islice(big_rows(), 1000)]
    needed = sum(len(json.dumps(row)) + 2 for row in wanted)

    def opened(path: Path, *args: Any, encoding: str, **kwargs: Any) -> Counting:
        return Counting(io.BufferedReader(io.FileIO(path)), encoding=encoding)

    monkeypatch.setattr(Path, "open", opened)
    Counting.characters = 0
    assert taken(big, 1000) == wanted
    assert needed < 1_400_000
    assert Counting.characters <= needed + 2 * (1 << 20)


def test_memory_does_not_grow_with_the_file(big: Path) -> None:
    tracemalloc.start()
    try:
        count = sum(1 for _ in itertools.islice(read_json_array(big, 1 << 16), 9000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 9000  # 11 of the 50 MB
    assert peak < 1_500_000


def test_the_file_is_closed_when_the_reader_is_dropped(big: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files: list[io.TextIOWrapper] = []
    real = Path.open

    def opened(self: Path, *args: Any, **kwargs: Any) -> Any:
        files.append(real(self, *args, **kwargs))
        return files[-1]

    monkeypatch.setattr(Path, "open", opened)
    rows = read_json_array(big)
    next(rows)
    assert [file.closed for file in files] == [False]
    rows.close()  # type: ignore[attr-defined]
    assert [file.closed for file in files] == [True]


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("rows", [1, 3])
def test_a_file_that_is_cut_off_gives_its_complete_rows_and_then_says_so(tmp_path: Path, block: int, rows: int) -> None:
    complete = json.dumps([{"caption": "one, [two] {three}", "n": number} for number in range(3)])
    path = tmp_path / "rows.json"
    ends = [index + 1 for index, character in enumerate(complete) if complete[index : index + 2] in ("},", "}]")]
    for end in range(ends[rows - 1], ends[rows] if rows < 3 else len(complete) - 1):
        path.write_text(complete[:end], encoding="utf-8")
        reader = read_json_array(path, block)
        assert [next(reader)[1]["n"] for _ in range(rows)] == list(range(rows))
        with pytest.raises(DataError, match=rf"{path}: row {rows} is not valid JSON.*may be cut off"):
            next(reader)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"rows": []}', "expected a JSON array, found"),
        ('{"a": 1}\n{"a": 2}\n', "expected a JSON array, found"),
        ("", "expected a JSON array, found ''"),
        ("   ", "expected a JSON array"),
        ("<html>", "expected a JSON array, found '<"),
        ("[[{}]]", "row 0 should be an object, found a list"),
        ("[{}, null]", "row 1 should be an object, found nothing"),
        ("[{}, {}, 'x']", "row 2 is not valid JSON"),
        ("[,{}]", "row 0 is not valid JSON"),
        ("[{},,{}]", "row 1 is not valid JSON"),
        ("[{},]", "row 1 is not valid JSON"),
        ("[{}; {}]", "row 1 is not valid JSON: expected ','"),
        ('[{"a": NaN oops}]', "row 0 is not valid JSON"),
    ],
)
@pytest.mark.parametrize("block", [1, 5, 1 << 20])
def test_what_is_no_array_of_objects_is_refused_with_the_row(
    tmp_path: Path, text: str, message: str, block: int
) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        taken(path, block=block)
    assert str(path) in str(caught.value)


def test_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes('[{"a": "语言"}]'.encode("gb18030"))
    with pytest.raises(DataError, match="not UTF-8"):
        taken(path)


@pytest.mark.parametrize("name", ["absent.json", ""])
def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        taken(tmp_path / name)


def test_what_follows_the_array_is_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text("[{}] and more", encoding="utf-8")
    assert taken(path, block=1) == [{}]
