"""Reading pictures that strangers made: bounded, never executed, every failure named.

A picture is first *probed* (size and content digest, no pixels) when the plan is made, and decoded when it is encoded.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from typing import NamedTuple

from PIL import Image

from fgbench.data.archives import read_member
from fgbench.data.embedded import is_embedded, read_cell
from fgbench.errors import DataError
from fgbench.requests import ImageRef

MAX_PIXELS = 100_000_000
"""Pictures with more pixels than this are refused before they are decoded (a few kilobytes can expand to gigabytes)."""

MAX_BYTES = 256 * 2**20
"""Files larger than this are refused before they are read."""

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Pillow has no opener of its own for MPO (several JPEG pictures in one file): its JPEG opener reads the first."""


class Probe(NamedTuple):
    """What is known of a picture without decoding it.

    Attributes:
        digest: SHA-256 of the file's bytes, hexadecimal.
        width: pixels, as stored (an EXIF rotation is not applied, as in the official scripts).
        height: pixels.
    """

    digest: str
    width: int
    height: int


def read_bytes(ref: ImageRef) -> bytes:
    """Read a picture file, or a picture in an archive or in a table.

    Raises:
        DataError: unreadable or too large.
    """
    if is_embedded(ref):
        data = read_cell(ref, MAX_BYTES)
    elif ref.member:
        data = read_member(ref, MAX_BYTES)
    else:
        try:
            with open(ref.path, "rb") as file:  # noqa: PTH123 - a Path per picture is slow at 10^5 pictures
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise DataError(f"{ref}: cannot be read ({error.strerror}).") from error
    if len(data) > MAX_BYTES:
        raise DataError(f"{ref}: larger than {MAX_BYTES // 2**20} MiB; no benchmark picture is. Not read.")
    return data


def probe(ref: ImageRef) -> Probe:
    """Size and digest of a picture; reads the whole file once, decodes nothing.

    Raises:
        DataError: unreadable, not a picture, or an image bomb.
    """
    data = read_bytes(ref)
    with _opened(ref, data) as image:
        width, height = image.size
    return Probe(hashlib.sha256(data).hexdigest(), width, height)


def decode(ref: ImageRef) -> Image.Image:
    """Decode a picture to RGB, all of it, EXIF rotation not applied.

    Raises:
        DataError: unreadable, truncated, not a picture, or an image bomb.
    """
    with _opened(ref, read_bytes(ref)) as image:
        try:
            rgb: Image.Image = image.convert("RGB")
            return rgb
        except (OSError, SyntaxError, ValueError, MemoryError) as error:
            raise DataError(f"{ref}: damaged picture ({error}). Download it again.") from error


def _opened(ref: ImageRef, data: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Pillow warns at its own bomb limit; ours below is the one that counts.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        found = "an empty file" if not data else f"{len(data)} bytes starting with {data[:12]!r}"
        raise DataError(f"{ref}: not a picture that can be opened ({found}; {type(error).__name__}).") from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{ref}: {width}×{height} pixels, more than the limit of {MAX_PIXELS:,}. "
            "Such a picture can fill the memory when decoded; check where it comes from."
        )
    return image
