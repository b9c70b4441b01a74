"""Run-length masks against pycocotools."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco

from fgbench.data.rle import decode_rle
from fgbench.errors import DataError

MASKS = arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=40))


def compressed(mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    found = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": found["counts"].decode()}


@given(MASKS)
def test_any_mask_comes_back(mask: npt.NDArray[np.bool_]) -> None:
    np.testing.assert_array_equal(decode_rle(compressed(mask), "here"), mask)


@pytest.mark.parametrize("seed", range(4))
def test_long_runs_come_back(seed: int) -> None:
    """Lengths of one to four groups, rising and falling."""
    random = np.random.default_rng(seed)
    runs = np.concatenate([random.integers(1, 20, 200), random.integers(1, 40_000, 20)])
    random.shuffle(runs)
    flat = np.repeat(np.arange(len(runs)) % 2 == seed % 2, runs)
    mask = np.resize(flat, (457, 640 + seed))
    np.testing.assert_array_equal(decode_rle(compressed(mask), "here"), mask)


@given(MASKS)
def test_the_uncompressed_form(mask: npt.NDArray[np.bool_]) -> None:
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat]).astype(int)))
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    np.testing.assert_array_equal(decode_rle({"size": list(mask.shape), "counts": counts}, "here"), mask)


def test_the_worked_example() -> None:
    mask = decode_rle({"size": [2, 3], "counts": "024"}, "here")
    assert mask.tolist() == [[True, False, False], [True, False, False]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"counts": "024"}, "field 'size' is missing"),
        ({"size": [2, 3]}, "field 'counts' should be a string"),
        ({"size": [2, -3], "counts": "024"}, r"should be \[height, width\]"),
        ({"size": [2, True], "counts": "024"}, r"should be \[height, width\]"),
        ({"size": [2, 3, 1], "counts": "024"}, r"should be \[height, width\]"),
        ({"size": [100_000, 100_000], "counts": "024"}, "more than the limit"),
        ({"size": [2, 4], "counts": "024"}, "do not add up"),
        ({"size": [2, 3], "counts": ""}, "do not add up"),
        ({"size": [2, 3], "counts": [6, -3, 3]}, "list of run lengths"),
        ({"size": [2, 3], "counts": [6.0]}, "list of run lengths"),
        ({"size": [2, 3], "counts": "0 4"}, "compressed run lengths"),
        ({"size": [2, 3], "counts": "0é4"}, "compressed run lengths"),
        ({"size": [2, 3], "counts": "02P"}, "compressed run lengths"),
        ({"size": [2, 3], "counts": "P" * 50 + "0"}, "compressed run lengths"),
        ({"size": [2, 3], "counts": "oooooN"}, "do not add up"),
    ],
)
def test_a_broken_mask_is_named(row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"^here: .*{message}"):
        decode_rle(row, "here")


def test_the_size_has_to_be_the_expected_one() -> None:
    with pytest.raises(DataError, match="mask of 3×2 pixels for a picture of 2×3"):
        decode_rle({"size": [2, 3], "counts": "024"}, "here", (3, 2))


@given(st.text(alphabet=[chr(code) for code in range(40, 120)], max_size=30))
def test_any_string_is_decoded_or_refused(counts: str) -> None:
    with contextlib.suppress(DataError):
        assert decode_rle({"size": [3, 4], "counts": counts}, "here").shape == (3, 4)
