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

MAX_PICTURES = 512 * 2**20
"""Uncompressed bytes of a picture column in one row group; published files have at most a tenth."""

MAX_TEXTS = 64 * 2**20
"""The same for any other column."""

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
    file = _opened(path)
    names = file.schema_arrow.names
    texts = [name for name in columns if name in names]
    leaves = {name: _leaf(file, name) for name in pictures if name in names}
    file = _opened(path, read_dictionary=list(leaves.values()))
    number = 0
    with _damage_named(path):
        for group in range(file.metadata.num_row_groups):
            _check_size(file, group, texts, MAX_TEXTS, path)
            # Where the statistics say that no cell is empty, no picture is touched.
            doubtful = {name: leaf for name, leaf in leaves.items() if _empty_cells(file, group, leaf) != 0}
            _check_size(file, group, list(doubtful.values()), MAX_PICTURES, path)
            wanted = [*texts, *doubtful.values()]
            for batch in file.iter_batches(_BATCH, row_groups=[group], columns=wanted, use_threads=False):
                there = {name: _present(batch.column(name)) for name in doubtful}
                cells = batch.select(texts).to_pylist() if texts else [{} for _ in range(batch.num_rows)]
                for place, values in enumerate(cells):
                    for name in leaves:
                        present = there[name][place] if name in there else True
                        values[name] = ImageRef(str(path), f"{name}[{number}]") if present else None
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
        leaf = _leaf(_opened(path), column)
        # Read as a dictionary, equal values take memory once: a small file cannot repeat a large one into gigabytes.
        return _opened(path, read_dictionary=[leaf])

    def _group(self, key: tuple[Any, ...], file: pq.ParquetFile) -> pa.ChunkedArray:
        if key not in self._groups:
            path, _, column, group = key
            leaves = [_leaf(file, column)]
            _check_size(file, group, leaves, MAX_PICTURES, path)
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


def _empty_cells(file: pq.ParquetFile, group: int, leaf: str) -> int | None:
    """How many cells of a column hold nothing; None if the file does not say."""
    chunks = file.metadata.row_group(group)
    found = [chunks.column(number) for number in range(chunks.num_columns)]
    statistics = next((chunk.statistics for chunk in found if chunk.path_in_schema == leaf), None)
    return int(statistics.null_count) if statistics is not None and statistics.has_null_count else None


def _present(column: pa.Array) -> list[bool]:
    """Which cells of a picture column hold one."""
    import pyarrow as pa

    held = column.flatten()[0] if pa.types.is_struct(column.type) else column
    found: list[bool] = held.is_valid().to_pylist()
    return found


@contextmanager
def _damage_named(where: object) -> Iterator[None]:
    """What Arrow raises on damaged files becomes a :class:`DataError`."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise DataError(f"{where}: not a readable parquet table ({error}). Download it again.") from error


def _leaf(file: pq.ParquetFile, column: str) -> str:
    """What is stored of a picture column: the bytes of hub pictures, or the column itself."""
    import pyarrow as pa

    if file.schema_arrow.get_field_index(column) < 0:
        raise DataError(f"No single column {column!r}; the table has: {', '.join(file.schema_arrow.names)}.")
    kind = file.schema_arrow.field(column).type
    return f"{column}.bytes" if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 else column


def _check_size(file: pq.ParquetFile, group: int, leaves: Sequence[str], limit: int, path: str | Path) -> None:
    """Refuse a row group one of whose columns is larger than any published one."""
    chunks = file.metadata.row_group(group)
    for number in range(chunks.num_columns):
        chunk = chunks.column(number)
        name, size = chunk.path_in_schema, chunk.total_uncompressed_size
        if size > limit and any(name == leaf or name.startswith(f"{leaf}.") for leaf in leaves):
            raise DataError(
                f"{path}: {size / 2**20:.0f} MiB of column {name!r} in row group {group}, more than the limit of "
                f"{limit // 2**20} MiB. Check where the file comes from."
            )
