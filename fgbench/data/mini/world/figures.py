"""The outlines of all kinds of things, as data: polygons and ellipses in a unit square, y pointing down."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from PIL import Image, ImageDraw

_SCALE = 4
"""Outlines are drawn this many times larger, then averaged down."""

Point = tuple[float, float]


class Part(NamedTuple):
    """One piece of an outline: a polygon of three or more corners, or an ellipse given by two corners of its frame.

    ``solid`` false cuts the piece out of what was drawn before.
    """

    points: tuple[Point, ...]
    solid: bool = True


def _box(left: float, top: float, right: float, bottom: float) -> Part:
    return Part(((left, top), (right, top), (right, bottom), (left, bottom)))


def _oval(left: float, top: float, right: float, bottom: float, *, solid: bool = True) -> Part:
    return Part(((left, top), (right, bottom)), solid)


def _around(corners: int, radii: tuple[float, ...], turn: float = -90.0) -> Part:
    angles = (math.radians(turn + 360 * corner / corners) for corner in range(corners))
    return Part(
        tuple(
            (0.5 + radii[n % len(radii)] * math.cos(a), 0.5 + radii[n % len(radii)] * math.sin(a))
            for n, a in enumerate(angles)
        )
    )


def _poly(*points: Point) -> Part:
    return Part(points)


FIGURES: dict[str, tuple[Part, ...]] = {
    "circle": (_oval(0, 0, 1, 1),),
    "square": (_box(0.06, 0.06, 0.94, 0.94),),
    "triangle": (_poly((0.5, 0.03), (1, 0.95), (0, 0.95)),),
    "star": (_around(10, (0.5, 0.2)),),
    "cross": (_box(0.34, 0, 0.66, 1), _box(0, 0.34, 1, 0.66)),
    "ring": (_oval(0, 0, 1, 1), _oval(0.24, 0.24, 0.76, 0.76, solid=False)),
    "heart": (_oval(0, 0.05, 0.53, 0.58), _oval(0.47, 0.05, 1, 0.58), _poly((0.04, 0.42), (0.96, 0.42), (0.5, 0.98))),
    "diamond": (_poly((0.5, 0), (0.85, 0.5), (0.5, 1), (0.15, 0.5)),),
    "hexagon": (_around(6, (0.5,), 0.0),),
    "crescent": (_oval(0.05, 0, 1, 1), _oval(0.35, 0, 1.25, 0.86, solid=False)),
    "arrow": (_box(0, 0.36, 0.55, 0.64), _poly((0.5, 0.1), (1, 0.5), (0.5, 0.9))),
    "drop": (_oval(0.17, 0.36, 0.83, 1), _poly((0.5, 0), (0.8, 0.58), (0.2, 0.58))),
    "car": (
        _box(0, 0.45, 1, 0.72),
        _poly((0.18, 0.47), (0.3, 0.2), (0.7, 0.2), (0.84, 0.47)),
        _oval(0.12, 0.58, 0.36, 0.82),
        _oval(0.64, 0.58, 0.88, 0.82),
    ),
    "boat": (
        _poly((0, 0.68), (1, 0.68), (0.8, 0.95), (0.2, 0.95)),
        _box(0.46, 0.05, 0.52, 0.7),
        _poly((0.56, 0.08), (0.92, 0.6), (0.56, 0.6)),
    ),
    "bottle": (
        _box(0.41, 0, 0.59, 0.35),
        _poly((0.41, 0.25), (0.59, 0.25), (0.72, 0.45), (0.72, 1), (0.28, 1), (0.28, 0.45)),
    ),
    "house": (_box(0.12, 0.45, 0.88, 1), _poly((0.5, 0), (1, 0.5), (0, 0.5)), _box(0.7, 0.05, 0.82, 0.35)),
    "tree": (_box(0.42, 0.6, 0.58, 1), _oval(0.15, 0.25, 0.85, 0.72), _oval(0.28, 0, 0.72, 0.5)),
    "umbrella": (
        _oval(0, 0.05, 1, 1.0),
        Part(((0, 0.5), (1, 0.5), (1, 1.01), (0, 1.01)), solid=False),
        _box(0.46, 0.3, 0.54, 1),
        _box(0.3, 0.92, 0.54, 1),
    ),
    "mushroom": (
        _oval(0, 0, 1, 1.0),
        Part(((0, 0.52), (1, 0.52), (1, 1.01), (0, 1.01)), solid=False),
        _poly((0.36, 0.5), (0.64, 0.5), (0.7, 1), (0.3, 1)),
    ),
    "balloon": (_oval(0.16, 0, 0.84, 0.7), _poly((0.5, 0.64), (0.6, 0.78), (0.4, 0.78)), _box(0.48, 0.75, 0.53, 1)),
    "person": (
        _oval(0.36, 0, 0.64, 0.28),
        _poly((0.3, 0.3), (0.7, 0.3), (0.64, 0.66), (0.36, 0.66)),
        _box(0.16, 0.32, 0.84, 0.42),
        _box(0.36, 0.6, 0.47, 1),
        _box(0.53, 0.6, 0.64, 1),
    ),
    "chair": (
        _box(0.18, 0, 0.3, 1),
        _box(0.18, 0.5, 0.85, 0.64),
        _box(0.73, 0.55, 0.85, 1),
        _box(0.18, 0.1, 0.36, 0.35),
    ),
    "aeroplane": (
        _oval(0, 0.4, 1, 0.62),
        _poly((0.35, 0.5), (0.55, 0.5), (0.35, 0.98), (0.22, 0.98)),
        _poly((0.38, 0.5), (0.58, 0.5), (0.4, 0.08), (0.27, 0.08)),
        _poly((0, 0.26), (0.1, 0.26), (0.22, 0.5), (0.04, 0.5)),
    ),
    "television": (
        _box(0, 0.2, 1, 0.86),
        Part(((0.09, 0.29), (0.91, 0.29), (0.91, 0.74), (0.09, 0.74)), solid=False),
        _box(0.2, 0.86, 0.3, 0.97),
        _box(0.7, 0.86, 0.8, 0.97),
        _poly((0.25, 0), (0.32, 0), (0.53, 0.22), (0.46, 0.22)),
        _poly((0.75, 0), (0.68, 0), (0.47, 0.22), (0.54, 0.22)),
    ),
    "envelope": (
        _box(0, 0.18, 1, 0.82),
        Part(((0.08, 0.26), (0.92, 0.26), (0.5, 0.52)), solid=False),
    ),
    "hourglass": (
        _poly((0.15, 0.1), (0.85, 0.1), (0.15, 0.9), (0.85, 0.9)),
        _box(0.08, 0, 0.92, 0.12),
        _box(0.08, 0.88, 0.92, 1),
    ),
    "tent": (_poly((0.5, 0.1), (1, 0.9), (0, 0.9)), Part(((0.5, 0.42), (0.66, 0.91), (0.34, 0.91)), solid=False)),
    "flag": (_box(0.12, 0, 0.22, 1), _box(0.2, 0.04, 0.95, 0.5)),
}
"""One figure per kind."""


@lru_cache(maxsize=512)
def outline(kind: str, side: int) -> Image.Image:
    """How much of each pixel a thing covers: mode L, ``side`` x ``side``, 0 to 255. Not to be changed."""
    size = side * _SCALE
    image = Image.new("L", (size, size), 0)
    draw = ImageDraw.Draw(image)
    for part in FIGURES[kind]:
        points = [(round(x * (size - 1)), round(y * (size - 1))) for x, y in part.points]
        if len(points) == 2:
            draw.ellipse(points, fill=255 * part.solid)
        else:
            draw.polygon(points, fill=255 * part.solid)
    return image.reduce(_SCALE)


@lru_cache(maxsize=512)
def extent(kind: str, side: int) -> tuple[int, int, int, int]:
    """The smallest frame (left, top, right, bottom) of the pixels that are covered by half or more."""
    box = outline(kind, side).point(lambda value: 255 * (value >= 128)).getbbox()
    assert box is not None, f"{kind} is empty at {side} pixels"
    return box
