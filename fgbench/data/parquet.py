"""Parquet tables with pictures, as the hub stores datasets; read lazily, row group by row group.

A picture column of the hub is a struct of ``bytes`` and ``path``. Plain binary columns, and base64 text, are read too.
"""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fgbench.data.archives import stamp
from fgbench.data.tsv import decoded
from fgbench.errors import DataError
from fgbench.requests import ImageRef

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MAX_GROUP = 512 * 2**20
"""Uncompressed bytes of one row group; published ones have at most a fifth."""

KEPT = 128 * 2**20
"""Bytes of decoded pictures that a process keeps, because prompts do not come in the order of the rows."""

MAX_OPEN = 64
"""Files open at a time."""

_BATCH = 16
_CELL = re.compile(r"(?P<column>.+)\[(?P<row>\d{1,12})\]", re.DOTALL)


def rows(path: Path, columns: Sequence[str], pictures: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """See :func:`fgbench.data.embedded.read_table`; cells are Python values.

    Raises:
        DataError: not a parquet file, or damaged.
    """
    with _damage_named(path):
        file = _opened(path)
        names = file.schema_arrow.names
        texts = [name for name in columns if name in names]
        shown = [name for name in pictures if name in names]
        # The stored name of a hub picture tells whether there is one, and is all that is read of it.
        leaves = [_leaf(file, name, "path", path) for name in shown]
        file = _opened(path, read_dictionary=leaves)
        number = 0
        for group in range(file.metadata.num_row_groups):
            _check_size(file, group, path)
            for batch in file.iter_batches(_BATCH, row_groups=[group], columns=[*texts, *leaves], use_threads=False):
                there = {name: batch.column(name).is_valid().to_pylist() for name in shown}
                cells = batch.select(texts).to_pylist() if texts else [{} for _ in range(batch.num_rows)]
                for place, values in enumerate(cells):
                    for name in shown:
                        values[name] = ImageRef(str(path), f"{name}[{number}]") if there[name][place] else None
                    yield f"{path}: row {number}", values
                    number += 1


def picture(ref: ImageRef) -> bytes:
    """Bytes of a picture.

    Raises:
        DataError: no such cell, no picture in it, or a damaged file.
    """
    match = _CELL.fullmatch(ref.member)
    if not match:
        raise DataError(f"{ref}: expected column[row] as the name of a cell, found {ref.member!r}.")
    column, row = match["column"], int(match["row"])
    with _damage_named(ref):
        value = _reader(os.getpid()).cell(ref.path, column, row)
    if isinstance(value, dict):
        value = value.get("bytes")
    if isinstance(value, str):
        return decoded(value.encode(), str(ref))
    if not isinstance(value, bytes):
        raise DataError(f"{ref}: the cell holds no picture. Take a copy of the table with the pictures embedded.")
    return value


class _Reader:
    """Open files and decoded row groups of one process."""

    def __init__(self) -> None:
        # One thread at a time: several would each load the row group that the others are loading.
        self._lock = threading.Lock()
        self._files: OrderedDict[tuple[Any, ...], pq.ParquetFile] = OrderedDict()
        self._groups: OrderedDict[tuple[Any, ...], pa.ChunkedArray] = OrderedDict()

    def cell(self, path: str, column: str, row: int) -> Any:
        with self._lock:
            key = (path, stamp(path), column)
            if key not in self._files:
                self._files[key] = self._open(path, column)
            file, left = self._files[key], row
            for group in range(file.metadata.num_row_groups):
                if left < file.metadata.row_group(group).num_rows:
                    return self._group((*key, group), file)[left].as_py()
                left -= file.metadata.row_group(group).num_rows
            raise DataError(f"{path}: no row {row}, the table has only {file.metadata.num_rows} rows.")

    def _open(self, path: str, column: str) -> pq.ParquetFile:
        if len(self._files) >= MAX_OPEN:
            self._files.popitem(last=False)
        leaf = _leaf(_opened(path), column, "bytes", path)
        # Read as a dictionary, equal values take memory once: a small file cannot repeat a large one into gigabytes.
        return _opened(path, read_dictionary=[leaf])

    def _group(self, key: tuple[Any, ...], file: pq.ParquetFile) -> pa.ChunkedArray:
        if key not in self._groups:
            path, _, column, group = key
            leaves = [_leaf(file, column, "bytes", path)]
            _check_size(file, group, path)
            self._groups[key] = file.read_row_group(group, columns=leaves, use_threads=False).column(0)
            while len(self._groups) > 1 and sum(each.nbytes for each in self._groups.values()) > KEPT:
                self._groups.popitem(last=False)
        self._groups.move_to_end(key)
        return self._groups[key]


@lru_cache(maxsize=2)
def _reader(process: int) -> _Reader:
    """One per process: a forked worker must share neither a file position nor a lock that is held."""
    return _Reader()


def _opened(path: str | Path, **options: Any) -> pq.ParquetFile:
    import pyarrow.parquet as pq

    with _damage_named(path):
        return pq.ParquetFile(str(path), pre_buffer=False, **options)


@contextmanager
def _damage_named(where: object) -> Iterator[None]:
    """What Arrow raises on damaged files becomes a :class:`DataError`."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, LookupError, MemoryError) as error:
        raise DataError(f"{where}: not a readable parquet table ({error}). Download it again.") from error


def _leaf(file: pq.ParquetFile, column: str, part: str, path: str | Path) -> str:
    """What is stored of a picture column: ``part`` of a hub picture, or the column itself."""
    import pyarrow as pa

    if file.schema_arrow.get_field_index(column) < 0:
        listed = ", ".join(file.schema_arrow.names)
        raise DataError(f"{path}: no column {column!r}, or several of that name; the table has: {listed}.")
    kind = file.schema_arrow.field(column).type
    return f"{column}.{part}" if pa.types.is_struct(kind) and kind.get_field_index(part) >= 0 else column


def _check_size(file: pq.ParquetFile, group: int, path: str | Path) -> None:
    """Refuse a row group larger than any published one.

    Sizes of single columns are not looked at: asked for them, Arrow ends the process if the footer is damaged.
    """
    size = file.metadata.row_group(group).total_byte_size
    if not 0 <= size <= MAX_GROUP:
        raise DataError(
            f"{path}: {size / 2**20:,.0f} MiB in row group {group}, more than the limit of {MAX_GROUP // 2**20} MiB. "
            "Check where the file comes from."
        )
