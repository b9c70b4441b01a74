"""Matrices of numbers in MATLAB 5 files (what ``save`` writes without ``-v7.3``), read without trusting the file.

A file is a header of 128 bytes and elements, each a type, a size and so many bytes; a matrix is an element that holds
four others: flags, dimensions, name, values. Values may be stored in a smaller type than the matrix has, and elements
may be compressed. Nothing else of the format is needed for label maps.

Source: MathWorks, MAT-File Format (Level 5).
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fgbench.errors import DataError

_MATRIX, _COMPRESSED = 14, 15
_TYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_NUMERIC = range(6, 16)
"""Array classes double to uint64."""
_COMPLEX = 0x0800
_HEAD = 4096
"""Bytes of a compressed matrix in which flags, dimensions and name have to end."""


class Matrix(NamedTuple):
    """A matrix whose values have not been looked at.

    Attributes:
        shape: as declared.
        data: the element, perhaps compressed.
        compressed: is it?
        at: where the values begin in the element when it is not.
        order: ``<`` or ``>``.
        where: the file, for messages.
    """

    shape: tuple[int, ...]
    data: memoryview
    compressed: bool
    at: int
    order: str
    where: str

    def values(self) -> npt.NDArray[Any]:
        """All values, in the type they are stored in. Check the shape before: it is only as large as it says.

        Raises:
            DataError: damaged.
        """
        try:
            count = math.prod(self.shape)
            # What the element says of its own size is not relied on: values have at most 8 bytes, after a tag of 8.
            data = _inflate(self.data, self.at + 8 + 8 * count) if self.compressed else self.data
            kind, start, size, _ = _element(data, self.at, self.order)
            dtype = np.dtype(self.order + _TYPES[kind])
            if size != count * dtype.itemsize or start + size > len(data):
                raise ValueError("the values do not fill the matrix")
            return np.frombuffer(data, dtype, count, start).reshape(self.shape, order="F")
        except (ValueError, KeyError, struct.error, zlib.error) as error:
            raise DataError(f"{self.where}: damaged MATLAB 5 file ({error}). Download it again.") from error


def find_matrix(data: bytes, name: str, where: str) -> Matrix:
    """Find a real matrix of numbers by its name; reads its head only.

    Args:
        data: the file.
        name: of the matrix.
        where: the file, for messages.

    Raises:
        DataError: not a MATLAB 5 file, damaged, or without such a matrix.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if not data.startswith(b"MATLAB 5.0 MAT-file") or order is None:
        raise DataError(
            f"{where}: not a MATLAB 5 file ({len(data)} bytes starting with {data[:10]!r}). Save files of MATLAB 7.3 "
            "again with the option -v7."
        )
    names = []
    at = 128
    try:
        while at < len(data):
            kind, start, size, after = _element(data, at, order)
            if start + size > len(data):
                raise ValueError("cut off")
            body = memoryview(data)[start : start + size]
            head: bytes | memoryview = body
            inner = 0
            if kind == _COMPRESSED:
                head = _inflate(body, _HEAD)
                kind, inner, _, _ = _element(head, 0, order)
            if kind == _MATRIX:
                flags, shape, label, values_at = _head(head, inner, order)
                names.append(label)
                if label == name:
                    if flags & 0xFF not in _NUMERIC or flags & _COMPLEX:
                        raise DataError(f"{where}: {name!r} is not a matrix of real numbers.")
                    return Matrix(shape, body, head is not body, values_at, order, where)
            # Compressed elements are not padded.
            at = start + size if head is not body else after
    except (ValueError, struct.error, zlib.error) as error:
        raise DataError(f"{where}: damaged MATLAB 5 file ({error}). Download it again.") from error
    raise DataError(f"{where}: no matrix {name!r}; present are {', '.join(map(repr, names)) or 'none'}.")


def _element(data: bytes | memoryview, at: int, order: str) -> tuple[int, int, int, int]:
    """(type, offset of the contents, bytes of them, offset of the next element)."""
    kind, size = struct.unpack_from(f"{order}II", data, at)
    if kind >> 16:
        # Up to four bytes stand in the tag itself.
        return kind & 0xFFFF, at + 4, kind >> 16, at + 8
    return kind, at + 8, size, at + 8 + size + -size % 8


def _head(data: bytes | memoryview, at: int, order: str) -> tuple[int, tuple[int, ...], str, int]:
    """(flags, shape, name, offset of the values) of a matrix whose first element is at ``at``."""
    _, start, _, at = _element(data, at, order)
    (flags,) = struct.unpack_from(f"{order}I", data, start)
    _, start, size, at = _element(data, at, order)
    if not 0 < size <= _HEAD:
        raise ValueError("dimensions of impossible length")
    shape = struct.unpack_from(f"{order}{size // 4}i", data, start)
    if min(shape, default=-1) < 0:
        raise ValueError("negative dimensions")
    _, start, size, at = _element(data, at, order)
    return flags, shape, bytes(data[start : start + size]).decode("latin-1"), at


def _inflate(data: memoryview, limit: int) -> bytes:
    """The first bytes of compressed contents, at most ``limit``."""
    return zlib.decompressobj().decompress(data, limit)
