"""Region pooling against RoIAlign written from its definition and against figures recorded from the official code."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from fgbench.runner.regions import EMPTY_CROP, box_problem, crop_box, crop_size, cut, pool

from ..references import Box, average_over_box


def pooled(dense: npt.NDArray[np.float64], boxes: list[Box], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    rows, columns, dim = dense.shape
    tokens = torch.from_numpy(dense.astype(np.float32).reshape(rows * columns, dim))
    return np.asarray(pool(tokens, (rows, columns), size, np.array(boxes, dtype=np.float64)).numpy())


def dense_map(rows: int, columns: int, dim: int = 5, seed: int = 0) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal((rows, columns, dim)).astype(np.float32).astype(np.float64)


def steady(start: float, side: float, cells: int) -> bool:
    """Does the definition give the same after rounding to float32? It jumps where a box is a whole number of cells long
    (one sample more) and where a sample lies just one cell outside the map (zero beyond).
    """
    length = side * cells
    samples = (np.arange(np.ceil(length)) + 0.5) * length / np.ceil(length) + start * cells - 0.5
    return abs(length - round(length)) > 1e-4 and bool(
        (abs(samples + 1) > 1e-4).all() and (abs(samples - cells) > 1e-4).all()
    )


class TestPool:
    @settings(max_examples=60)
    @given(
        st.integers(1, 9), st.integers(1, 9), st.integers(1, 300), st.integers(1, 300),
        st.floats(-0.4, 0.9), st.floats(-0.4, 0.9), st.floats(0.001, 1.5), st.floats(0.001, 1.5),
    )  # fmt: skip
    def test_it_agrees_with_the_definition(
        self, rows: int, columns: int, width: int, height: int, x: float, y: float, w: float, h: float
    ) -> None:
        """Also for boxes that reach over the edge on any side."""
        assume(all(steady(*axis) for axis in ((x, w, columns), (y, h, rows))))
        dense, box = dense_map(rows, columns), (x * width, y * height, w * width, h * height)
        expected = average_over_box(dense, box, (width, height))
        assert pooled(dense, [box], (width, height))[0] == pytest.approx(expected, abs=2e-5)

    def test_several_boxes_are_pooled_in_order(self) -> None:
        dense = dense_map(4, 6)
        boxes: list[Box] = [(0, 0, 60, 40), (10, 5, 7, 30), (55, 35, 20, 20), (10, 5, 7, 30)]
        found = pooled(dense, boxes, (60, 40))
        assert found == pytest.approx(np.stack([average_over_box(dense, box, (60, 40)) for box in boxes]), abs=2e-5)
        assert (found[1] == found[3]).all()

    def test_the_whole_picture_is_the_mean_of_all_tokens(self) -> None:
        dense = dense_map(3, 5)
        assert pooled(dense, [(0, 0, 50, 30)], (50, 30))[0] == pytest.approx(dense.mean(axis=(0, 1)), abs=1e-6)

    def test_a_box_over_one_token_is_that_token(self) -> None:
        dense = dense_map(3, 5)
        assert pooled(dense, [(20, 10, 10, 10)], (50, 30))[0] == pytest.approx(dense[1, 2], abs=1e-6)

    def test_nothing_is_rounded(self) -> None:
        dense = dense_map(3, 5)
        near, nearer = pooled(dense, [(12.0, 9.0, 11.0, 8.0), (12.4, 9.4, 11.4, 8.4)], (50, 30))
        assert np.abs(near - nearer).max() > 1e-3

    def test_padding_tokens_are_not_looked_at(self) -> None:
        dense = dense_map(2, 3)
        tokens = torch.from_numpy(dense.astype(np.float32).reshape(6, 5))
        padded = torch.cat([tokens, torch.full((4, 5), torch.nan)])
        boxes = np.array([[0.0, 0.0, 30.0, 20.0]])
        assert torch.equal(pool(padded, (2, 3), (30, 20), boxes), pool(tokens, (2, 3), (30, 20), boxes))

    def test_half_precision_tokens_are_pooled_in_float32(self) -> None:
        tokens = torch.from_numpy(dense_map(4, 4).reshape(16, 5)).to(torch.bfloat16)
        found = pool(tokens, (4, 4), (8, 8), np.array([[1.0, 1.0, 5.0, 5.0]]))
        expected = average_over_box(tokens.double().numpy().reshape(4, 4, 5), (1, 1, 5, 5), (8, 8))
        assert found.dtype == torch.float32
        assert found[0].numpy() == pytest.approx(expected, abs=1e-5)


class TestRecordedFigures:
    """Vectors of the official FG-CLIP 2 code on its own dense maps."""

    @pytest.fixture
    def features(self, shared: Path) -> Path:
        return shared / "golden" / "features"

    @pytest.mark.parametrize("picture", ["rgb_240x200.png", "wide_700x30.png"])
    def test_regions_of_a_recorded_map_are_the_recorded_regions(self, features: Path, picture: str) -> None:
        recorded = np.load(features / "features.npz")
        facts: dict[str, Any] = json.loads((features / "pixels.json").read_text(encoding="utf-8"))[picture]
        named: list[tuple[str, Box]] = json.loads((features / "boxes.json").read_text(encoding="utf-8"))[picture]
        rows, columns = facts["dense"]["grid"]
        width, height = facts["size_wh"]
        boxes = np.array([box for _, box in named], dtype=np.float64)
        usable = np.array([box_problem(box, width, height) is None for box in boxes])
        assert [name for (name, _), fine in zip(named, usable, strict=True) if not fine] == ["zero_width"]

        # Coordinates on the token grid, as the official code prints them.
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
        on_grid = corners / [width, height, width, height] * [columns, rows, columns, rows]
        assert on_grid == pytest.approx(recorded[f"roi_coordinates/{picture}"], abs=2e-5)

        tokens = torch.from_numpy(recorded[f"dense/{picture}"])
        found = pool(tokens, (rows, columns), (width, height), boxes).numpy()
        assert found == pytest.approx(recorded[f"roi_raw/{picture}"], abs=2e-5)
        unit = found[usable] / np.linalg.norm(found[usable], axis=1, keepdims=True)
        assert unit == pytest.approx(recorded[f"roi_normalised/{picture}"][usable], abs=2e-6)

    def test_a_box_without_width_has_no_embedding(self, features: Path) -> None:
        recorded = np.load(features / "features.npz")
        assert (recorded["roi_raw/rgb_240x200.png"][-1] == 0).all()
        assert box_problem(np.array([96.0, 80.0, 0.0, 40.0]), 240, 200) == "degenerate_box"


class TestBoxProblem:
    @pytest.mark.parametrize("box", [
        (0, 0, 40, 30), (39.9, 29.9, 0.05, 0.05), (-5, -5, 10, 10), (30, 20, 100, 100), (-100, -100, 500, 500),
        (3, 4, 0.07, 0.08),
    ])  # fmt: skip
    def test_thin_and_overhanging_boxes_are_fine(self, box: Box) -> None:
        assert box_problem(np.array(box, dtype=float), 40, 30) is None

    @pytest.mark.parametrize("box", [
        (0, 0, 0, 5), (0, 0, 5, 0), (5, 5, -3, 5), (5, 5, 5, -1), (math.nan, 0, 5, 5), (0, math.inf, 5, 5),
        (0, 0, math.inf, 5), (0, 0, 5, math.nan), (0, 0, 1e308, 1e308), (0, 0, 70_000, 5),
    ])  # fmt: skip
    def test_a_box_without_area_or_bounds_is_degenerate(self, box: Box) -> None:
        assert box_problem(np.array(box, dtype=float), 40, 30) == "degenerate_box"

    @pytest.mark.parametrize("box", [(40, 0, 5, 5), (0, 30, 5, 5), (-5, 0, 5, 5), (0, -5, 5, 5), (-1e9, 0, 5, 5)])
    def test_a_box_that_only_touches_the_picture_is_outside(self, box: Box) -> None:
        assert box_problem(np.array(box, dtype=float), 40, 30) == "box_outside_image"

    @pytest.mark.parametrize("picture", [(1, 1), (40, 30), (6000, 4000)])
    @pytest.mark.parametrize("box", [(0, 0, 60_000, 60_000), (-30_000, -30_000, 65_000, 65_000)])
    def test_a_box_far_larger_than_its_picture_is_refused(self, box: Box, picture: tuple[int, int]) -> None:
        """As a crop it would fill the memory, as a region it would take minutes to sample."""
        assert box_problem(np.array(box, dtype=float), *picture) == "degenerate_box"


class TestCrop:
    @pytest.mark.parametrize(
        ("box", "crop"),
        [
            ((10.9, 5.2, 20.7, 3.9), (10, 5, 30, 8)),
            ((-0.9, -3.5, 10.0, 10.0), (0, -3, 10, 7)),
            ((3.0, 4.0, 0.9, 5.0), (3, 4, 3, 9)),
        ],
    )
    def test_all_four_numbers_are_cut_to_integers(self, box: Box, crop: tuple[int, int, int, int]) -> None:
        assert crop_box(np.array(box)) == crop

    @given(st.floats(-50, 90), st.floats(-50, 90), st.floats(0.01, 90), st.floats(0.01, 90))
    def test_the_size_is_known_before_the_crop_is_made(self, x: float, y: float, w: float, h: float) -> None:
        """The preprocessing is chosen from it while no picture has been decoded."""
        crop = crop_box(np.array([x, y, w, h]))
        assert cut(Image.new("RGB", (40, 30)), crop).size == crop_size(crop)

    def test_the_pixels_are_those_of_the_box(self) -> None:
        image = Image.fromarray(np.arange(30 * 40 * 3, dtype=np.uint8).reshape(30, 40, 3))
        found = cut(image, (5, 6, 9, 8))
        assert np.asarray(found).tolist() == np.asarray(image)[6:8, 5:9].tolist()

    def test_beyond_the_edge_it_is_black(self) -> None:
        found = np.asarray(cut(Image.new("RGB", (4, 4), "white"), (-2, 2, 2, 6)))
        assert found[:2, 2:].min() == 255
        assert found[:, :2].max() == found[2:].max() == 0

    @pytest.mark.parametrize("crop", [(3, 4, 3, 9), (3, 4, 9, 4)])
    def test_a_crop_without_pixels_is_a_black_picture(self, crop: tuple[int, int, int, int]) -> None:
        found = cut(Image.new("RGB", (40, 30), "white"), crop)
        assert found.size == EMPTY_CROP == (224, 224)
        assert found.getextrema() == ((0, 0), (0, 0), (0, 0))
