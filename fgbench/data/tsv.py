"""Tab-separated tables with pictures as base64 text, as MMBench and VLMEvalKit publish them.

They were written by pandas: a cell that holds a tab, a line end or a quotation mark is in quotation marks, and marks
inside it are doubled. Hundreds of megabytes of such a file are pictures, so the file is mapped into memory and the text
of a picture is not even copied.
"""

from __future__ import annotations

import base64
import binascii
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fgbench.errors import DataError
from fgbench.requests import ImageRef

MAX_ROW = 64 * 2**20
"""Bytes of one row; published rows have less than two megabytes."""

MAX_COLUMNS = 256

SHORT = 64
"""Up to so many characters, a picture cell names the row that holds the picture (VLMEvalKit's rule)."""


class _Span(NamedTuple):
    start: int
    end: int
    quoted: bool


def rows(
    path: Path, columns: Sequence[str], pictures: Sequence[str]
) -> Iterator[tuple[str, dict[str, str | ImageRef | None]]]:
    """See :func:`fgbench.data.embedded.read_table`; every other cell is text as written.

    Raises:
        DataError: not UTF-8, an open quotation, or a row with another number of cells than the header.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield from _rows(data, path, columns, pictures)
    except ValueError as error:
        raise DataError(f"{path}: an empty file. Download it again.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error


def _rows(
    data: mmap.mmap, path: Path, columns: Sequence[str], pictures: Sequence[str]
) -> Iterator[tuple[str, dict[str, str | ImageRef | None]]]:
    start = 3 if data[:3] == b"\xef\xbb\xbf" else 0
    spans, position = _record(data, start, MAX_COLUMNS, f"{path}: header")
    header = [_text(data, span, f"{path}: header") for span in spans]
    if len(set(header)) < len(header):
        raise DataError(f"{path}: a column name comes twice in the header: {', '.join(header)}.")
    number = 0
    while position < len(data):
        where = f"{path}: row {number}"
        spans, position = _record(data, position, len(header), where)
        if len(spans) == 1 and spans[0].start == spans[0].end and len(header) > 1:
            continue  # pandas skips empty lines
        if len(spans) != len(header):
            raise DataError(f"{where}: {len(spans)} cells, expected {len(header)}: {', '.join(header)}.")
        row: dict[str, str | ImageRef | None] = {}
        for name, span in zip(header, spans, strict=True):
            if name in pictures:
                row[name] = _picture(data, span, path, f"{name}[{number}]", where)
            elif name in columns:
                row[name] = _text(data, span, f"{where}: column {name!r}")
        yield where, row
        number += 1


def _record(data: mmap.mmap, start: int, columns: int, where: str) -> tuple[list[_Span], int]:
    """Where the cells of one row lie, and where the next row starts."""
    limit = min(len(data), start + MAX_ROW)
    spans: list[_Span] = []
    position, line_end = start, _line_end(data, start, limit, where)
    while True:
        quoted = data[position : position + 1] == b'"'
        if quoted:
            first = position + 1
            end = _closing(data, first, limit, where)
            position = end + 1
            if position > line_end:
                line_end = _line_end(data, position, limit, where)
        else:
            first = position
            tab = data.find(b"\t", position, line_end)
            position = end = tab if tab >= 0 else line_end
            if tab < 0 and data[first:end].endswith(b"\r"):
                end -= 1
        spans.append(_Span(first, end, quoted))
        if data[position : position + 1] == b"\t":
            if len(spans) == columns:
                raise DataError(f"{where}: more than {columns} cells.")
            position += 1
        elif data[position:line_end] in (b"", b"\r"):
            return spans, line_end + 1
        else:
            raise DataError(f"{where}: text after the closing quotation mark of cell {len(spans)}.")


def _line_end(data: mmap.mmap, position: int, limit: int, where: str) -> int:
    found = data.find(b"\n", position, limit)
    if found < 0 and limit < len(data):
        raise DataError(f"{where}: longer than {MAX_ROW // 2**20} MiB; no row of a benchmark is. Not read.")
    return found if found >= 0 else len(data)


def _closing(data: mmap.mmap, position: int, limit: int, where: str) -> int:
    while (found := data.find(b'"', position, limit)) >= 0:
        if data[found + 1 : found + 2] != b'"':
            return found
        position = found + 2
    raise DataError(f"{where}: a cell in quotation marks that never ends. The file may be cut off.")


def _text(data: mmap.mmap, span: _Span, where: str) -> str:
    try:
        text = data[span.start : span.end].decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 (byte {span.start + error.start}). Convert the file to UTF-8.") from error
    return text.replace('""', '"') if span.quoted else text


def _picture(data: mmap.mmap, span: _Span, path: Path, member: str, where: str) -> str | ImageRef | None:
    size = span.end - span.start
    if size > SHORT:
        return ImageRef(str(path), member, (span.start, size))
    return _text(data, span, where) or None


def picture(ref: ImageRef, limit: int) -> bytes:
    """Decode the base64 text of a picture, of at most ``limit`` bytes or so.

    Raises:
        DataError: too long, cut off, or not base64.
    """
    assert ref.span is not None
    offset, size = ref.span
    if size > (limit + 2) // 3 * 4:
        raise DataError(f"{ref}: {size / 2**20:.0f} MiB of base64 in one cell; no benchmark picture has that.")
    try:
        with open(ref.path, "rb") as file:  # noqa: PTH123 - a Path per picture is slow at 10^5 pictures
            file.seek(offset)
            text = file.read(size)
    except OSError as error:
        raise DataError(f"{ref}: cannot be read ({error.strerror}).") from error
    if len(text) < size:
        raise DataError(f"{ref}: the table is cut off. Download it again.")
    return decoded(text, str(ref))


def decoded(text: bytes, where: str) -> bytes:
    """Base64 to bytes: the standard alphabet, padded, nothing else.

    Raises:
        DataError: anything else.
    """
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise DataError(
            f"{where}: not base64 ({error}); expected only A-Z a-z 0-9 + / and = at the end, found {text[:20]!r}…. "
            "The table is damaged; download it again."
        ) from error
