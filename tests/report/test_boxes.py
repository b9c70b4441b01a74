"""Drawing boxes on pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fgbench.report.boxes import LONG_SIDE, LabelledBox, colour, side_by_side, with_boxes


def grey(size: tuple[int, int], value: int = 128) -> Image.Image:
    return Image.new("RGB", size, (value, value, value))


def changed(image: Image.Image, value: int = 128) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Which pixels were drawn on: bool [H, W]."""
    return np.asarray((np.asarray(image) != value).any(axis=2))


def test_the_frame_is_where_the_box_is_in_the_colour_of_its_kind() -> None:
    drawn = with_boxes(grey((640, 480)), [LabelledBox((50, 60, 100, 40), "", 3)])
    pixels = np.asarray(drawn)
    for x, y in ((50, 80), (149, 80), (100, 99), (51, 99)):
        assert tuple(pixels[y, x]) == colour(3)
    assert not changed(drawn)[62:97, 53:147].any(), "the inside stays visible"
    assert not changed(drawn)[110:].any()


def test_the_picture_itself_is_not_drawn_on() -> None:
    image = grey((40, 40))
    with_boxes(image, [LabelledBox((1, 1, 20, 20), "x", 0)])
    assert not changed(image).any()


def test_a_large_picture_is_scaled_and_its_boxes_too() -> None:
    drawn = with_boxes(grey((2 * LONG_SIDE, LONG_SIDE)), [LabelledBox((200, 200, 400, 400), "", 1)])
    assert drawn.size == (LONG_SIDE, LONG_SIDE // 2)
    assert tuple(np.asarray(drawn)[200, 100]) == colour(1)
    assert not changed(drawn)[:80].any()


@pytest.mark.parametrize(("size", "drawn"), [((8, 6), (640, 480)), ((2, 640), (2, 640)), ((1, 2000), (1, 640))])
def test_every_panel_has_the_same_longer_side(size: tuple[int, int], drawn: tuple[int, int]) -> None:
    assert with_boxes(grey(size), [LabelledBox((0, 0, 2, 2), "x", 0)]).size == drawn


@pytest.mark.parametrize(
    "box", [(-50, -50, 1000, 1000), (900, 900, 5, 5), (5, 5, 0, 0), (-9, -9, 3, 3), (639, 479, 80, 80)]
)
def test_boxes_over_the_edge_or_of_no_size_stop_nothing(box: tuple[float, ...]) -> None:
    drawn = with_boxes(grey((640, 480)), [LabelledBox(box, "a label that is rather long", 2)])
    assert drawn.size == (640, 480)
    assert changed(drawn).any()


def test_the_label_is_inside_even_at_the_top_right_corner() -> None:
    bare = with_boxes(grey((640, 480)), [LabelledBox((620, 0, 19, 100), "", 2)])
    labelled = with_boxes(grey((640, 480)), [LabelledBox((620, 0, 19, 100), "zebra crossing", 2)])
    columns = np.flatnonzero((changed(labelled) & ~changed(bare)).any(axis=0))
    assert 500 < columns.min() < 600


def test_colours_of_neighbours_differ_and_do_not_change() -> None:
    assert colour(5) == colour(5)
    for kind in range(50):
        distance = np.abs(np.subtract(colour(kind), colour(kind + 1)))
        assert distance.max() > 80


def test_panels_stand_side_by_side_below_their_titles() -> None:
    sheet = side_by_side([("before", grey((30, 20), 10)), ("after", grey((40, 50), 200))])
    pixels = np.asarray(sheet)
    assert sheet.width == 30 + 6 + 40
    title = sheet.height - 50
    assert (pixels[title : title + 20, :30] == 10).all()
    assert (pixels[title:, 36:] == 200).all()
    assert (pixels[title:, 30:36] == 255).all()
    assert (pixels[:title] < 100).any(), "a title is written"
