"""Tables of text with base64 pictures, against pandas, which wrote the published ones."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.data import tsv
from fgbench.data.embedded import read_table
from fgbench.data.images import MAX_BYTES, decode, probe, read_bytes
from fgbench.errors import DataError
from fgbench.requests import ImageRef

from .test_images import encoded, noise, png_of_size

PICTURE = encoded(noise(), "PNG")
TEXT = base64.b64encode(PICTURE).decode()


def saved(folder: Path, content: str | bytes, name: str = "table.tsv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def cells(path: Path, *columns: str) -> list[list[object]]:
    return [[row.get(name) for name in columns] for _, row in read_table(path, columns)]


def pictures(path: Path) -> list[str | ImageRef | None]:
    return [row["image"] for _, row in read_table(path, (), ("image",))]


cell = st.text(st.one_of(st.sampled_from("\t\n\"' a狗,NAnan=\u2028"), st.characters(codec="utf-8")), max_size=12)


class TestText:
    @given(st.lists(st.tuples(cell, cell, cell), min_size=1, max_size=6))
    def test_what_pandas_writes_is_read_back(self, rows: list[tuple[str, str, str]]) -> None:
        # pandas leaves a lone carriage return unquoted in some versions.
        rows = [tuple(value.replace("\r", "") for value in row) for row in rows]  # type: ignore[misc]
        buffer = io.StringIO()
        pd.DataFrame(rows, columns=["index", "question", "A"]).to_csv(
            buffer, sep="\t", index=False, lineterminator="\n"
        )
        found = list(scanned(buffer.getvalue().encode(), ["index", "question", "A"]))
        assert found == [list(row) for row in rows]

    def test_marks_line_ends_and_a_byte_order_mark(self, tmp_path: Path) -> None:
        path = saved(tmp_path, '\ufeffa\tb\r\n5" disk\t"x\t""y""\r\nz"\r\n\r\n\t\r\n"last"\tNA')
        assert cells(path, "a", "b") == [['5" disk', 'x\t"y"\r\nz'], ["", ""], ["last", "NA"]]

    def test_only_wanted_columns_are_there_and_rows_are_named(self, tmp_path: Path) -> None:
        path = saved(tmp_path, "a\tb\tc\n1\t2\t3\n4\t5\t6\n")
        assert list(read_table(path, ("c", "missing"))) == [
            (f"{path}: row 0", {"c": "3"}),
            (f"{path}: row 1", {"c": "6"}),
        ]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "an empty file"),
            (b"a\tb\n1\t2\t3\n", "row 0: more than 2 cells"),
            (b"a\tb\tc\n1\t2\t3\n1\t2\n", "row 1: 2 cells, expected 3: a, b, c"),
            (b'a\tb\n"1\t2\n', "row 0: a cell in quotation marks that never ends"),
            (b'a\tb\n"1"x\t2\n', "row 0: text after the closing quotation mark of cell 1"),
            (b"a\ta\n1\t2\n", "a column name comes twice"),
            (b"a\tb\n1\t\xff\n", "row 0: column 'b': not UTF-8 .byte 6."),
            (b"a\xff\tb\n1\t2\n", "header: not UTF-8"),
            (b"\t".join(b"%d" % n for n in range(300)), "header: more than 256 cells"),
        ],
    )
    def test_a_malformed_table_is_named(self, tmp_path: Path, content: bytes, message: str) -> None:
        path = saved(tmp_path, content)
        with pytest.raises(DataError, match=message) as caught:
            cells(path, "a", "b")
        assert str(path) in str(caught.value)

    @pytest.mark.parametrize("start", ["", '"'])
    def test_an_endless_row_is_not_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str) -> None:
        monkeypatch.setattr(tsv, "MAX_ROW", 1000)
        path = saved(tmp_path, "a\tb\n1\t" + start + "A" * 5000 + start)
        with pytest.raises(DataError, match=r"row 0: (longer than|a cell in quotation marks)"):
            cells(path, "a")

    def test_another_suffix_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"expected a table, that is a file ending in \.tsv or \.parquet"):
            read_table(saved(tmp_path, "a\n1\n", "table.csv"), ())

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="cannot be read"):
            cells(tmp_path / "table.tsv", "a")


def scanned(data: bytes, columns: list[str]) -> list[list[str]]:
    """The rows of a table in memory."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return [[str(value) for value in row] for row in cells(saved(Path(folder), data), *columns)]


class TestPictures:
    def test_a_picture_is_where_its_text_is(self, tmp_path: Path) -> None:
        path = saved(tmp_path, f'q\timage\tz\nx\t{TEXT}\ty\n"a\nb"\t"{TEXT}"\ty\n')
        found = pictures(path)
        assert [str(ref) for ref in found] == [f"{path}!image[0]", f"{path}!image[1]"]
        for ref in found:
            assert isinstance(ref, ImageRef)
            assert read_bytes(ref) == PICTURE
            assert decode(ref).tobytes() == noise().tobytes()
        assert len({probe(ref) for ref in found if isinstance(ref, ImageRef)}) == 1

    def test_a_short_cell_is_the_name_of_a_row(self, tmp_path: Path) -> None:
        path = saved(tmp_path, f"image\tq\n{TEXT}\tx\n241\tx\n\tx\n{'A' * 64}\tx\n{'A' * 65}\tx\n")
        found = pictures(path)
        assert found[1:4] == ["241", None, "A" * 64]
        assert isinstance(found[4], ImageRef)

    @pytest.mark.parametrize(
        "text",
        ["*" * 80, TEXT + "=", TEXT[:-4] + " ===", "A" * 81, TEXT[:40] + "\n" + TEXT[40:], "狗" * 80, "=" * 80],
        ids=["alphabet", "padding", "blank", "length", "line end", "not ascii", "only padding"],
    )
    def test_anything_but_strict_base64_is_refused(self, tmp_path: Path, text: str) -> None:
        [ref] = pictures(saved(tmp_path, f'image\tq\n"{text}"\tx\n'))
        assert isinstance(ref, ImageRef)
        with pytest.raises(DataError, match=r"table\.tsv!image\[0\]: not base64"):
            read_bytes(ref)

    def test_base64_of_no_picture_is_no_picture(self, tmp_path: Path) -> None:
        """A hundred kilobytes of the letter A are as many zero bytes."""
        [ref] = pictures(saved(tmp_path, f"image\n{'A' * 100_000}\n"))
        assert isinstance(ref, ImageRef)
        with pytest.raises(DataError, match="not a picture that can be opened"):
            probe(ref)

    def test_an_image_bomb_is_not_decoded(self, tmp_path: Path) -> None:
        text = base64.b64encode(png_of_size(12_000, 12_000)).decode()
        [ref] = pictures(saved(tmp_path, f"image\n{text}\n"))
        assert isinstance(ref, ImageRef)
        with pytest.raises(DataError, match="more than the limit"):
            probe(ref)

    def test_a_cell_beyond_the_limit_is_not_read(self, tmp_path: Path) -> None:
        path = saved(tmp_path, f"image\n{TEXT}\n")
        with pytest.raises(DataError, match="MiB of base64 in one cell"):
            read_bytes(ImageRef(str(path), "image[0]", (6, 2 * MAX_BYTES)))

    def test_a_table_that_shrank_is_named(self, tmp_path: Path) -> None:
        path = saved(tmp_path, f"image\n{TEXT}\n")
        [ref] = pictures(path)
        assert isinstance(ref, ImageRef)
        saved(tmp_path, "image\n")
        with pytest.raises(DataError, match="cut off"):
            read_bytes(ref)
        path.unlink()
        with pytest.raises(DataError, match="cannot be read"):
            read_bytes(ref)
