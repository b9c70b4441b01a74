"""Label maps that strangers made: one integer per pixel, read as stored, bounded, every refusal explained.

Pillow shows a label map readily as something else: a palette becomes colours, 16 bits become 8, a grey picture of 4
bits is stretched to 255. Whatever is not one plain number per pixel is therefore refused here and never converted.
"""

from __future__ import annotations

import io
import warnings
from pathlib import PurePosixPath
from tokenize import TokenError
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from fgbench.data.images import MAX_PIXELS, read_bytes
from fgbench.data.matlab import Matrix, find_matrix
from fgbench.errors import DataError
from fgbench.requests import ImageRef

if TYPE_CHECKING:
    from collections.abc import Callable

Labels: TypeAlias = npt.NDArray[np.uint16]
"""uint16 [height, width]."""

SUFFIXES = (".png", ".tif", ".tiff", ".npy")
"""Files that :func:`read_labels` reads, apart from MATLAB's."""

_MODES = ("L", "P", "I;16", "I;16B", "I;16L", "I")
_EIGHT_BIT = ("L", "P")
_HEADER = 10_000
"""Longest header of a .npy file, in characters; a label map's has about 100."""

_PNG = b"\x89PNG\r\n\x1a\n"


def read_labels(ref: ImageRef, *, wide: bool = False, matrix: str = "LabelMap") -> Labels:
    """Read a label map.

    PNG and TIFF of 8 bits (grey or palette: the index is the label, its colour is ignored) or 16 bits, also 32-bit
    TIFF whose values fit in 16; .npy with integers; .mat (MATLAB 5) with one matrix of integers.

    Args:
        ref: the file, or a member of an archive.
        wide: refuse files of 8 bits: the labels need more.
        matrix: name of the matrix in a .mat file.

    Returns:
        uint16 [height, width].

    Raises:
        DataError: unreadable, too large, several channels, or values that 16 bits do not hold.
    """
    data = read_bytes(ref)
    suffix = _suffix(ref)
    if suffix == ".mat":
        return _sixteen_bits(_integers(_matrix(ref, data, matrix).values(), ref), ref)
    if suffix == ".npy":
        shape, dtype, start, order = _npy_header(ref, data)
        _check_wide(ref, wide, dtype.itemsize == 1, f"a .npy of {dtype}")
        return _sixteen_bits(
            np.frombuffer(data, dtype, offset=start, count=shape[0] * shape[1]).reshape(shape, order=order), ref
        )
    with _open(ref, data) as image:
        if image.mode not in _MODES:
            raise DataError(
                f"{ref}: a picture of mode {image.mode!r}, not a label map: expected one number per pixel, as in "
                "a grey or palette PNG or a 16-bit PNG or TIFF. Write the class numbers and not colours."
            )
        bits, colour = data[24:26]
        if data.startswith(_PNG) and colour == 0 and bits < 8:
            raise DataError(
                f"{ref}: a grey PNG of {bits} bits, whose values readers stretch to 0..255. Save it with 8 or 16."
            )
        _check_wide(ref, wide, image.mode in _EIGHT_BIT, f"a picture of mode {image.mode!r} (8 bits)")
        return _sixteen_bits(_pixels(ref, image), ref)


def read_rgb_labels(ref: ImageRef) -> npt.NDArray[np.uint8]:
    """Read labels that are written into the colours of a PNG, as ADE20K's ``_seg.png``: uint8 [height, width, 3].

    Raises:
        DataError: unreadable, too large, or of another mode.
    """
    with _open(ref, read_bytes(ref)) as image:
        if image.mode != "RGB":
            raise DataError(f"{ref}: a picture of mode {image.mode!r}; expected 'RGB' with 8 bits per channel.")
        return _pixels(ref, image).astype(np.uint8, copy=False)


def label_size(ref: ImageRef, *, matrix: str = "LabelMap") -> tuple[int, int]:
    """(height, width) of a label map, from its header: no pixel is decoded.

    Raises:
        DataError: as for :func:`read_labels`, as far as the header shows.
    """
    data = read_bytes(ref)
    suffix = _suffix(ref)
    if suffix == ".mat":
        height, width = _matrix(ref, data, matrix).shape
        return height, width
    if suffix == ".npy":
        return _npy_header(ref, data)[0]
    with _open(ref, data) as image:
        return image.height, image.width


def _suffix(ref: ImageRef) -> str:
    return PurePosixPath(ref.member or ref.path).suffix.lower()


def _open(ref: ImageRef, data: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Pillow warns at its own bomb limit and of odd tags; what counts is below.
            warnings.simplefilter("ignore")
            image: Image.Image = Image.open(io.BytesIO(data), formats=("PNG", "TIFF"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        found = "an empty file" if not data else f"{len(data)} bytes starting with {data[:12]!r}"
        raise DataError(f"{ref}: not a PNG or TIFF label map ({found}; {type(error).__name__}).") from error
    _check_pixels(ref, image.height, image.width)
    return image


def _pixels(ref: ImageRef, image: Image.Image) -> npt.NDArray[Any]:
    try:
        return np.asarray(image)
    except (OSError, SyntaxError, ValueError, MemoryError) as error:
        raise DataError(f"{ref}: damaged label map ({error}). Download or write it again.") from error


def _sixteen_bits(values: npt.NDArray[Any], ref: ImageRef) -> Labels:
    if values.size and (values.min() < 0 or values.max() > 65_535):
        raise DataError(f"{ref}: labels from {values.min()} to {values.max()}; expected 0 to 65535.")
    return np.ascontiguousarray(values, dtype=np.uint16)


def _check_pixels(ref: ImageRef, height: int, width: int) -> None:
    if height * width > MAX_PIXELS or not height * width > 0:
        raise DataError(f"{ref}: {width}×{height} pixels; expected at least one and at most {MAX_PIXELS:,}.")


def _check_wide(ref: ImageRef, wide: bool, narrow: bool, found: str) -> None:
    if wide and narrow:
        raise DataError(
            f"{ref}: {found}, which cannot hold more than 255 classes and an empty label. "
            "Write 16 bits: PNG or TIFF of mode 'I;16', or .npy of uint16."
        )


def _npy_header(ref: ImageRef, data: bytes) -> tuple[tuple[int, int], np.dtype[Any], int, Literal["C", "F"]]:
    """((height, width), type, offset of the values, their order) of a .npy file."""
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read: Callable[..., tuple[tuple[int, ...], bool, np.dtype[Any]]] = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read(file, max_header_size=_HEADER)
    except (ValueError, KeyError, TypeError, EOFError, SyntaxError, RecursionError, MemoryError, TokenError) as error:
        raise DataError(f"{ref}: not a .npy file, or a damaged one ({type(error).__name__}).") from error
    if len(shape) != 2 or dtype.kind not in "iu":
        raise DataError(f"{ref}: {dtype} {list(shape)}; expected integers [height, width], for example uint16.")
    height, width = shape
    _check_pixels(ref, height, width)
    if len(data) - file.tell() < height * width * dtype.itemsize:
        raise DataError(f"{ref}: cut off: {len(data)} bytes do not hold {width}×{height} values of {dtype}.")
    return (height, width), dtype, file.tell(), "F" if fortran else "C"


def _matrix(ref: ImageRef, data: bytes, name: str) -> Matrix:
    """A matrix in a MATLAB file, of a size that may be read."""
    matrix = find_matrix(data, name, str(ref))
    if len(matrix.shape) != 2:
        raise DataError(f"{ref}: matrix {name!r} is {list(matrix.shape)}; expected [height, width].")
    _check_pixels(ref, *matrix.shape)
    return matrix


def _integers(values: npt.NDArray[Any], ref: ImageRef) -> npt.NDArray[Any]:
    """MATLAB's numbers are double unless told otherwise."""
    if values.dtype.kind != "f":
        return values
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64)
    if not np.array_equal(whole, values):
        raise DataError(f"{ref}: a matrix of fractions; expected integers.")
    return whole
