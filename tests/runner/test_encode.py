"""The encoder: every input once, the right values, and nothing again that is stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fgbench.adapter import ImageFeatures, RegionMode
from fgbench.requests import ImageRef, Images, Regions, Request, Texts
from fgbench.runner import jobs

from ..fakes import DIM, FakeAdapter, fake_encoder, save_picture, save_pictures, text_vector
from .encoding import BOXES, encode, mixed, work


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CHUNK_PASSES", 6)
    monkeypatch.setattr(jobs, "CHUNK_TEXTS", 5)


class TestOnce:
    def test_every_picture_passes_the_model_once_whoever_asks(self, tmp_path: Path) -> None:
        pictures = save_pictures(tmp_path / "pictures", 5)
        regions = Regions(pictures, np.arange(15) % 5, np.repeat(BOXES, 5, axis=0))
        adapter = FakeAdapter()
        encoder = fake_encoder(adapter, tmp_path / "store")
        encode(encoder, [Images(pictures), Images(pictures[::-1]), regions])
        assert adapter.images_encoded == encoder.stats.image_passes == encoder.stats.images_decoded == 5
        assert encoder.stats.regions_pooled == 15

    def test_every_view_is_a_pass_and_the_picture_is_decoded_once(self, tmp_path: Path) -> None:
        pictures = save_pictures(tmp_path / "pictures", 3)
        adapter = FakeAdapter()
        encoder = fake_encoder(adapter, tmp_path / "store")
        encode(encoder, [Images(pictures), Images(pictures, budget=256)])
        assert (adapter.images_encoded, encoder.stats.images_decoded) == (6, 3)

    def test_equal_content_under_two_names_is_encoded_once(self, tmp_path: Path) -> None:
        one, copy = save_picture(tmp_path / "a.png", 1), save_picture(tmp_path / "b.png", 1)
        adapter = FakeAdapter()
        (rows,) = encode(fake_encoder(adapter, tmp_path / "store"), [Images([one, copy])])
        assert adapter.images_encoded == 1
        assert (rows[0] == rows[1]).all()

    def test_every_text_is_encoded_once_per_path(self, tmp_path: Path) -> None:
        adapter = FakeAdapter()
        encoder = fake_encoder(adapter, tmp_path)
        encode(encoder, [Texts(["a", "b", "a"], "short"), Texts(["a"], "box"), Texts(["a"], "long")])
        assert sorted(adapter.texts_encoded) == ["a", "a", "b"]
        assert encoder.stats.texts_encoded == 3

    def test_dense_features_are_asked_for_only_where_boxes_are(self, tmp_path: Path) -> None:
        pictures = save_pictures(tmp_path / "pictures", 4)
        adapter = FakeAdapter()
        encode(
            fake_encoder(adapter, tmp_path / "store"),
            [Images(pictures), Regions(pictures[:2], np.array([0, 1]), BOXES[:2])],
        )
        assert dict(zip(adapter.dense_batches, adapter.image_batches, strict=True)) == {True: 2, False: 2}


class TestValues:
    def test_stored_vectors_are_what_the_model_returned_not_normalised(self, tmp_path: Path) -> None:
        adapter = FakeAdapter()
        picture = save_picture(tmp_path / "a.png")
        image_rows, text_rows = encode(
            fake_encoder(adapter, tmp_path / "store"), [Images([picture]), Texts(["a"], "long")]
        )
        with Image.open(picture.path) as image:
            inputs = adapter.preprocessor(image, "cells-dynamic")
        expected = (inputs["cells"] @ adapter.module.get_parameter("weight")).sum(dim=0)
        assert image_rows[0].tolist() == expected.tolist()
        assert text_rows[0].tolist() == text_vector("a", "long").tolist()
        assert np.linalg.norm(image_rows[0]) > 10

    def test_the_region_of_the_whole_picture_is_the_mean_token(self, tmp_path: Path) -> None:
        picture = save_picture(tmp_path / "a.png")
        requests: list[Request] = [Images([picture]), Regions([picture], np.array([0]), BOXES[:1])]
        pooled, region = encode(fake_encoder(FakeAdapter(), tmp_path / "store"), requests)
        assert region[0] == pytest.approx(pooled[0] / 8, rel=1e-5, abs=1e-3)

    def test_a_crop_is_encoded_like_a_picture_of_its_own(self, tmp_path: Path) -> None:
        picture = save_picture(tmp_path / "a.png")
        with Image.open(picture.path) as image:
            image.crop((3, 2, 13, 14)).save(tmp_path / "crop.png")
        cropped, alone = encode(
            fake_encoder(FakeAdapter(), tmp_path / "store"),
            [Regions([picture], np.array([0]), BOXES[1:2]), Images([ImageRef(str(tmp_path / "crop.png"))])],
            mode="crop",
        )
        assert cropped.tolist() == alone.tolist()

    def test_tokens_are_normalised_before_pooling_if_the_model_wants_it(self, tmp_path: Path) -> None:
        picture = save_picture(tmp_path / "a.png")
        adapter = FakeAdapter(dense_pooling="token-normalised")
        (rows,) = encode(fake_encoder(adapter, tmp_path / "store"), [Regions([picture], np.array([0]), BOXES[:1])])
        with Image.open(picture.path) as image:
            inputs = adapter.preprocessor(image, "cells-dynamic")
        tokens = inputs["cells"] @ adapter.module.get_parameter("weight").detach()
        expected = (tokens / tokens.norm(dim=1, keepdim=True)).mean(dim=0)
        assert rows[0] == pytest.approx(expected.numpy(), abs=1e-5)

    def test_truncated_texts_are_flagged(self, tmp_path: Path) -> None:
        encoder = fake_encoder(FakeAdapter(), tmp_path)
        (address,), _, texts = work(FakeAdapter(), [Texts(["short", "x" * 31, "y" * 30], "short")])
        encoder.encode_texts(texts)
        assert encoder.store.read(address.keys)[1].tolist() == [0, 1, 0]

    @pytest.mark.parametrize("mode", ["roi", "crop"])
    @pytest.mark.parametrize(("batch_size", "workers"), [(1, 0), (3, 0), (100, 0), (4, 2)])
    def test_batches_and_workers_change_nothing(
        self, tmp_path: Path, batch_size: int, workers: int, mode: RegionMode
    ) -> None:
        requests = mixed(tmp_path / "pictures")
        expected = encode(fake_encoder(FakeAdapter(), tmp_path / "one"), requests, mode)
        encoder = fake_encoder(FakeAdapter(), tmp_path / "other", batch_size=batch_size, workers=workers)
        for found, wanted in zip(encode(encoder, requests, mode), expected, strict=True):
            assert found.tolist() == wanted.tolist()

    def test_batches_hold_pictures_of_one_view(self, tmp_path: Path) -> None:
        pictures = save_pictures(tmp_path / "pictures", 6)
        adapter = FakeAdapter()
        encode(fake_encoder(adapter, tmp_path / "store"), [Images(pictures[:3], budget=64), Images(pictures[3:])])
        assert adapter.image_batches == [3, 3]


class TestResuming:
    def test_a_finished_run_encodes_nothing_again(self, tmp_path: Path) -> None:
        requests = mixed(tmp_path / "pictures")
        first = encode(fake_encoder(FakeAdapter(), tmp_path / "store"), requests)
        adapter = FakeAdapter()
        encoder = fake_encoder(adapter, tmp_path / "store")
        again = encode(encoder, requests)
        assert (adapter.image_batches, adapter.text_batches) == ([], [])
        assert encoder.stats.rows_reused == 14 + 14 + 12
        assert encoder.stats.images_decoded == 0
        for found, wanted in zip(again, first, strict=True):
            assert found.tolist() == wanted.tolist()

    @pytest.mark.parametrize("stop_after", [1, 2, 3])
    def test_a_stopped_run_goes_on_with_the_chunk_it_was_in(self, tmp_path: Path, stop_after: int) -> None:
        requests = mixed(tmp_path / "pictures")
        expected = encode(fake_encoder(FakeAdapter(), tmp_path / "whole"), requests)
        whole = FakeAdapter()
        encode(fake_encoder(whole, tmp_path / "again"), requests)

        stopped = FakeAdapter()

        def stop(features: ImageFeatures) -> ImageFeatures:
            if len(stopped.image_batches) > stop_after:
                raise KeyboardInterrupt
            return features

        stopped.spoil_images = stop
        with pytest.raises(KeyboardInterrupt):
            encode(fake_encoder(stopped, tmp_path / "store"), requests)

        resumed = FakeAdapter()
        encoder = fake_encoder(resumed, tmp_path / "store")
        some_done = len(encoder.store) > 0
        found = encode(encoder, requests)
        for rows, wanted in zip(found, expected, strict=True):
            assert rows.tolist() == wanted.tolist()
        # The chunks that are repeated are batched exactly as in one go.
        assert resumed.image_batches == whole.image_batches[len(whole.image_batches) - len(resumed.image_batches) :]
        assert (resumed.images_encoded < 14) == some_done

    def test_another_dataset_reuses_what_is_there(self, tmp_path: Path) -> None:
        pictures = save_pictures(tmp_path / "pictures", 6)
        encode(fake_encoder(FakeAdapter(), tmp_path / "store"), [Images(pictures[:4]), Texts(["a", "b"], "short")])
        adapter = FakeAdapter()
        encode(fake_encoder(adapter, tmp_path / "store"), [Images(pictures[2:]), Texts(["b", "c"], "box")])
        assert adapter.images_encoded == 2
        assert adapter.texts_encoded == ["c"]

    @pytest.mark.parametrize(
        ("folder", "seeds", "encoded"),
        [("old", (1, 2), 0), ("moved", (1, 2), 0), ("old", (1, 3), 1), ("moved", (2, 1), 0)],
        ids=["as before", "in another folder", "one replaced", "names exchanged"],
    )
    def test_pictures_are_known_by_their_content_not_by_their_place(
        self, tmp_path: Path, folder: str, seeds: tuple[int, int], encoded: int
    ) -> None:
        def run(folder: str, seeds: tuple[int, int]) -> int:
            pictures = [save_picture(tmp_path / folder / f"{place}.png", seed) for place, seed in enumerate(seeds)]
            adapter = FakeAdapter()
            requests: list[Request] = [Images(pictures), Regions(pictures, np.arange(2), np.tile(BOXES[:1], (2, 1)))]
            encode(fake_encoder(adapter, tmp_path / "store"), requests)
            return adapter.images_encoded

        assert run("old", (1, 2)) == 2
        assert run(folder, seeds) == encoded

    def test_boxes_added_later_need_a_pass_but_no_second_global_embedding(self, tmp_path: Path) -> None:
        (picture,) = save_pictures(tmp_path / "pictures", 1)
        encode(fake_encoder(FakeAdapter(), tmp_path / "store"), [Images([picture])])
        encoder = fake_encoder(FakeAdapter(), tmp_path / "store")
        encode(encoder, [Images([picture]), Regions([picture], np.array([0]), BOXES[1:2])])
        assert (encoder.stats.image_passes, encoder.stats.rows_reused, len(encoder.store)) == (1, 1, 2)

    def test_progress_counts_every_job_whether_encoded_or_found(self, tmp_path: Path) -> None:
        requests = mixed(tmp_path / "pictures")
        for _ in range(2):
            adapter = FakeAdapter()
            encoder = fake_encoder(adapter, tmp_path / "store")
            _, images, texts = work(adapter, requests)
            steps: list[int] = []
            encoder.encode_images(images, steps.append)
            assert sum(steps) == 14
            steps.clear()
            encoder.encode_texts(texts, steps.append)
            assert sum(steps) == 12


def test_the_fake_returns_vectors_of_its_size(tmp_path: Path) -> None:
    (rows,) = encode(fake_encoder(FakeAdapter(), tmp_path), [Texts(["a"], "short")])
    assert rows.shape == (1, DIM)
