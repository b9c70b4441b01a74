"""The part of a picture that a trip through the vision tower sees."""

from __future__ import annotations

from typing import NamedTuple

Crop = tuple[int, int, int, int]


class Cut(NamedTuple):
    """The part of a picture that a pass sees.

    Attributes:
        view: name of the preprocessing.
        crop: (left, top, right, bottom) in pixels, or None for the whole picture.
        resized: (width, height) to which the picture is scaled (bilinear) before the crop, or None.
    """

    view: str
    crop: Crop | None = None
    resized: tuple[int, int] | None = None
