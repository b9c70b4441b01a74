"""Label maps as pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fgbench.report.overlays import NONE, SIDE, colour, colour_map, compare_labels, overlay, palette

NAMES = [f"class number {n}" for n in range(847)]


def grey(width: int = 60, height: int = 40) -> Image.Image:
    return Image.new("RGB", (width, height), (120, 120, 120))


def pixels(image: Image.Image) -> set[tuple[int, ...]]:
    return {tuple(pixel) for pixel in np.asarray(image).reshape(-1, 3).tolist()}


def test_every_class_has_its_own_colour_and_none_is_that_of_no_class() -> None:
    found = {colour(number) for number in range(847)}
    assert len(found) == 847
    assert NONE not in found
    assert colour(3) == colour(3) == tuple(palette(847)[3]) == tuple(palette(5)[3])


def test_neighbours_are_easy_to_tell_apart() -> None:
    steps = np.diff(palette(150)[:-1].astype(int), axis=0)
    assert np.abs(steps).max(axis=1).min() > 60


def test_labels_become_colours_and_other_numbers_black() -> None:
    labels = np.array([[0, 4], [5, 65_535]], dtype=np.uint16)
    assert colour_map(labels, 5).tolist() == [[list(colour(0)), list(colour(4))], [list(NONE)] * 2]
    assert colour_map(np.array([[-1]]), 5).tolist() == [[list(NONE)]]


def test_an_overlay_mixes_and_darkens_what_has_no_class() -> None:
    labels = np.zeros((40, 60), dtype=np.uint16)
    labels[:, 30:] = 65_535
    found = np.asarray(overlay(grey(), labels, 5, opacity=0.5))
    np.testing.assert_allclose(found[0, 0], (np.array(colour(0)) + 120) / 2, atol=0.5)
    assert found[0, 59].tolist() == [40, 40, 40]
    assert pixels(overlay(grey(), labels, 5, opacity=1)) == {colour(0), (40, 40, 40)}


def test_a_picture_of_another_size_is_fitted_to_the_labels() -> None:
    assert overlay(grey(30, 20), np.zeros((40, 60), dtype=np.uint16), 5).size == (60, 40)


class TestComparing:
    def test_all_four_parts_are_there(self) -> None:
        truth, prediction = np.full((40, 60), 7), np.full((40, 60), 300)
        found = compare_labels(grey(), truth, prediction, NAMES)
        left, middle, right = (np.asarray(found)[30:60, x + 20].reshape(-1, 3) for x in (8, 76, 144))
        assert (left == 120).all()
        for panel, number in ((middle, 7), (right, 300)):
            assert (panel == np.asarray(overlay(grey(), np.full((40, 60), number), 847))[0, 0]).all()
        legend = pixels(found.crop((212, 0, *found.size)))
        assert {colour(7), colour(300)} <= legend
        assert colour(8) not in legend

    def test_the_legend_begins_with_the_largest_class(self) -> None:
        truth = np.full((40, 60), 2)
        truth[:5] = 1
        found = compare_labels(grey(), truth, truth, NAMES)
        column = [tuple(pixel) for pixel in np.asarray(found)[:, 216].tolist()]
        assert column.index(colour(2)) < column.index(colour(1))

    def test_large_pictures_are_shown_smaller(self) -> None:
        truth = np.zeros((2000, 3000), dtype=np.uint16)
        assert compare_labels(grey(3000, 2000), truth, truth, NAMES).width < 3 * SIDE + 400

    def test_a_small_area_does_not_vanish_from_the_legend(self) -> None:
        truth = np.zeros((2000, 3000), dtype=np.uint16)
        truth[0, 0] = 9
        assert colour(9) in pixels(compare_labels(grey(3000, 2000), truth, truth, NAMES))

    @pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3)])
    def test_odd_sizes(self, size: tuple[int, int]) -> None:
        truth = np.zeros(size, dtype=np.uint16)
        found = compare_labels(grey(*size[::-1]), truth, truth, ["a"])
        assert colour(0) in pixels(found)

    def test_more_classes_than_lines_and_names_longer_than_the_legend(self) -> None:
        truth = np.arange(2400).reshape(40, 60) % 847
        found = compare_labels(grey(), truth, truth, ["a very long name with, many synonyms, in a row " * 3] * 847)
        assert found.size == compare_labels(grey(), np.zeros_like(truth), np.zeros_like(truth), NAMES).size

    def test_equal_inputs_give_equal_pictures(self) -> None:
        truth = np.random.default_rng(0).integers(0, 847, (40, 60))
        first, second = (compare_labels(grey(), truth, truth.T.reshape(40, 60), NAMES) for _ in range(2))
        assert first.tobytes() == second.tobytes()
