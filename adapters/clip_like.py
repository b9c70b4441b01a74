"""What the open_clip and the transformers family have in common: one text path, square pictures, unnamed languages."""

from __future__ import annotations

from typing import TypeVar

from PIL import Image

from fgbench.requests import TextKind

V = TypeVar("V")

_LONGEST = 400
"""Sides in a ratio beyond this are cut: a picture of 100000x1 pixels has 22 million columns at a height of 224."""

_MULTILINGUAL = 200_000


def for_every_kind(value: V) -> dict[TextKind, V]:
    """The same for all kinds of text: these models have one text path."""
    return {"short": value, "long": value, "box": value}


def languages(vocabulary: int) -> tuple[str, ...]:
    """The languages of a text tower, told by the size of its vocabulary, for lack of anything better in checkpoints.

    Multilingual towers have 250,000 tokens and more (mT5, XLM-R, Gemma), English ones 32,000 to 50,000. Of the many
    languages that they know, those that the suite asks for are given.
    """
    return ("en", "zh") if vocabulary >= _MULTILINGUAL else ("en",)


def presentable(image: Image.Image) -> Image.Image:
    """A picture with at least one pixel and sides in a ratio of at most 400:1.

    A picture without pixels (a crop of zero width or height) becomes one black pixel: that is what resizing it straight
    to a square gives in Pillow, while resizing its short side divides by zero. Of a longer strip the middle is
    kept, centred on the same point; a centre crop sees one part in 400 of that.
    """
    width, height = image.size
    if not (width and height):
        return Image.new("RGB", (1, 1))
    left, top = (max(0, (long - _LONGEST * short) // 2) for long, short in ((width, height), (height, width)))
    if not (left or top):
        return image
    return image.crop((left, top, width - left, height - top))
