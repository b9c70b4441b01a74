"""Drawing labelled boxes on a picture, and pictures side by side."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

LONG_SIDE = 640
"""Pixels of a panel's longer side: enough for labels, small enough for a report."""

_TITLE_HEIGHT = 22
_GAP = 6
_FONT_SIZE = 12


class LabelledBox(NamedTuple):
    """A box to draw.

    Attributes:
        box: x, y, width, height in pixels of the picture; what lies outside is not drawn.
        label: one line.
        kind: boxes of equal kind have the same colour.
    """

    box: tuple[float, ...]
    label: str
    kind: int


def colour(kind: int) -> tuple[int, int, int]:
    """A strong colour, the same for equal numbers; neighbouring numbers differ clearly (golden-ratio steps of hue)."""
    red, green, blue = colorsys.hsv_to_rgb(kind * 0.618033988749895 % 1, 0.85, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def with_boxes(image: Image.Image, boxes: Sequence[LabelledBox]) -> Image.Image:
    """A copy, scaled to ``LONG_SIDE``, with boxes and labels; later ones lie on top."""
    scale = LONG_SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    panel = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    canvas, font = ImageDraw.Draw(panel), ImageFont.load_default(_FONT_SIZE)
    for (x, y, width, height), label, kind in boxes:
        left, top = (min(max(value * scale, 0.0), limit - 1.0) for value, limit in zip((x, y), size, strict=True))
        right, bottom = (
            min(max(value * scale, start), limit - 1.0)
            for value, start, limit in zip((x + width, y + height), (left, top), size, strict=True)
        )
        canvas.rectangle((left, top, right, bottom), outline=colour(kind), width=2)
        _tag(canvas, font, label, (left, top), size, kind)
    return panel


def side_by_side(panels: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Pictures in a row, each below its title."""
    width = sum(panel.width for _, panel in panels) + _GAP * (len(panels) - 1)
    height = max(panel.height for _, panel in panels) + _TITLE_HEIGHT
    sheet = Image.new("RGB", (width, height), "white")
    canvas, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT_SIZE + 2)
    left = 0
    for title, panel in panels:
        canvas.text((left + 2, 2), title, fill="black", font=font)
        sheet.paste(panel, (left, _TITLE_HEIGHT))
        left += panel.width + _GAP
    return sheet


def _tag(
    canvas: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    label: str,
    corner: tuple[float, float],
    size: tuple[int, int],
    kind: int,
) -> None:
    """The label on a ground of the box's colour: above the corner if there is room, and inside the picture."""
    left, top, right, bottom = canvas.textbbox((0, 0), label, font=font)
    width, height = right - left + 4, bottom - top + 4
    x = max(0.0, min(corner[0], size[0] - width))
    y = corner[1] - height if corner[1] >= height else corner[1]
    canvas.rectangle((x, y, x + width, y + height), fill=colour(kind))
    light = sum(colour(kind)) > 380
    canvas.text((x + 2 - left, y + 2 - top), label, fill="black" if light else "white", font=font)
