"""An encoder in trouble: too little memory, models and pictures that are broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fgbench.adapter import ImageFeatures, TextFeatures
from fgbench.errors import ModelError
from fgbench.requests import Images, Regions, Texts

from ..fakes import FakeAdapter, fake_encoder, save_pictures
from .encoding import BOXES, encode, mixed, work


class TestMemory:
    @pytest.mark.parametrize("memory", [1, 2, 3])
    def test_running_out_of_memory_changes_nothing_but_the_batches(self, tmp_path: Path, memory: int) -> None:
        requests = mixed(tmp_path / "pictures")
        expected = encode(fake_encoder(FakeAdapter(), tmp_path / "one", batch_size=7), requests)
        adapter = FakeAdapter()
        adapter.memory = memory
        encoder = fake_encoder(adapter, tmp_path / "other", batch_size=7)
        for found, wanted in zip(encode(encoder, requests), expected, strict=True):
            assert found.tolist() == wanted.tolist()
        assert encoder.stats.memory_splits > 0
        assert max(adapter.image_batches) <= memory
        assert adapter.images_encoded == encoder.stats.image_passes == 14
        assert encoder.stats.regions_pooled == 14

    def test_one_picture_that_does_not_fit_is_a_model_error(self, tmp_path: Path) -> None:
        adapter = FakeAdapter()
        adapter.memory = 0
        with pytest.raises(ModelError, match="Out of memory on a batch of one"):
            encode(fake_encoder(adapter, tmp_path / "store"), [Images(save_pictures(tmp_path, 3))])

    def test_one_text_that_does_not_fit_is_a_model_error(self, tmp_path: Path) -> None:
        adapter = FakeAdapter()
        adapter.memory = 0
        with pytest.raises(ModelError, match="Out of memory on a batch of one"):
            encode(fake_encoder(adapter, tmp_path), [Texts(["a"], "short")])


def poison(row: int, value: float) -> Callable[[ImageFeatures], ImageFeatures]:
    def spoil(features: ImageFeatures) -> ImageFeatures:
        pooled = features.pooled.clone()
        pooled[row, 3] = value
        return features._replace(pooled=pooled)

    return spoil


class TestBrokenModels:
    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_a_picture_that_gives_no_number_is_named(self, tmp_path: Path, value: float) -> None:
        adapter = FakeAdapter()
        adapter.spoil_images = poison(2, value)
        pictures = save_pictures(tmp_path / "pictures", 3)
        encoder = fake_encoder(adapter, tmp_path / "store")
        with pytest.raises(ModelError, match=rf"fake returned NaN or infinity for 1 of 3 inputs, .* {pictures[2]}\."):
            encode(encoder, [Images(pictures)])
        assert len(encoder.store) == 0

    def test_a_region_that_gives_no_number_is_named_by_its_picture(self, tmp_path: Path) -> None:
        adapter = FakeAdapter()

        def spoil(features: ImageFeatures) -> ImageFeatures:
            assert features.tokens is not None
            tokens = features.tokens.clone()
            tokens[1, 0] = torch.nan
            return features._replace(tokens=tokens)

        adapter.spoil_images = spoil
        pictures = save_pictures(tmp_path / "pictures", 3)
        regions = Regions(pictures, np.arange(3), np.tile(BOXES[:1], (3, 1)))
        with pytest.raises(ModelError, match=rf"for 1 of 6 inputs, the first is {pictures[1]}\."):
            encode(fake_encoder(adapter, tmp_path / "store"), [regions])

    def test_a_text_that_gives_no_number_is_quoted(self, tmp_path: Path) -> None:
        adapter = FakeAdapter()

        def spoil(features: TextFeatures) -> TextFeatures:
            vectors = features.vectors.clone()
            vectors[1] = torch.nan
            return features._replace(vectors=vectors)

        adapter.spoil_texts = spoil
        with pytest.raises(ModelError, match="for 1 of 2 inputs, the first is 'the longer one'"):
            encode(fake_encoder(adapter, tmp_path), [Texts(["the longer one", "short"], "short")])

    def test_half_precision_is_suspected_where_it_was_chosen(self, tmp_path: Path) -> None:
        adapter = FakeAdapter()
        adapter.spoil_images = poison(0, float("inf"))
        pictures = save_pictures(tmp_path / "pictures", 1)
        encoder = fake_encoder(adapter, tmp_path / "store")
        with pytest.raises(ModelError) as caught:
            encode(encoder, [Images(pictures)])
        assert "fp32" not in str(caught.value)
        encoder.precision = "fp16"
        with pytest.raises(ModelError, match="try --precision fp32"):
            encode(encoder, [Images(pictures)])

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda features: features._replace(pooled=features.pooled[:, :5]),
            lambda features: features._replace(pooled=features.pooled[:1]),
            lambda features: features._replace(pooled=features.pooled[0]),
            lambda features: features._replace(pooled=features.pooled[:, None]),
            lambda features: features._replace(tokens=features.tokens[:, :, :5]),
            lambda features: features._replace(tokens=features.tokens[:1]),
            lambda features: features._replace(tokens=features.tokens[0]),
            lambda features: features._replace(tokens=None),
            lambda features: features._replace(grid=None),
            lambda features: features._replace(grid=features.grid[:1]),
            lambda features: features._replace(grid=features.grid[:, :1]),
            lambda features: features._replace(grid=features.grid[0]),
            lambda features: features._replace(grid=features.grid + 1),
            lambda features: features._replace(grid=features.grid * 2),
            lambda features: features._replace(grid=features.grid * 0),
            lambda features: features._replace(grid=-features.grid),
        ],
    )
    def test_image_features_of_another_shape_are_a_model_error(
        self, tmp_path: Path, spoil: Callable[[ImageFeatures], ImageFeatures]
    ) -> None:
        adapter = FakeAdapter()
        adapter.spoil_images = spoil
        pictures = save_pictures(tmp_path / "pictures", 2)
        encoder = fake_encoder(adapter, tmp_path / "store")
        with pytest.raises(ModelError, match=r"^fake"):
            encode(encoder, [Regions(pictures, np.arange(2), BOXES[:2])])
        assert len(encoder.store) == 0

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda features: features._replace(vectors=features.vectors[:, :5]),
            lambda features: features._replace(vectors=features.vectors[:1]),
            lambda features: features._replace(vectors=features.vectors[0]),
            lambda features: features._replace(truncated=[True]),
        ],
    )
    def test_text_features_of_another_shape_are_a_model_error(
        self, tmp_path: Path, spoil: Callable[[TextFeatures], TextFeatures]
    ) -> None:
        adapter = FakeAdapter()
        adapter.spoil_texts = spoil
        with pytest.raises(ModelError, match="fake: encode_texts returned"):
            encode(fake_encoder(adapter, tmp_path), [Texts(["a", "b"], "short")])

    def test_an_error_of_the_model_keeps_its_traceback(self, tmp_path: Path) -> None:
        adapter = FakeAdapter()

        def fail(features: ImageFeatures) -> ImageFeatures:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

        adapter.spoil_images = fail
        with pytest.raises(RuntimeError, match="mat1 and mat2"):
            encode(fake_encoder(adapter, tmp_path / "store"), [Images(save_pictures(tmp_path, 1))])


class TestBrokenPictures:
    def test_a_picture_that_cannot_be_decoded_is_noted_and_the_others_are_stored(self, tmp_path: Path) -> None:
        pictures = save_pictures(tmp_path / "pictures", 4)
        adapter = FakeAdapter()
        encoder = fake_encoder(adapter, tmp_path / "store")
        (address,), images, _ = work(adapter, [Images(pictures)])
        path = Path(pictures[1].path)
        path.write_bytes(path.read_bytes()[:200])
        encoder.encode_images(images)
        assert list(encoder.broken) == [pictures[1]]
        assert "damaged picture" in encoder.broken[pictures[1]]
        assert encoder.store.has(address.keys).tolist() == [True, False, True, True]

    def test_a_chunk_of_broken_pictures_writes_nothing(self, tmp_path: Path) -> None:
        pictures = save_pictures(tmp_path / "pictures", 2)
        adapter = FakeAdapter()
        encoder = fake_encoder(adapter, tmp_path / "store")
        _, images, _ = work(adapter, [Images(pictures)])
        for picture in pictures:
            Path(picture.path).unlink()
        encoder.encode_images(images)
        assert len(encoder.broken) == 2
        assert encoder.stats.chunks_encoded == 0
