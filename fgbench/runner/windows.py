"""Where a picture is cut into overlapping windows for dense features.

Source: the sliding-window test of SCLIP (Wang et al. 2024), ClearCLIP (Lan et al. 2024) and ProxyCLIP (Lan et al.
2024), which follow mmsegmentation: docs/protocols.md, "Segmentation".
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

from fgbench.errors import UsageError

Size: TypeAlias = tuple[int, int]
"""(width, height) in pixels."""

Box: TypeAlias = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels; right and bottom are outside."""

LONGEST = 2048
"""Long side of a resized picture in pixels, at most; wins over the preset's short side."""

PUBLISHED_INPUT = 224
"""Input side of the models that ``sclip`` was published with."""


class Preset(NamedTuple):
    """How to cut.

    Attributes:
        name: as on the command line.
        short_side: of the resized picture, in pixels; None: the picture is not resized and is its own only window.
        window: side of a window in pixels.
        stride: from one window to the next in pixels.
    """

    name: str
    short_side: int | None
    window: int
    stride: int


class Layout(NamedTuple):
    """How one picture is cut.

    Attributes:
        resized: (width, height) of the picture that the windows are cut from.
        boxes: windows in it, row by row; together they cover all of it.
    """

    resized: Size
    boxes: tuple[Box, ...]


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("sclip", 336, 224, 112),
        Preset("proxy336", 336, 336, 112),
        Preset("proxy448", 448, 336, 112),
        Preset("clear448", 448, 448, 224),
        Preset("whole", None, 0, 0),
    )
}
"""The published settings, in pixels. ``sclip`` is for an input of 224 pixels and grows with the model's."""

NAMES = ("auto", *PRESETS)


def preset(name: str, native: int | None) -> Preset:
    """Look a preset up for a model.

    ``auto`` is ``whole`` for models of variable resolution and ``sclip`` for the others. ``sclip`` scales with the
    model's input N (short side 1.5 N, window N, stride N / 2), so that no position embedding has to be interpolated.
    The others are in pixels whatever the model; its preprocessor resizes their windows.

    Args:
        name: one of ``NAMES``.
        native: side of the model's square input in pixels; None for models of variable resolution.

    Raises:
        UsageError: no such preset.
    """
    if name == "auto":
        name = "whole" if native is None else "sclip"
    if name not in PRESETS:
        raise UsageError(f"There are no windows {name!r}. Known: {', '.join(NAMES)}.")
    if name == "sclip":
        side = native or PUBLISHED_INPUT
        return Preset(name, 3 * side // 2, side, side // 2)
    return PRESETS[name]


def starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin along one side of ``length`` pixels.

    One every ``stride`` pixels until the side is covered; the last one is moved back so that it ends at the border. A
    side that is no longer than the window gets one window, which then ends at the border too.
    """
    count = max(length - window + stride - 1, 0) // stride + 1
    return [min(number * stride, max(length - window, 0)) for number in range(count)]


def layout(size: Size, name: str, native: int | None) -> Layout:
    """Cut a picture of ``size`` (width, height) by a preset; ``native`` as in :func:`preset`.

    Raises:
        UsageError: no such preset.
    """
    cut = preset(name, native)
    if cut.short_side is None:
        return Layout(size, ((0, 0, *size),))
    resized = scaled(size, cut.short_side)
    across, down = (starts(side, cut.window, cut.stride) for side in resized)
    width, height = resized
    return Layout(
        resized,
        tuple(
            (left, top, min(left + cut.window, width), min(top + cut.window, height)) for top in down for left in across
        ),
    )


def scaled(size: Size, short_side: int, longest: int = LONGEST) -> Size:
    """(width, height) with the short side at ``short_side`` and the long side at most ``longest`` pixels.

    The ratio is kept; each side is rounded to the nearest pixel, halves upwards (as in mmsegmentation and detectron2),
    and is at least one pixel.
    """
    factor = min(longest / max(size), short_side / min(size))
    width, height = (max(1, math.floor(side * factor + 0.5)) for side in size)
    return width, height


def target_size(size: Size, short_side: int | None) -> Size:
    """(width, height) at which a label map is answered: pictures whose short side is longer are scaled down to it.

    The long side is ``round(long / short * short_side)``, as in CAT-Seg's conversion of ADE20K-847. Smaller pictures
    are left alone, and so are all of them if ``short_side`` is None.
    """
    short, long = min(size), max(size)
    if short_side is None or short <= short_side:
        return size
    other = round(long / short * short_side)
    return (short_side, other) if size[0] < size[1] else (other, short_side)
