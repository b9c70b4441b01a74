"""Scenes: what there is and where. The same seed, split and number give the same scene, alone or among others."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fgbench.data.mini.world.figures import extent
from fgbench.data.mini.world.vocabulary import COLOURS, EXTENT, KINDS, LOWER, SIZES, TEXTURES, UPPER

Split = Literal["train", "evaluation"]

SEED = 20251010

CANVASES = (
    (160, 128), (128, 160), (176, 144), (144, 176), (160, 160), (192, 144), (144, 192), (203, 147), (150, 190),
    (208, 128), (128, 208), (240, 128), (112, 240), (256, 192), (192, 256),
)  # fmt: skip
"""Widths and heights in pixels."""

_HELD_OUT = 8
"""One in so many descriptions belongs to the evaluation split."""

_GAP = 3
"""Pixels between things, and between things and the edge."""


@dataclass(frozen=True)
class Thing:
    """One thing in a scene.

    Attributes:
        kind, colour, texture, size: keys of the tables in :mod:`vocabulary`.
        corner: left and top of the square in which its figure is drawn, in pixels.
        side: of that square, in pixels.
    """

    kind: str
    colour: str
    texture: str
    size: str
    corner: tuple[int, int]
    side: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """x, y, width, height in pixels: the smallest box around its mask."""
        left, top, right, bottom = extent(self.kind, self.side)
        return self.corner[0] + left, self.corner[1] + top, right - left, bottom - top

    @property
    def centre(self) -> tuple[float, float]:
        """Of its box, in pixels."""
        x, y, width, height = self.box
        return x + width / 2, y + height / 2

    @property
    def attributes(self) -> tuple[str, str, str, str]:
        """Size, texture, colour, kind: what a description without a place can say."""
        return self.size, self.texture, self.colour, self.kind


@dataclass(frozen=True)
class Scene:
    """A picture to be.

    Attributes:
        split: whether it may be trained on.
        number: within the split.
        canvas: width and height in pixels.
        upper, lower: keys of the tables in :mod:`vocabulary`; what the two bands are made of.
        horizon: the first row of pixels of the lower band.
        things: none overlaps another; no two have the same attributes.
    """

    split: Split
    number: int
    canvas: tuple[int, int]
    upper: str
    lower: str
    horizon: int
    things: tuple[Thing, ...]

    @property
    def key(self) -> str:
        """The description without places, as 16 hexadecimal digits: scenes of different splits never share it."""
        parts = sorted("/".join(thing.attributes) for thing in self.things)
        return hashlib.sha256("|".join((self.upper, self.lower, *parts)).encode()).hexdigest()[:16]

    def rng(self, purpose: str) -> random.Random:
        """Random numbers that depend on this scene and the purpose only."""
        return seeded("scene", self.key, self.canvas, self.number, purpose)

    def place(self, thing: Thing) -> tuple[str, str]:
        """Horizontal and vertical third: left, middle or right; top, middle or bottom."""
        (x, y), (width, height) = thing.centre, self.canvas
        across = "left" if x < width / 3 else "right" if x > 2 * width / 3 else "middle"
        return across, "top" if y < height / 3 else "bottom" if y > 2 * height / 3 else "middle"


def seeded(*parts: object) -> random.Random:
    """Random numbers from a name: the same on every machine, whatever was drawn before."""
    return random.Random(int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:16], "big"))


def scene(
    split: Split,
    number: int,
    *,
    seed: int = SEED,
    count: tuple[int, int] = (2, 5),
    kinds: Sequence[str] = tuple(KINDS),
) -> Scene:
    """Make one scene.

    Args:
        split: the splits share no :attr:`Scene.key`.
        number: any whole number from 0.
        seed: another one gives another world.
        count: fewest and most things.
        kinds: the first thing is one of these; with a single thing, all of the scene is.
    """
    rng = seeded(seed, split, number, count, tuple(kinds))
    while True:
        made = _draw(rng, split, number, count, kinds)
        held_out = int(made.key, 16) % _HELD_OUT == 0
        if held_out == (split == "evaluation") and len(made.things) >= count[0]:
            return made


def relation(one: Thing, other: Thing) -> str | None:
    """How ``one`` lies with respect to ``other``: a key of ``RELATIONS``, or None if it is not clear cut.

    It is clear if the boxes are apart along one axis and the centres are further apart along it than along the other.
    """
    (x, y, w, h), (x2, y2, w2, h2) = one.box, other.box
    across, down = (b - a for a, b in zip(one.centre, other.centre, strict=True))
    if abs(across) > 1.3 * abs(down) and (x + w <= x2 or x2 + w2 <= x):
        return "left" if across > 0 else "right"
    if abs(down) > 1.3 * abs(across) and (y + h <= y2 or y2 + h2 <= y):
        return "above" if down > 0 else "below"
    return None


def _draw(rng: random.Random, split: Split, number: int, count: tuple[int, int], kinds: Sequence[str]) -> Scene:
    width, height = canvas = rng.choice(CANVASES)
    upper, lower = rng.choice(list(UPPER)), rng.choice(list(LOWER))
    horizon = round(height * rng.uniform(0.3, 0.6))
    wanted = rng.randint(*count)
    things: list[Thing] = []
    for _ in range(60):
        if len(things) == wanted:
            break
        size = rng.choice(list(SIZES))
        side = round(EXTENT[size] * math.sqrt(width * height) * rng.uniform(0.92, 1.08))
        room = (width - side - 2 * _GAP, height - side - 2 * _GAP)
        if min(room) < 0:
            continue
        thing = Thing(
            rng.choice(kinds if not things else list(KINDS)),
            rng.choice(list(COLOURS)),
            rng.choice(["plain", *TEXTURES]),
            size,
            (_GAP + rng.randint(0, room[0]), _GAP + rng.randint(0, room[1])),
            side,
        )
        if not any(_touch(thing, other) or thing.attributes == other.attributes for other in things):
            things.append(thing)
    return Scene(split, number, canvas, upper, lower, horizon, tuple(things))


def _touch(one: Thing, other: Thing) -> bool:
    gaps = (
        abs(a + s / 2 - b - t / 2) - (s + t) / 2
        for a, s, b, t in ((one.corner[i], one.side, other.corner[i], other.side) for i in (0, 1))
    )
    return max(gaps) < _GAP
