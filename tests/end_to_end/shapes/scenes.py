"""Scenes of coloured shapes for tests, apart from the shipped miniature suite: one set of pictures for all datasets.

Described in English and Chinese, rendered with Pillow.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

SHAPES = {"circle": "圆形", "square": "正方形", "triangle": "三角形", "cross": "十字", "ring": "圆环", "star": "星星"}
COLOURS = {
    "red": ("红色", (205, 35, 40)),
    "green": ("绿色", (40, 150, 60)),
    "blue": ("蓝色", (40, 80, 200)),
    "yellow": ("黄色", (240, 210, 40)),
    "purple": ("紫色", (130, 50, 160)),
    "orange": ("橙色", (240, 130, 30)),
    "black": ("黑色", (20, 20, 20)),
    "white": ("白色", (250, 250, 250)),
    "pink": ("粉色", (240, 150, 190)),
    "brown": ("棕色", (120, 75, 40)),
    "grey": ("灰色", (120, 120, 125)),
}
SIZES = {"small": ("小", 0.14), "large": ("大", 0.28)}
BACKGROUNDS = {"beige": ("米色", (232, 222, 200)), "pale blue": ("淡蓝色", (205, 220, 235))}
CANVASES = ((320, 240), (240, 320), (288, 288), (400, 224), (200, 160))


@dataclass(frozen=True)
class Thing:
    """One shape: what it is and where; ``box`` is x, y, width, height in pixels."""

    shape: str
    colour: str
    size: str
    box: tuple[int, int, int, int]

    def english(self) -> str:
        """For example "small red circle"."""
        return f"{self.size} {self.colour} {self.shape}"

    def chinese(self) -> str:
        """For example "小的红色圆形"."""
        return f"{SIZES[self.size][0]}的{COLOURS[self.colour][0]}{SHAPES[self.shape]}"


@dataclass(frozen=True)
class Scene:
    """A picture to be: number, canvas (width, height), background and two to four things that do not overlap."""

    number: int
    canvas: tuple[int, int]
    background: str
    things: tuple[Thing, ...]

    def render(self) -> Image.Image:
        """Draw the scene, RGB."""
        image = Image.new("RGB", self.canvas, BACKGROUNDS[self.background][1])
        draw = ImageDraw.Draw(image)
        for thing in self.things:
            _draw(draw, thing)
        return image


def make_scenes(count: int, seed: int) -> list[Scene]:
    """Make ``count`` scenes: the same ones for the same seed."""
    rng = random.Random(seed)
    return [_scene(number, rng) for number in range(1, count + 1)]


def _scene(number: int, rng: random.Random) -> Scene:
    width, height = rng.choice(CANVASES)
    things: list[Thing] = []
    wanted = rng.randint(2, 4)
    while len(things) < wanted:
        size = rng.choice(list(SIZES))
        side = round(SIZES[size][1] * (width + height) / 2)
        box = (rng.randint(2, width - side - 2), rng.randint(2, height - side - 2), side, side)
        if not any(_overlap(box, other.box) for other in things):
            things.append(Thing(rng.choice(list(SHAPES)), rng.choice(list(COLOURS)), size, box))
    return Scene(number, (width, height), rng.choice(list(BACKGROUNDS)), tuple(things))


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def _draw(draw: ImageDraw.ImageDraw, thing: Thing) -> None:
    x, y, side, _ = thing.box
    colour = COLOURS[thing.colour][1]
    right, bottom = x + side - 1, y + side - 1
    if thing.shape == "circle":
        draw.ellipse((x, y, right, bottom), fill=colour)
    elif thing.shape == "ring":
        draw.ellipse((x, y, right, bottom), outline=colour, width=max(2, side // 5))
    elif thing.shape == "square":
        draw.rectangle((x, y, right, bottom), fill=colour)
    elif thing.shape == "cross":
        third = side // 3
        draw.rectangle((x + third, y, right - third, bottom), fill=colour)
        draw.rectangle((x, y + third, right, bottom - third), fill=colour)
    else:
        corners = [(x + side / 2, y), (right, bottom), (x, bottom)] if thing.shape == "triangle" else _star(x, y, side)
        draw.polygon([(round(a), round(b)) for a, b in corners], fill=colour)


def _star(x: int, y: int, side: int) -> list[tuple[float, float]]:
    points = []
    for corner in range(10):
        radius = side / 2 if corner % 2 == 0 else side / 5
        angle = math.pi * corner / 5 - math.pi / 2
        points.append((x + side / 2 + radius * math.cos(angle), y + side / 2 + radius * math.sin(angle)))
    return points
