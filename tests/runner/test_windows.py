"""Windows of the training-free segmentation protocol, against the published figures and by their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.errors import UsageError
from fgbench.runner.windows import LONGEST, NAMES, layout, preset, scaled, starts, target_size

sides = st.integers(1, 5000)
sizes = st.tuples(sides, sides)


class TestStarts:
    @pytest.mark.parametrize(
        ("length", "expected"),
        [(448, [0, 112, 224]), (505, [0, 112, 224, 281]), (200, [0]), (224, [0]), (225, [0, 1]), (336, [0, 112])],
    )
    def test_published_examples(self, length: int, expected: list[int]) -> None:
        assert starts(length, 224, 112) == expected

    @given(st.integers(1, 3000), st.integers(1, 600), st.data())
    def test_windows_cover_the_side_and_stay_inside(self, length: int, window: int, data: st.DataObject) -> None:
        stride = data.draw(st.integers(1, window))
        found = starts(length, window, stride)
        covered = np.zeros(length, dtype=bool)
        for start in found:
            assert start >= 0
            assert start + window <= length or found == [0]
            covered[start : start + window] = True
        assert covered.all()
        assert len(set(found)) == len(found)
        assert np.all(np.diff(found) <= stride)

    @given(st.integers(1, 3000), st.integers(1, 600), st.data())
    def test_there_are_no_more_than_needed(self, length: int, window: int, data: st.DataObject) -> None:
        stride = data.draw(st.integers(1, window))
        found = starts(length, window, stride)
        assert len(found) == 1 or (len(found) - 2) * stride + window < length


class TestLayout:
    @pytest.mark.parametrize(
        ("name", "counts"),
        [("sclip", (6, 6, 8)), ("proxy336", (2, 2, 3)), ("proxy448", (8, 8, 10)), ("clear448", (2, 2, 3)),
         ("whole", (1, 1, 1))],
    )  # fmt: skip
    def test_published_numbers_of_windows(self, name: str, counts: tuple[int, ...]) -> None:
        """Height × width: 512 × 683, 375 × 500, 333 × 500."""
        found = [len(layout(size, name, 224).boxes) for size in ((683, 512), (500, 375), (500, 333))]
        assert tuple(found) == counts

    def test_a_worked_example(self) -> None:
        resized, boxes = layout((683, 512), "sclip", 224)
        assert resized == (448, 336)
        assert boxes == (
            (0, 0, 224, 224), (112, 0, 336, 224), (224, 0, 448, 224),
            (0, 112, 224, 336), (112, 112, 336, 336), (224, 112, 448, 336),
        )  # fmt: skip

    def test_a_tall_picture_is_a_wide_one_on_its_side(self) -> None:
        wide, tall = layout((683, 512), "proxy448", 224), layout((512, 683), "proxy448", 224)
        assert tall.resized == wide.resized[::-1]
        assert set(tall.boxes) == {(top, left, bottom, right) for left, top, right, bottom in wide.boxes}

    def test_sclip_grows_with_the_input_of_the_model_and_the_others_do_not(self) -> None:
        assert preset("sclip", 384)[1:] == (576, 384, 192)
        assert preset("sclip", 224)[1:] == (336, 224, 112)
        assert preset("sclip", None)[1:] == (336, 224, 112)
        assert preset("clear448", 384) == preset("clear448", 224)

    def test_auto_suits_the_model(self) -> None:
        assert preset("auto", None).name == "whole"
        assert preset("auto", 336) == preset("sclip", 336)
        assert layout((300, 200), "auto", None) == ((300, 200), ((0, 0, 300, 200),))

    def test_the_long_side_is_bounded(self) -> None:
        assert scaled((30_000, 300), 336) == (2048, 20)
        assert scaled((300, 30_000), 336) == (20, 2048)
        assert scaled((30_000, 1), 336) == (2048, 1)
        assert layout((30_000, 300), "sclip", 224).boxes[-1] == (2048 - 224, 0, 2048, 20)

    def test_halves_are_rounded_upwards(self) -> None:
        # 3 / 2 · 335 = 502.5; 5 / 2 · 1 = 2.5, which Python's round would make 2
        assert scaled((3, 2), 335) == (503, 335)
        assert scaled((5, 2), 1) == (3, 1)

    @given(sizes, st.sampled_from(NAMES), st.sampled_from([None, 224, 336, 378, 448]))
    def test_every_pixel_is_in_a_window(self, size: tuple[int, int], name: str, native: int | None) -> None:
        (width, height), boxes = layout(size, name, native)
        assert name in ("whole", "auto") or max(width, height) <= LONGEST
        columns, rows = np.zeros(width, dtype=bool), np.zeros(height, dtype=bool)
        for left, top, right, bottom in boxes:
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height
            columns[left:right] = rows[top:bottom] = True
        assert columns.all()
        assert rows.all()
        # A full raster of columns and rows: covering both axes is covering the plane.
        assert len(set(boxes)) == len(boxes) == len({box[0] for box in boxes}) * len({box[1] for box in boxes})

    def test_an_unknown_name_is_told_what_there_is(self) -> None:
        with pytest.raises(UsageError, match=r"'tiles'.*auto, sclip, proxy336, proxy448, clear448, whole"):
            layout((100, 100), "tiles", 224)


class TestTargetSize:
    @pytest.mark.parametrize(
        ("size", "expected"),
        [((2048, 1536), (683, 512)), ((600, 900), (512, 768)), ((512, 683), (512, 683)), ((683, 512), (683, 512)),
         ((900, 500), (900, 500)), ((800, 800), (512, 512))],
    )  # fmt: skip
    def test_ade20k_847(self, size: tuple[int, int], expected: tuple[int, int]) -> None:
        assert target_size(size, 512) == expected

    @given(sizes)
    def test_without_a_short_side_nothing_changes(self, size: tuple[int, int]) -> None:
        assert target_size(size, None) == size

    @given(sizes, st.integers(1, 600))
    def test_never_larger_and_of_the_same_shape(self, size: tuple[int, int], short_side: int) -> None:
        width, height = target_size(size, short_side)
        assert width <= size[0]
        assert height <= size[1]
        assert (width == height) or ((width > height) == (size[0] > size[1]))
        assert min(width, height) == min(short_side, *size)
