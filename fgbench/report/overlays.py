"""Label maps for the eye: colours by class, laid over the picture, with a legend.

A class has one colour wherever it is drawn, whatever else is in the picture.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Labels: TypeAlias = npt.NDArray[Any]
"""Class numbers, integers [height, width]. Numbers without a name are drawn as "no class"."""

Colour: TypeAlias = tuple[int, int, int]

NONE: Colour = (0, 0, 0)
"""Pixels without a class, or not scored; no class has this colour."""

SIDE = 480
"""Long side of a panel in pixels, at most."""

OPACITY = 0.65

_GOLDEN = (5**0.5 - 1) / 2
_TONES = ((0.9, 0.95), (0.55, 0.95), (0.9, 0.65), (0.4, 0.75))
_MARGIN, _LINE, _TEXT = 8, 18, 13
_LEGEND = 260


def colour(number: int) -> Colour:
    """The colour of a class: neighbours differ in hue by the golden angle, and in saturation and brightness.

    Args:
        number: class number, at least 0.
    """
    saturation, value = _TONES[number % len(_TONES)]
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN % 1, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


@lru_cache
def palette(classes: int) -> npt.NDArray[np.uint8]:
    """uint8 [classes + 1, 3]: the colour of each class, and ``NONE`` at the end."""
    return np.array([*map(colour, range(classes)), NONE], dtype=np.uint8)


def colour_map(labels: Labels, classes: int) -> npt.NDArray[np.uint8]:
    """Labels as colours: uint8 [height, width, 3]."""
    return palette(classes)[np.where((labels >= 0) & (labels < classes), labels, classes)]


def overlay(picture: Image.Image, labels: Labels, classes: int, opacity: float = OPACITY) -> Image.Image:
    """Colours laid over a picture; pixels without a class show the picture at a third of its brightness.

    Args:
        picture: RGB; resized to the labels where its size differs.
        labels: [height, width].
        classes: number of classes.
        opacity: of the colours, 0 to 1.
    """
    under = np.asarray(picture.resize(labels.shape[::-1]), dtype=np.float64)
    known = ((labels >= 0) & (labels < classes))[..., None]
    mixed = (1 - opacity) * under + opacity * colour_map(labels, classes)
    return Image.fromarray(np.round(np.where(known, mixed, under / 3)).astype(np.uint8))


def compare_labels(picture: Image.Image, truth: Labels, prediction: Labels, names: Sequence[str]) -> Image.Image:
    """A picture, its ground truth, a prediction and the legend of the classes in either, side by side.

    Args:
        picture: RGB.
        truth: [height, width].
        prediction: [height, width], of the same size.
        names: by class number.

    Returns:
        RGB.
    """
    legend = _present(truth, prediction, len(names))
    panels = [("image", _small(picture))]
    for title, labels in (("ground truth", truth), ("prediction", prediction)):
        panels.append((title, overlay(panels[0][1], _shrunk(labels, panels[0][1].size), len(names))))
    width, height = panels[0][1].size
    inner = max(height, 12 * _LINE)
    canvas = Image.new("RGB", (3 * (width + _MARGIN) + _MARGIN + _LEGEND, inner + _LINE + 2 * _MARGIN), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(_TEXT)
    for place, (title, panel) in enumerate(panels):
        left = _MARGIN + place * (width + _MARGIN)
        draw.text((left, _MARGIN // 2), title, fill="black", font=font)
        canvas.paste(panel, (left, _MARGIN + _LINE))
    left = _MARGIN + 3 * (width + _MARGIN)
    rows = inner // _LINE
    shown = legend if len(legend) <= rows else legend[: rows - 1]
    for place, number in enumerate(shown):
        top = _MARGIN + _LINE + place * _LINE
        fill = colour(number) if number < len(names) else NONE
        draw.rectangle((left, top + 2, left + 14, top + _LINE - 3), fill=fill, outline="black")
        name = names[number] if number < len(names) else "(not scored, or no class)"
        draw.text((left + 22, top), _fitting(name, font, _LEGEND - 30), fill="black", font=font)
    if len(shown) < len(legend):
        top = _MARGIN + _LINE + len(shown) * _LINE
        draw.text((left, top), f"and {len(legend) - len(shown)} more", fill="black", font=font)
    return canvas


def _present(truth: Labels, prediction: Labels, classes: int) -> list[int]:
    """Class numbers in either map, most pixels first, ``classes`` for "no class" last."""
    both = np.concatenate([truth.ravel(), prediction.ravel()]).astype(np.int64)
    counts = np.bincount(np.where((both >= 0) & (both < classes), both, classes), minlength=classes + 1)
    order = np.argsort(-counts[:-1], kind="stable")
    found = [int(number) for number in order if counts[number]]
    return [*found, classes] if counts[-1] else found


def _small(picture: Image.Image) -> Image.Image:
    small = picture.copy()
    small.thumbnail((SIDE, SIDE))
    return small


def _shrunk(labels: Labels, size: tuple[int, int]) -> Labels:
    """Nearest, from pixel centres: labels cannot be averaged."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64) for old, new in zip(labels.shape, size[::-1], strict=True)
    )
    small: Labels = labels[rows[:, None], columns]
    return small


def _fitting(text: str, font: Any, width: int) -> str:
    """A text, shortened so that it is no wider than so many pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip(' ,')}…"
