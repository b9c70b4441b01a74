"""JSON files in the manner of COCO's, an object of lists of objects, read as columns.

Per object in Python, LVIS's 244,707 boxes take longer than everything else in a plan. So outlines, which nothing here
asks for and which are nine tenths of such files, are cut out of the text before it is parsed; fields are checked a
column at a time; and the columns of a large file are kept in fgbench's cache folder until the file changes.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fgbench.data.annotations import box, column, read_json
from fgbench.data.annotations import field as get
from fgbench.data.array_files import read_arrays, write_arrays
from fgbench.data.roots import cache_folder
from fgbench.data.uncollected import without_collection
from fgbench.errors import DataError, StoreError

Kind: TypeAlias = Literal["integer", "number", "text", "box", "flag", "integers"]
"""What a field holds: int64 [n]; float64 [n]; strings; float64 [n, 4] (x, y, width, height); bool [n] (absent is
false); lists of integers.
"""

Wanted: TypeAlias = Mapping[str, Mapping[str, Kind]]
"""Fields by list."""

KEPT_FROM = 4 * 2**20
"""Bytes from which a file's columns are kept: a smaller file is parsed as fast."""

_SCHEMA = "fgbench.columns/1"
_NAMED_BY_ID = {"images": "image", "categories": "category"}

# Inside valid JSON, a quoted word before a colon is a key: quotes within strings are escaped. Only lists of lists of
# numbers are taken, so that nothing but an outline can go.
_LIST = rb"\[[-+.\deE,\s]*\]"
_OUTLINES = re.compile(rb'"segmentation"\s*:\s*\[\s*' + _LIST + rb"(?:\s*,\s*" + _LIST + rb")*\s*\]")


@dataclass(frozen=True)
class Lists:
    """Lists of integers, end to end: int64 values, and int64 [n] where each list ends."""

    values: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]

    def __getitem__(self, row: int) -> npt.NDArray[np.int64]:
        return self.values[self.ends[row - 1] if row else 0 : self.ends[row]]


@dataclass(frozen=True)
class Table:
    """One list of a file.

    Attributes:
        path, name: of the file and the list.
        rows: how many objects it has.
        columns: by field, as :data:`Kind` says.
        lacking: why a field is no column, by field.
        absent: those of them that no object has.
    """

    path: Path
    name: str
    rows: int
    columns: Mapping[str, Any]
    lacking: Mapping[str, str] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()

    def need(self, name: str) -> Any:
        """A column.

        Raises:
            DataError: an object lacks the field, or has something else there.
        """
        if name in self.lacking:
            raise DataError(self.lacking[name])
        return self.columns[name]

    def maybe(self, name: str) -> Any | None:
        """A column, or None if no object has the field.

        Raises:
            DataError: some objects have it, and not all of them as it should be.
        """
        return None if name in self.absent else self.need(name)

    def where(self, row: int) -> str:
        """Names an object in messages: pictures and categories by their id, others by their place in the list."""
        ids = self.columns.get("id")
        if self.name in _NAMED_BY_ID and ids is not None:
            return f"{self.path}: {_NAMED_BY_ID[self.name]} {ids[row]}"
        return f"{self.path}: {self.name}[{row}]"

    def unique_ids(self) -> npt.NDArray[np.int64]:
        """The ids: int64 [rows].

        Raises:
            DataError: an id is missing, or occurs twice.
        """
        ids: npt.NDArray[np.int64] = self.need("id")
        order = np.argsort(ids, kind="stable")
        twice = order[1:][ids[order[1:]] == ids[order[:-1]]]
        if len(twice):
            row = int(twice.min())
            raise DataError(
                f"{self.path}: {self.name}[{row}]: id {ids[row]} occurs twice; each of the {self.name} needs an id of "
                "its own."
            )
        return ids


def read_tables(path: Path, wanted: Wanted) -> dict[str, Table]:
    """Read lists of a JSON file as columns.

    A field that is missing or wrong becomes an error only when it is asked for (:meth:`Table.need`).

    Args:
        path: the file, UTF-8.
        wanted: fields by list; each list has to be there.

    Raises:
        DataError: not JSON, not an object, or a list is missing or holds something else than objects.
    """
    kept = _kept_at(path, wanted)
    if kept is not None:
        with suppress(DataError):
            return _unpacked(path, *read_arrays(kept.place), stamp=kept.stamp)
    with without_collection():
        content = _parsed(path)
        if not isinstance(content, dict):
            listed = " and ".join(map(repr, wanted))
            raise DataError(f"{path}: expected an object with {listed}, as in COCO's annotation files.")
        tables = {name: _table(path, content, name, fields) for name, fields in wanted.items()}
        del content
    if kept is not None:
        with suppress(StoreError):  # a cache that cannot be written costs time, nothing else
            write_arrays(kept.place, *_packed(tables, kept.stamp))
    return tables


def _parsed(path: Path) -> Any:
    with suppress(ValueError, RecursionError, OSError):
        return json.loads(_OUTLINES.sub(b'"segmentation":0', path.read_bytes()).decode("utf-8-sig"))
    return read_json(path)  # which says what is wrong, and where


def _table(path: Path, content: Mapping[str, Any], name: str, fields: Mapping[str, Kind]) -> Table:
    rows = get(content, name, list, str(path))
    if not set(map(type, rows)) <= {dict}:
        index, row = next((index, row) for index, row in enumerate(rows) if not isinstance(row, dict))
        raise DataError(f"{path}: {name}[{index}] should be an object, found {row!r:.60}.")
    columns: dict[str, Any] = {}
    lacking: dict[str, str] = {}
    table = Table(path, name, len(rows), columns, lacking)
    absent = set()
    for key, kind in fields.items():
        try:
            columns[key] = _READ[kind](rows, key, table.where)
        except DataError as error:
            lacking[key] = str(error)
            if not any(key in row for row in rows):
                absent.add(key)
    return Table(path, name, len(rows), columns, lacking, frozenset(absent))


Rows: TypeAlias = Sequence[Mapping[str, Any]]
Where: TypeAlias = Callable[[int], str]


def _integers(rows: Rows, name: str, where: Where) -> npt.NDArray[np.int64]:
    return np.array(column(rows, name, int, where), dtype=np.int64)


def _numbers(rows: Rows, name: str, where: Where) -> npt.NDArray[np.float64]:
    with suppress(OverflowError):
        values = [row.get(name) for row in rows]
        if set(map(type, values)) <= {int, float}:
            return np.array(values, dtype=np.float64)
    return np.array(column(rows, name, float, where), dtype=np.float64)


def _texts(rows: Rows, name: str, where: Where) -> list[str]:
    return list(column(rows, name, str, where))


def _flags(rows: Rows, name: str, where: Where) -> npt.NDArray[np.bool_]:
    return np.fromiter((bool(row.get(name)) for row in rows), dtype=bool, count=len(rows))


def _boxes(rows: Rows, name: str, where: Where) -> npt.NDArray[np.float64]:
    values = column(rows, name, list, where)
    flat = list(itertools.chain.from_iterable(values))
    if set(map(len, values)) <= {4} and set(map(type, flat)) <= {int, float}:
        with suppress(OverflowError):
            return np.array(flat, dtype=np.float64).reshape(-1, 4)
    return np.array([box(row, where(number), name) for number, row in enumerate(rows)], dtype=np.float64)


def _lists(rows: Rows, name: str, where: Where) -> Lists:
    values = column(rows, name, list, where)
    for number, row in enumerate(values):
        for value in row:
            if type(value) is not int or not 0 <= value < 2**63:
                raise DataError(f"{where(number)}: field {name!r} holds {value!r:.60}, which is no category's id.")
    flat = np.array(list(itertools.chain.from_iterable(values)), dtype=np.int64)
    return Lists(flat, np.cumsum(np.array(list(map(len, values)), dtype=np.int64)))


_READ: Mapping[Kind, Callable[[Rows, str, Where], Any]] = {
    "integer": _integers,
    "number": _numbers,
    "text": _texts,
    "box": _boxes,
    "flag": _flags,
    "integers": _lists,
}


@dataclass(frozen=True)
class _Kept:
    """Where a file's columns are kept, and what has to be equal for them to be the file's."""

    place: Path
    stamp: str


def _kept_at(path: Path, wanted: Wanted) -> _Kept | None:
    try:
        status = path.stat()
    except OSError:
        return None
    if status.st_size < KEPT_FROM:
        return None
    where = hashlib.sha256(json.dumps([os.path.realpath(path), wanted]).encode()).hexdigest()[:32]
    # The time of the last change of status cannot be set back by copying a file's times along with it.
    facts = [_SCHEMA, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev]
    return _Kept(cache_folder() / "annotations" / f"{where}.safetensors", json.dumps(facts))


def _packed(tables: Mapping[str, Table], stamp: str) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    arrays: dict[str, npt.NDArray[Any]] = {}
    about = {}
    for name, table in tables.items():
        about[name] = {"rows": table.rows, "lacking": dict(table.lacking), "absent": sorted(table.absent)}
        for key, value in table.columns.items():
            if isinstance(value, list):
                arrays[f"text/{name}/{key}"] = np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)
            elif isinstance(value, Lists):
                arrays[f"values/{name}/{key}"] = value.values
                arrays[f"ends/{name}/{key}"] = value.ends
            else:
                arrays[f"array/{name}/{key}"] = value
    return arrays, {"stamp": stamp, "tables": json.dumps(about)}


def _unpacked(
    path: Path, arrays: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str], *, stamp: str
) -> dict[str, Table]:
    """The tables that were packed.

    Raises:
        DataError: they are those of another state of the file.
    """
    if metadata.get("stamp") != stamp:
        raise DataError(f"{path}: has changed since its columns were kept.")
    columns: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        form, table, key = name.split("/")
        if form == "array":
            columns.setdefault(table, {})[key] = array
        elif form == "text":
            columns.setdefault(table, {})[key] = json.loads(array.tobytes())
        elif form == "values":
            columns.setdefault(table, {})[key] = Lists(array, arrays[f"ends/{table}/{key}"])
    return {
        name: Table(path, name, each["rows"], columns.get(name, {}), each["lacking"], frozenset(each["absent"]))
        for name, each in json.loads(metadata["tables"]).items()
    }
