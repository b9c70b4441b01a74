"""Drawing scenes: pictures, masks and label maps, with Pillow and numpy only, the same on every run."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from fgbench.data.mini.world.figures import outline
from fgbench.data.mini.world.scenes import Scene, Thing
from fgbench.data.mini.world.vocabulary import INKS, LABELS, Colour3

GROUND: dict[str, tuple[Colour3, Colour3]] = {
    "sky": ((188, 218, 246), (226, 238, 250)),
    "wall": ((222, 204, 188), (200, 178, 160)),
    "grass": ((164, 204, 126), (132, 178, 98)),
    "sand": ((232, 212, 164), (206, 182, 130)),
    "water": ((134, 178, 216), (176, 208, 234)),
    "road": ((168, 168, 172), (222, 222, 214)),
    "snow": ((238, 242, 248), (214, 224, 236)),
}
"""Main colour and colour of the marks of each kind of stuff."""


def render(scene: Scene) -> Image.Image:
    """Draw a scene: RGB."""
    image = _ground(scene)
    for thing in scene.things:
        figure, cover = _figure(thing), outline(thing.kind, thing.side)
        image.paste(figure, thing.corner, cover)
    return image


def mask(scene: Scene, thing: Thing) -> npt.NDArray[np.bool_]:
    """The pixels of a thing: bool [H, W], true where it covers half of the pixel or more."""
    width, height = scene.canvas
    pixels = np.zeros((height, width), dtype=bool)
    x, y = thing.corner
    pixels[y : y + thing.side, x : x + thing.side] = np.asarray(outline(thing.kind, thing.side)) >= 128
    return pixels


def label_map(scene: Scene) -> npt.NDArray[np.uint8]:
    """What each pixel shows: uint8 [H, W], an index into :data:`LABELS`; every pixel has one."""
    width, height = scene.canvas
    labels = np.full((height, width), LABELS.index(scene.upper), dtype=np.uint8)
    labels[scene.horizon :] = LABELS.index(scene.lower)
    for thing in scene.things:
        labels[mask(scene, thing)] = LABELS.index(thing.kind)
    return labels


def _figure(thing: Thing) -> Image.Image:
    """Colour, texture and a darker edge."""
    ink, side = INKS[thing.colour], thing.side
    light = sum(ink) > 3 * 150
    second = tuple(round(value * 0.35) for value in ink) if light else tuple(255 - round((255 - v) * 0.12) for v in ink)
    image = Image.new("RGB", (side, side), ink)
    image.paste(second, (0, 0), _texture(thing.texture, side))
    cover = outline(thing.kind, side)
    edge = ImageChops.subtract(cover, cover.filter(ImageFilter.MinFilter(3)))
    image.paste(tuple(round(value * 0.45) for value in ink), (0, 0), edge)
    return image


def _texture(texture: str, side: int) -> Image.Image:
    """Where the second colour shows: mode L, ``side`` x ``side``."""
    period = max(6, side // 5)
    row, column = np.mgrid[:side, :side]
    if texture == "striped":
        marks = (row + column) % period < period // 2
    elif texture == "checked":
        marks = (row // (period // 2 + 1) + column // (period // 2 + 1)) % 2 == 0
    elif texture == "dotted":
        marks = (row % period - period / 2) ** 2 + (column % period - period / 2) ** 2 < (period * 0.33) ** 2
    else:
        marks = np.zeros((side, side), dtype=bool)
    return Image.fromarray((marks * 255).astype(np.uint8))


def _ground(scene: Scene) -> Image.Image:
    width, height = scene.canvas
    image = Image.new("RGB", scene.canvas, GROUND[scene.upper][0])
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, scene.horizon, width, height), fill=GROUND[scene.lower][0])
    rng = scene.rng("ground")
    _marks(draw, scene.upper, (0, 0, width, scene.horizon), rng)
    _marks(draw, scene.lower, (0, scene.horizon, width, height), rng)
    return image


def _marks(draw: ImageDraw.ImageDraw, stuff: str, area: tuple[int, int, int, int], rng: random.Random) -> None:
    """Small strokes that tell kinds of stuff apart; ``area`` is left, top, right, bottom."""
    left, top, right, bottom = area
    ink = GROUND[stuff][1]
    if stuff == "wall":
        for line, y in enumerate(range(top + 8, bottom, 12)):
            draw.line((left, y, right, y), fill=ink)
            for x in range(left + 10 * (line % 2), right, 20):
                draw.line((x, y, x, min(y + 12, bottom - 1)), fill=ink)
        return
    for _ in range((right - left) * (bottom - top) // 150):
        x, y = rng.randrange(left, right), rng.randrange(top, bottom)
        if stuff == "grass":
            draw.line((x, max(y - 5, top), x + 1, y), fill=ink)
        elif stuff in ("sand", "snow"):
            draw.point([(x, y), (x + 1, y)], fill=ink)
        elif stuff == "water":
            draw.line((x, y, x + 9, y), fill=ink)
        elif stuff == "road" and x % 5 == 0:
            draw.line((x, y, x + 5, y), fill=ink, width=1)
        elif stuff == "sky" and x % 9 == 0:
            draw.ellipse((x - 8, max(y - 3, top), x + 8, min(max(y + 3, top + 3), bottom - 1)), fill=ink)
