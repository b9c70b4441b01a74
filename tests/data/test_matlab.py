"""MATLAB 5 files against SciPy's writer, and against damage. (SciPy's own reader crashes on some damaged files.)"""

from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc
import zlib
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fgbench.data.matlab import find_matrix
from fgbench.errors import DataError

savemat = import_module("scipy.io").savemat

KINDS = ("u1", "i1", "u2", "i2", "u4", "i4", "i8", "u8", "f4", "f8")
SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)


def saved(compress: bool = False, **matrices: Any) -> bytes:
    file = io.BytesIO()
    savemat(file, matrices, do_compression=compress)
    return file.getvalue()


LABELS = np.random.default_rng(0).integers(0, 459, (30, 40)).astype(np.uint16)
FILES = {compress: saved(compress, x="text", LabelMap=LABELS) for compress in (False, True)}


@given(
    arrays.arrays(st.sampled_from(KINDS).map(np.dtype), SHAPES, elements={"min_value": 0, "max_value": 99}),
    st.booleans(),
)
def test_what_scipy_writes_comes_back(values: npt.NDArray[Any], compress: bool) -> None:
    matrix = find_matrix(saved(compress, a=values), "a", "here")
    assert matrix.shape == values.shape
    np.testing.assert_array_equal(matrix.values(), values)


@pytest.mark.parametrize("compress", [False, True])
def test_other_things_in_the_file_are_passed_over(compress: bool) -> None:
    others = {"a": "text", "b": {"field": 1.5}, "c": np.array([[1, "x"]], dtype=object), "d": np.ones((2, 3, 4))}
    data = saved(compress, **others, LabelMap=LABELS, z=np.array([[1 + 2j]]))
    np.testing.assert_array_equal(find_matrix(data, "LabelMap", "here").values(), LABELS)
    assert find_matrix(data, "d", "here").shape == (2, 3, 4)
    for name in ("a", "b", "c", "z"):
        with pytest.raises(DataError, match=f"here: '{name}' is not a matrix of real numbers"):
            find_matrix(data, name, "here")
    with pytest.raises(DataError, match=r"no matrix 'y'; present are 'a', 'b', 'c', 'd', 'LabelMap', 'z'"):
        find_matrix(data, "y", "here")


def big_endian(values: npt.NDArray[np.uint16]) -> bytes:
    """By hand, from the format's description."""
    body = struct.pack(">IIII", 6, 8, 11, 0) + struct.pack(">IIii", 5, 8, *values.shape)
    body += struct.pack(">HH4s", 1, 1, b"a\0\0\0")
    stored = values.T.astype(">u2").tobytes()
    body += struct.pack(">II", 4, len(stored)) + stored + b"\0" * (-len(stored) % 8)
    data: bytes = b"MATLAB 5.0 MAT-file".ljust(124) + b"\1\0MI" + struct.pack(">II", 14, len(body)) + body
    return data


def test_files_of_the_other_byte_order() -> None:
    np.testing.assert_array_equal(find_matrix(big_endian(LABELS), "a", "here").values(), LABELS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a MATLAB 5 file"),
        (b"MATLAB 7.3 MAT-file".ljust(126) + b"IM" + b"\0" * 512, "again with the option -v7"),
        (FILES[False][:126] + b"??" + FILES[False][128:], "not a MATLAB 5 file"),
        (FILES[False][:1500], "damaged MATLAB 5 file"),
        (FILES[True][:-9], "damaged MATLAB 5 file"),
        (FILES[True][:150] + b"\0" * 30 + FILES[True][180:], "damaged MATLAB 5 file"),
        (FILES[False][:128], "present are none"),
    ],
)
def test_other_files(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"here: .*{message}"):
        find_matrix(data, "LabelMap", "here").values()


@pytest.mark.parametrize("claim", [None, 2**32 - 8])
def test_a_bomb_is_not_inflated(claim: int | None) -> None:
    """The matrix says that it holds one value; its element may say and contain more."""
    values = saved(False, a=np.ones((1, 1), np.uint16))[128:]
    values = values[:4] + struct.pack("<I", claim) + values[8:] if claim else values
    squeezer = zlib.compressobj()
    packed = squeezer.compress(values) + squeezer.compress(b"\0" * 50_000_000) + squeezer.flush()
    data = FILES[False][:128] + struct.pack("<II", 15, len(packed)) + packed
    assert len(data) < 100_000
    tracemalloc.start()
    assert find_matrix(data, "a", "here").values().tolist() == [[1]]
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@given(
    st.booleans(), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6), st.booleans()
)
def test_damage_is_refused_or_harmless(compress: bool, changes: list[tuple[int, int]], cut: bool) -> None:
    data = bytearray(FILES[compress])
    for place, value in changes:
        data[place] = value
    if cut:
        del data[changes[0][0] :]
    with contextlib.suppress(DataError):
        matrix = find_matrix(bytes(data), "LabelMap", "here")
        if np.prod(matrix.shape, dtype=float) < 10**6:
            assert matrix.values().shape == matrix.shape
