"""Label maps from patches, against the full map of all classes; packing, against garbage."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from fgbench.errors import StoreError
from fgbench.requests import Float32
from fgbench.runner.label_maps import PatchClassifier, ScoredWindow, all_finite, pack, unpack
from fgbench.runner.windows import Box, layout

from .test_pixel_scores import bilinear

CPU = torch.device("cpu")


def unit(count: int, dim: int = 6, seed: int = 0) -> Float32:
    vectors = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def tokens(grids: list[tuple[int, int]], dim: int = 6, seed: int = 1) -> list[torch.Tensor]:
    """With two tokens of padding at the end, which count for nothing."""
    rng = np.random.default_rng(seed)
    return [
        torch.from_numpy(3 * rng.standard_normal((rows * columns + 2, dim)).astype(np.float32))
        for rows, columns in grids
    ]


def full_map(
    features: list[torch.Tensor],
    grids: list[tuple[int, int]],
    boxes: tuple[Box, ...],
    canvas: tuple[int, int],
    size: tuple[int, int],
    prototypes: Float32,
) -> Float32:
    """The straightforward way: all classes of all pixels; float32 [K, H, W]."""
    total = torch.zeros(len(prototypes), canvas[1], canvas[0])
    visits = torch.zeros(canvas[1], canvas[0])
    for dense, (rows, columns), (left, top, right, bottom) in zip(features, grids, boxes, strict=True):
        patches = dense[: rows * columns] / dense[: rows * columns].norm(dim=1, keepdim=True)
        scores = (torch.from_numpy(prototypes) @ patches.T).reshape(1, -1, rows, columns)
        shown = interpolate(scores, (bottom - top, right - left), mode="bilinear", align_corners=False)[0]
        total[:, top:bottom, left:right] += shown
        visits[top:bottom, left:right] += 1
    return np.asarray(interpolate((total / visits)[None], size[::-1], mode="bilinear", align_corners=False)[0].numpy())


def predict(
    features: list[torch.Tensor],
    grids: list[tuple[int, int]],
    boxes: tuple[Box, ...],
    canvas: tuple[int, int],
    size: tuple[int, int],
    prototypes: Float32,
    chunk: int | None = None,
) -> npt.NDArray[np.uint16]:
    classifier = PatchClassifier(prototypes, CPU)
    windows = [
        ScoredWindow(classifier.score(dense, grid), box)
        for dense, grid, box in zip(features, grids, boxes, strict=True)
    ]
    return classifier.label_map(windows, canvas, size, chunk)


class TestLabelMap:
    @settings(max_examples=40)
    @given(st.integers(1, 300), st.integers(1, 50), st.integers(1, 80), st.integers(1, 80), st.integers(1, 60),
           st.integers(1, 60), st.sampled_from([8, 20, None]), st.data())  # fmt: skip
    def test_it_is_the_argmax_of_the_full_map(
        self, count: int, chunk: int, width: int, height: int, out: int, down: int, native: int | None,
        data: st.DataObject,
    ) -> None:  # fmt: skip
        """Any number of classes (255 is a class like others), grids, windows, chunks, sizes."""
        canvas, boxes = layout((width, height), "auto", native)
        boxes = boxes if len(boxes) < 40 else ((0, 0, *canvas), *boxes[:5])
        grids = [data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5))) for _ in boxes]
        features, prototypes = tokens(grids), unit(count)
        expected = full_map(features, grids, boxes, canvas, (out, down), prototypes)
        found = predict(features, grids, boxes, canvas, (out, down), prototypes, chunk)
        assert found.dtype == np.uint16
        assert found.shape == (down, out)
        # The reference's matrix product may round its last bit differently: equal but for classes closer than that.
        chosen = np.take_along_axis(expected, found[None].astype(np.int64), axis=0)[0]
        assert (chosen >= expected.max(axis=0) - 1e-6).all()
        assert (found == expected.argmax(axis=0)).mean() > 0.99

    @pytest.mark.parametrize("chunk", [1, 3, 7, 255, 256, 400, None])
    def test_the_chunk_does_not_change_a_pixel(self, chunk: int | None) -> None:
        canvas, boxes = layout((45, 33), "sclip", 16)
        grids = [(3, 4)] * len(boxes)
        arguments = (tokens(grids), grids, boxes, canvas, (45, 33), unit(400))
        assert np.array_equal(predict(*arguments, chunk), predict(*arguments, 400))

    def test_it_agrees_with_float64_pixel_by_pixel(self) -> None:
        canvas, boxes = layout((20, 14), "whole", None)
        grids = [(3, 4)]
        (dense,), prototypes = tokens(grids), unit(9)
        patches = dense[:12].double().numpy()
        patches /= np.linalg.norm(patches, axis=1, keepdims=True)
        scores = (prototypes.astype(np.float64) @ patches.T).reshape(9, 3, 4)
        expected = np.stack([bilinear(each, (20, 14)) for each in scores]).argmax(axis=0)
        assert np.array_equal(predict([dense], grids, boxes, canvas, (20, 14), prototypes), expected)

    @pytest.mark.parametrize("chunk", [1, 2, 3, 5, 40])
    def test_of_equal_classes_the_lowest_index_wins(self, chunk: int) -> None:
        """Equal prototypes, as the 847 classes of ADE20K have them, in one chunk and in different ones."""
        canvas, boxes = layout((30, 30), "sclip", 16)
        grids = [(4, 5)] * len(boxes)
        arguments, prototypes = (tokens(grids), grids, boxes, canvas, (30, 30)), unit(37)
        alone = predict(*arguments, prototypes)
        twice = np.concatenate([prototypes, prototypes[::-1], prototypes])
        assert len(np.unique(alone)) > 5
        assert np.array_equal(predict(*arguments, twice, chunk), alone)

    def test_indices_after_equal_classes_keep_their_meaning(self) -> None:
        prototypes = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2]]
        dense = torch.eye(3)
        found = predict([dense], [(1, 3)], ((0, 0, 3, 1),), (3, 1), (3, 1), prototypes)
        assert found.tolist() == [[0, 2, 4]]

    def test_the_length_of_a_patch_does_not_count_but_for_none(self) -> None:
        """Normalised before upsampling: between patches of length 1 and 1000 the border is halfway."""
        dense = torch.tensor([[1.0, 0.0], [0.0, 1000.0]])
        prototypes = np.eye(2, dtype=np.float32)
        assert predict([dense], [(1, 2)], ((0, 0, 8, 1),), (8, 1), (8, 1), prototypes).tolist() == [[0] * 4 + [1] * 4]
        silent = torch.zeros(2, 2)
        assert predict([silent], [(1, 2)], ((0, 0, 8, 1),), (8, 1), (8, 1), prototypes).tolist() == [[0] * 8]

    def test_rows_and_columns_are_not_exchanged(self) -> None:
        dense, prototypes = torch.eye(6), np.eye(6, dtype=np.float32)
        found = predict([dense], [(2, 3)], ((0, 0, 3, 2),), (3, 2), (3, 2), prototypes)
        assert found.tolist() == [[0, 1, 2], [3, 4, 5]]


class TestScore:
    def test_half_precision_and_autocast_do_not_coarsen_scores(self) -> None:
        """At 0.25 half precision has steps of 0.00024; classes closer than that must stay apart."""
        dense = torch.tensor([[1.0, 0.0]])
        angles = np.array([1.3181, 1.3180])
        prototypes = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            scores = PatchClassifier(prototypes, CPU).score(dense.to(torch.bfloat16), (1, 1))
        assert scores.dtype == torch.float32
        assert scores.flatten().tolist() == pytest.approx(np.cos(angles), abs=1e-7)

    @pytest.mark.parametrize("bad", [torch.nan, torch.inf])
    def test_values_that_are_no_numbers_are_noticed(self, bad: float) -> None:
        dense = torch.ones(4, 2)
        good = PatchClassifier(unit(3, 2), CPU).score(dense, (2, 2))
        dense[2, 1] = bad
        assert all_finite([good, good])
        assert not all_finite([good, PatchClassifier(unit(3, 2), CPU).score(dense, (2, 2))])

    def test_what_stands_behind_the_grid_is_not_looked_at(self) -> None:
        dense = torch.ones(5, 2)
        dense[4] = torch.nan
        scores = PatchClassifier(unit(3, 2), CPU).score(dense, (2, 2))
        assert scores.shape == (3, 2, 2)
        assert all_finite([scores])

    @pytest.mark.parametrize("count", [0, 65_536])
    def test_more_classes_than_a_map_can_tell_apart_are_refused(self, count: int) -> None:
        with pytest.raises(ValueError, match="classes"):
            PatchClassifier(np.zeros((count, 1), dtype=np.float32), CPU)


maps = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99), st.sampled_from([1, 3, 256, 65_536]))


def random_map(shape: tuple[int, int, int, int]) -> npt.NDArray[np.uint16]:
    height, width, seed, classes = shape
    return np.random.default_rng(seed).integers(0, classes, (height, width)).astype(np.uint16)


class TestPacking:
    @given(maps)
    def test_nothing_is_lost(self, shape: tuple[int, int, int, int]) -> None:
        labels = random_map(shape)
        found = unpack(pack(labels))
        assert found.dtype == np.uint16
        assert np.array_equal(found, labels)

    def test_the_values_of_every_dataset_survive(self) -> None:
        labels = np.array([[0, 1, 458], [846, 65_535, 255]], dtype=np.uint16)
        assert np.array_equal(unpack(pack(labels)), labels)

    def test_a_view_of_an_array_is_packed_like_a_copy(self) -> None:
        labels = random_map((9, 12, 0, 300))
        assert pack(labels[::2, ::-3]) == pack(labels[::2, ::-3].copy())

    def test_maps_of_regions_become_small(self) -> None:
        labels = np.repeat(np.repeat(random_map((16, 21, 0, 847)), 32, axis=0), 32, axis=1)
        assert len(pack(labels)) < labels.nbytes / 50

    @given(maps, st.data())
    def test_a_changed_or_missing_byte_is_noticed(self, shape: tuple[int, int, int, int], data: st.DataObject) -> None:
        packed = bytearray(pack(random_map(shape)))
        place = data.draw(st.integers(0, len(packed) - 1))
        with pytest.raises(StoreError):
            unpack(bytes(packed[:place]))
        packed[place] ^= data.draw(st.integers(1, 255))
        with pytest.raises(StoreError):
            unpack(bytes(packed))

    @given(st.binary(max_size=64), st.booleans())
    def test_garbage_is_refused(self, data: bytes, dressed: bool) -> None:
        with pytest.raises(StoreError):
            unpack(b"FGL1" + data if dressed else data)

    def test_a_bomb_does_not_go_off(self) -> None:
        bomb = zlib.compress(bytes(50_000_000), 9)
        with pytest.raises(StoreError, match="does not hold 8 bytes"):
            unpack(struct.pack("<4sIII", b"FGL1", 2, 2, zlib.crc32(bomb)) + bomb)
        with pytest.raises(StoreError, match="claims"):
            unpack(struct.pack("<4sIII", b"FGL1", 2**31, 2**31, zlib.crc32(bomb)) + bomb)

    @pytest.mark.parametrize(
        "labels", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 1), np.uint16), np.zeros((0, 4), np.uint16)]
    )
    def test_only_label_maps_are_packed(self, labels: npt.NDArray[np.uint16]) -> None:
        with pytest.raises(ValueError, match="uint16 map"):
            pack(labels)
