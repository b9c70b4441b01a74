"""Where the lines of a radar chart go."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

RADIUS = 160.0
CENTRE = (285.0, 210.0)
SIZE = (570, 425)
RINGS = (25, 50, 75, 100)
LINE = 15
_LABEL_GAP = 16.0


class Point(NamedTuple):
    """In units of the chart's view box; y grows downwards."""

    x: float
    y: float


class Axis(NamedTuple):
    """Outer end of an axis, and where its label is: its position, and how it is anchored there."""

    end: Point
    label: Point
    anchor: str


def point(percent: float, index: int, count: int) -> Point:
    """Place of a value on axis ``index`` of ``count``: the first points upwards, the others follow clockwise."""
    angle = 2 * math.pi * index / count - math.pi / 2
    distance = RADIUS * percent / 100
    return Point(round(CENTRE[0] + distance * math.cos(angle), 1), round(CENTRE[1] + distance * math.sin(angle), 1))


def axes(count: int) -> list[Axis]:
    """The axes of a chart."""
    found = []
    for index in range(count):
        end = point(100, index, count)
        across, down = (end.x - CENTRE[0]) / RADIUS, (end.y - CENTRE[1]) / RADIUS
        anchor = "middle" if abs(across) < 0.2 else "start" if across > 0 else "end"
        x, y = CENTRE[0] + (RADIUS + _LABEL_GAP) * across, CENTRE[1] + (RADIUS + _LABEL_GAP) * down
        found.append(Axis(end, Point(round(x, 1), round(y + 4 + 4 * down, 1)), anchor))
    return found


def lines(label: str) -> list[str]:
    """A long label in two lines or more."""
    return textwrap.wrap(label, 18) or [label]


def top(axis: Axis, label: str) -> float:
    """Where the first line of a label is: lines above the chart grow upwards, those below it downwards."""
    share = (1 - (axis.end.y - CENTRE[1]) / RADIUS) / 2
    return round(axis.label.y - LINE * (len(lines(label)) - 1) * share, 1)


def outline(means: Sequence[float | None]) -> str:
    """Path of a row: closed if it has a value on every axis, else lines between neighbouring values."""
    points = [None if mean is None else point(mean, index, len(means)) for index, mean in enumerate(means)]
    if all(points):
        return "M" + "L".join(f"{p.x:g} {p.y:g}" for p in points if p) + "Z"
    pieces = []
    for index, here in enumerate(points):
        following = points[(index + 1) % len(points)]
        if here and following:
            pieces.append(f"M{here.x:g} {here.y:g}L{following.x:g} {following.y:g}")
    return "".join(pieces)


def ring(percent: float, count: int) -> str:
    """Path of a grid line at one value."""
    return outline([percent] * count)
