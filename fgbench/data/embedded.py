"""Annotation tables that hold the pictures themselves: TSV with base64 cells, parquet with rows of bytes.

A picture in a table is an :class:`~fgbench.requests.ImageRef` to the table. Its member is ``column[row]``, with rows
counted from 0; in a TSV table its span is that of the base64 text. Reading a table leaves its pictures where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fgbench.data import parquet, tsv
from fgbench.errors import DataError
from fgbench.requests import ImageRef

TABLES = (".tsv", ".parquet")


def is_embedded(ref: ImageRef) -> bool:
    """Is this a picture in a table (judged by the table's name)?"""
    return bool(ref.member) and ref.path.lower().endswith(TABLES)


def read_cell(ref: ImageRef, limit: int) -> bytes:
    """Bytes of a picture in a table, at most ``limit + 1`` of them.

    Raises:
        DataError: no such cell, not base64, or a damaged table.
    """
    data = parquet.picture(ref) if ref.span is None else tsv.picture(ref, limit)
    return data[: limit + 1]


def read_table(
    path: Path, columns: Sequence[str], pictures: Sequence[str] = ()
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (where, row) for every row of a TSV or parquet table; ``where`` is ``file: row N``, counted from 0.

    Args:
        path: the table; its suffix decides how it is read.
        columns: columns wanted; those that the table lacks are absent from the rows.
        pictures: picture columns wanted, likewise. Their cells become an ``ImageRef``, None if there is nothing in
            the cell, or in TSV tables the text itself if it has at most 64 characters: the name of another row, which
            holds the picture.

    Raises:
        DataError: not such a table, or damaged; the message has the row.
    """
    suffix = path.suffix.lower()
    if suffix == ".tsv":
        return tsv.rows(path, columns, pictures)
    if suffix == ".parquet":
        return parquet.rows(path, columns, pictures)
    raise DataError(f"{path}: expected a table, that is a file ending in {' or '.join(TABLES)}.")
