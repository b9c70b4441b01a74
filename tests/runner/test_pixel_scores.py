"""Upsampling, averaging over windows and the streamed argmax, each against a plain second implementation."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbench.runner.pixel_scores import CHUNK_BYTES, Mosaic, best_classes, chunk_size, upsample
from fgbench.runner.windows import starts

Float64 = npt.NDArray[np.float64]
small = st.integers(1, 12)


def bilinear(field: Float64, size: tuple[int, int]) -> Float64:
    """From the definition: the centre of pixel i lies at (i + 0.5) · h / H - 0.5 of the field, and not outside it."""
    rows, columns = field.shape
    width, height = size
    result = np.empty((height, width))
    for i in range(height):
        y = min(max((i + 0.5) * rows / height - 0.5, 0.0), rows - 1.0)
        top = math.floor(y)
        bottom = min(top + 1, rows - 1)
        for j in range(width):
            x = min(max((j + 0.5) * columns / width - 0.5, 0.0), columns - 1.0)
            left = math.floor(x)
            right = min(left + 1, columns - 1)
            upper = field[top, left] * (left + 1 - x) + field[top, right] * (x - left)
            lower = field[bottom, left] * (left + 1 - x) + field[bottom, right] * (x - left)
            result[i, j] = upper * (top + 1 - y) + lower * (y - top)
    return result


class TestUpsample:
    @settings(max_examples=40)
    @given(small, small, st.integers(1, 30), st.integers(1, 30), st.integers(0, 99))
    def test_it_agrees_with_the_definition(self, rows: int, columns: int, width: int, height: int, seed: int) -> None:
        """Also where the map shrinks."""
        field = np.random.default_rng(seed).standard_normal((2, rows, columns))
        found = upsample(torch.from_numpy(field), (width, height)).numpy()
        assert found == pytest.approx(np.stack([bilinear(each, (width, height)) for each in field]), abs=1e-5)

    def test_half_precision_is_left_behind_even_under_autocast(self) -> None:
        maps = torch.tensor([[[0.25, 0.2501]]])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = upsample(maps, (4, 1))
        assert found.dtype == torch.float32
        assert found[0, 0].tolist() == pytest.approx([0.25, 0.250025, 0.250075, 0.2501], abs=1e-7)

    def test_a_map_of_the_right_size_is_not_touched(self) -> None:
        maps = torch.rand(2, 3, 4)
        assert upsample(maps, (4, 3)) is maps


class TestMosaic:
    def test_overlaps_are_averaged(self) -> None:
        boxes = [(0, 0, 3, 2), (1, 0, 4, 2), (2, 0, 5, 2)]
        values = [1.0, 2.0, 6.0]
        found = Mosaic((5, 2), boxes)(lambda number: torch.full((1, 2, 3), values[number]))
        assert found[0].tolist() == [[1.0, 1.5, 3.0, 4.0, 6.0]] * 2

    @settings(max_examples=25)
    @given(small, small, st.integers(1, 7), st.data())
    def test_it_agrees_with_a_plain_sum(self, width: int, height: int, window: int, data: st.DataObject) -> None:
        stride, seed = data.draw(st.integers(1, window)), data.draw(st.integers(0, 99))
        boxes = [
            (left, top, min(left + window, width), min(top + window, height))
            for top in starts(height, window, stride)
            for left in starts(width, window, stride)
        ]
        rng = np.random.default_rng(seed)
        windows = [rng.standard_normal((2, bottom - top, right - left)) for left, top, right, bottom in boxes]
        total, visits = np.zeros((2, height, width)), np.zeros((height, width))
        for each, (left, top, right, bottom) in zip(windows, boxes, strict=True):
            total[:, top:bottom, left:right] += each
            visits[top:bottom, left:right] += 1
        found = Mosaic((width, height), boxes)(lambda number: torch.from_numpy(windows[number].astype(np.float32)))
        assert found.numpy() == pytest.approx(total / visits, abs=1e-5)

    def test_each_window_is_made_once(self) -> None:
        made: list[int] = []

        def window(number: int) -> torch.Tensor:
            made.append(number)
            return torch.zeros(1, 2, 3)

        Mosaic((5, 2), [(0, 0, 3, 2), (2, 0, 5, 2)])(window)
        assert made == [0, 1]

    def test_windows_that_do_not_cover_the_picture_are_refused(self) -> None:
        with pytest.raises(ValueError, match="leave 2 of 10 pixels out"):
            Mosaic((5, 2), [(0, 0, 4, 2)])

    @pytest.mark.parametrize("box", [(-1, 0, 3, 2), (0, 0, 6, 2), (3, 0, 3, 2), (0, 0, 5, 3)])
    def test_windows_outside_the_picture_are_refused(self, box: tuple[int, int, int, int]) -> None:
        with pytest.raises(ValueError, match="not inside"):
            Mosaic((5, 2), [(0, 0, 5, 2), box])


class TestBestClasses:
    @given(st.integers(1, 40), st.integers(1, 45), st.integers(1, 3), st.integers(0, 99))
    def test_it_is_the_argmax_of_the_full_map_with_any_chunk(
        self, count: int, chunk: int, levels: int, seed: int
    ) -> None:
        """Few different values, so that most pixels have ties, within chunks and across them."""
        full = np.random.default_rng(seed).integers(0, levels + 1, (count, 5, 7)).astype(np.float32)
        found = best_classes(count, chunk, lambda first, last: torch.from_numpy(full[first:last]))
        assert found.dtype == np.uint16
        assert np.array_equal(found, np.argmax(full, axis=0))

    def test_every_class_is_asked_for_once_and_no_more_than_a_chunk_at_a_time(self) -> None:
        asked: list[tuple[int, int]] = []

        def scores(first: int, last: int) -> torch.Tensor:
            asked.append((first, last))
            return torch.zeros(last - first, 1, 1)

        best_classes(10, 4, scores)
        assert asked == [(0, 4), (4, 8), (8, 10)]

    def test_scores_may_all_be_negative(self) -> None:
        full = torch.tensor([-3.0, -1.0, -2.0]).reshape(3, 1, 1)
        assert best_classes(3, 1, lambda first, last: full[first:last]).tolist() == [[1]]

    def test_the_highest_class_fits(self) -> None:
        found = best_classes(65_535, 9_000, lambda first, last: torch.arange(first, last).float().reshape(-1, 1, 1))
        assert found.tolist() == [[65_534]]

    @pytest.mark.parametrize("count", [0, 65_536])
    def test_more_classes_than_a_map_can_tell_apart_are_refused(self, count: int) -> None:
        with pytest.raises(ValueError, match="classes"):
            best_classes(count, 1, lambda first, last: torch.zeros(1, 1, 1))


class TestChunkSize:
    @given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 3000))
    def test_both_maps_are_bounded(self, a: int, b: int, c: int, d: int) -> None:
        chunk = chunk_size((a, b), (c, d))
        largest = 4 * max(a * b, c * d)
        assert chunk == 1 or chunk * largest <= CHUNK_BYTES
        assert (chunk + 1) * largest > CHUNK_BYTES
