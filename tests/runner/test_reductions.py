"""Label maps and region scores through the encoder, against the same figures worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from fgbench.adapter import RegionMode
from fgbench.data.images import decode, probe
from fgbench.errors import ModelError, StoreError
from fgbench.requests import (
    ClassPrompts,
    ClassScores,
    ImageRef,
    Images,
    LabelMaps,
    PredictedMaps,
    Regions,
    RegionScores,
)
from fgbench.runner import jobs
from fgbench.runner.device import Precision
from fgbench.runner.embedding import EmbeddingEngine
from fgbench.runner.encode import Encoder
from fgbench.runner.engine import Clock
from fgbench.runner.progress import Silent
from fgbench.runner.reduce_region_scores import class_scores, split_by_image

from ..fakes import FakeAdapter, fake_encoder, save_picture, save_pictures, text_vector

NAMES = ("cat", "dog", "lake", "hill", "road")
CLASSES = ClassPrompts(NAMES, ("a {}", "the {}"), "box")
TEMPERATURES = (0.01, 1.0)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CHUNK_PASSES", 3)


def executed(
    encoder: Encoder, requests: dict[str, object], mode: RegionMode = "roi", broken: Sequence[ImageRef] = ()
) -> EmbeddingEngine:
    engine = EmbeddingEngine(encoder, mode)
    refs = {ref for each in requests.values() for ref in each.images}  # type: ignore[attr-defined]
    probes = {ref: "image_missing" if ref in broken else probe(ref) for ref in refs}
    engine.execute({"x": requests}, probes, Silent(), Clock())  # type: ignore[dict-item]
    return engine


def prototypes() -> torch.Tensor:
    """Float64, by the definition."""
    normalise = torch.nn.functional.normalize
    rows = []
    for name in NAMES:
        texts = torch.stack([text_vector(f"{article} {name}", "plain").double() for article in ("a", "the")])
        rows.append(normalise(normalise(texts, dim=-1).mean(dim=0), dim=-1))
    return torch.stack(rows)


def dense_map(adapter: FakeAdapter, ref: ImageRef) -> torch.Tensor:
    """Float64 [D, rows, columns], each patch normalised."""
    inputs = adapter.preprocessor(decode(ref), "any")
    rows, columns = inputs["grid"].tolist()
    tokens = (inputs["cells"] @ adapter.module.get_parameter("weight")).detach().double()
    return torch.nn.functional.normalize(tokens, dim=-1).T.reshape(-1, rows, columns)


class TestLabelMaps:
    def test_equal_the_argmax_of_the_upsampled_cosines(self, tmp_path: Path) -> None:
        pictures = [
            save_picture(tmp_path / f"{n}.png", n, size) for n, size in enumerate([(24, 16), (16, 24), (20, 20)])
        ]
        adapter = FakeAdapter()
        engine = executed(fake_encoder(adapter, tmp_path / "store"), {"maps": LabelMaps(pictures, CLASSES)})
        maps: PredictedMaps = engine.answers("x").answers["maps"]
        for row, ref in enumerate(pictures):
            size = decode(ref).size
            cosines = torch.einsum("kd,dhw->khw", prototypes(), dense_map(adapter, ref))
            full = torch.nn.functional.interpolate(cosines[None], size=size[::-1], mode="bilinear")[0]
            best = full.topk(2, dim=0)
            clear = (best.values[0] - best.values[1]).numpy() > 1e-6
            found = maps.read(row)
            assert found.shape == size[::-1]
            assert found.dtype == np.uint16
            assert (found == best.indices[0].numpy())[clear].all()
            assert clear.mean() > 0.99
        assert engine.counters()["reductions"] == 3

    def test_a_picture_is_encoded_once_for_its_map_its_regions_and_itself(self, tmp_path: Path) -> None:
        pictures = save_pictures(tmp_path, 4)
        adapter = FakeAdapter()
        regions = Regions(pictures, np.arange(4), np.array([[1.0, 2.0, 8.0, 9.0]] * 4))
        other = ClassPrompts(("sky", "sea"), ("{}",), "box")
        requests = {
            "maps": LabelMaps(pictures, CLASSES),
            "more": LabelMaps(pictures, other),
            "images": Images(pictures),
            "regions": regions,
        }
        engine = executed(fake_encoder(adapter, tmp_path / "store"), requests)
        assert adapter.images_encoded == 4
        assert engine.counters()["reductions"] == 8
        assert not np.array_equal(*(engine.answers("x").answers[name].read(0) for name in ("maps", "more")))

    def test_windows_are_cut_from_the_resized_picture(self, tmp_path: Path) -> None:
        (picture,) = save_pictures(tmp_path, 1, (30, 20))
        adapter = FakeAdapter(window=8)
        maps = LabelMaps([picture], CLASSES, windows="sclip")
        engine = executed(fake_encoder(adapter, tmp_path / "store", batch_size=2), {"maps": maps})
        # Short side 12, windows of 8 every 4: 12 x 18 pixels have starts 0, 4 down and 0, 4, 8, 10 across.
        assert adapter.images_encoded == 2 * 4
        assert engine.answers("x").answers["maps"].read(0).shape == (20, 30)

    def test_several_names_of_a_class_are_one_prototype(self, tmp_path: Path) -> None:
        (picture,) = save_pictures(tmp_path, 1)
        prompts = ClassPrompts(("cat", "dog", "lake"), ("{}",), "box", classes=(0, 0, 1))
        engine = executed(fake_encoder(FakeAdapter(), tmp_path / "store"), {"maps": LabelMaps([picture], prompts)})
        assert set(np.unique(engine.answers("x").answers["maps"].read(0))) <= {0, 1}

    def test_the_answer_may_be_smaller_than_the_picture(self, tmp_path: Path) -> None:
        (picture,) = save_pictures(tmp_path, 1, (30, 20))
        maps = LabelMaps([picture], CLASSES, short_side=10)
        engine = executed(fake_encoder(FakeAdapter(), tmp_path / "store"), {"maps": maps})
        assert engine.answers("x").answers["maps"].read(0).shape == (10, 15)

    def test_pictures_without_pixels_have_a_reason(self, tmp_path: Path) -> None:
        good, gone, torn = save_pictures(tmp_path, 3)
        whole = probe(torn)
        Path(torn.path).write_bytes(Path(torn.path).read_bytes()[:-200])
        assert probe(torn).width == whole.width
        maps = LabelMaps([good, gone, torn], CLASSES)
        engine = executed(fake_encoder(FakeAdapter(), tmp_path / "store"), {"maps": maps}, broken=(gone,))
        found = engine.answers("x").answers["maps"]
        assert found.failed == {1: "image_missing", 2: "image_unreadable"}
        assert torn in engine.broken

    def test_a_second_run_encodes_nothing(self, tmp_path: Path) -> None:
        pictures = save_pictures(tmp_path / "pictures", 5)
        requests = {"maps": LabelMaps(pictures, CLASSES), "images": Images(pictures)}
        first = executed(fake_encoder(FakeAdapter(), tmp_path / "store"), requests).answers("x").answers["maps"]
        adapter = FakeAdapter()
        again = executed(fake_encoder(adapter, tmp_path / "store"), requests).answers("x").answers["maps"]
        assert adapter.images_encoded == 0
        assert all(np.array_equal(first.read(row), again.read(row)) for row in range(5))

    def test_nan_among_the_patches_ends_the_run(self, tmp_path: Path) -> None:
        adapter = FakeAdapter()
        adapter.spoil_images = lambda features: features._replace(
            tokens=None if features.tokens is None else features.tokens * float("nan")
        )
        with pytest.raises(ModelError, match="NaN"):
            executed(
                fake_encoder(adapter, tmp_path / "store"), {"maps": LabelMaps(save_pictures(tmp_path, 1), CLASSES)}
            )


def scored(pictures: list[ImageRef]) -> RegionScores:
    """Boxes on the first and the last of three pictures, some of them impossible."""
    boxes = [[1, 2, 8, 9], [0, 0, 0, 5], [3.5, 1, 20, 14], [2, 2, 5, 5], [900, 2, 5, 5], [0, 0, 24, 16]]
    return RegionScores(
        pictures,
        np.array([0, 0, 0, 2, 2, 2]),
        np.array(boxes, dtype=np.float64),
        np.array([0, 0, 1, 2, 3, 4, 5, 5]),
        np.array([4, 0, 1, 2, 2, 1, 0, 3]),
        CLASSES,
        TEMPERATURES,
    )


class TestRegionScores:
    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    @pytest.mark.parametrize("mode", ["roi", "crop"])
    def test_equal_what_the_stored_embeddings_give(
        self, tmp_path: Path, mode: RegionMode, precision: Precision
    ) -> None:
        """Also in half precision: pooling, similarities and normalisers are not."""
        pictures = save_pictures(tmp_path, 3)
        request = scored(pictures)
        regions = Regions(pictures, request.image_index, request.boxes)
        encoder = fake_encoder(FakeAdapter(), tmp_path / "store")
        encoder.precision = precision
        engine = executed(encoder, {"s": request, "r": regions}, mode)
        answers = engine.answers("x").answers
        found: ClassScores = answers["s"]
        embeddings = answers["r"]
        assert found.failed == embeddings.failed == {1: "degenerate_box", 4: "box_outside_image"}
        cosines = torch.from_numpy(embeddings.vectors).double() @ prototypes().T
        ok = embeddings.ok
        expected = cosines[request.pair_box, request.pair_class].numpy()
        expected[~ok[request.pair_box]] = np.nan
        np.testing.assert_allclose(found.cosine, expected, atol=1e-6)
        assert (found.best_class == np.where(ok, cosines.argmax(dim=1).numpy(), -1)).all()
        np.testing.assert_allclose(found.best_cosine[ok], cosines.max(dim=1).values.numpy()[ok], atol=1e-6)
        for column, temperature in enumerate(TEMPERATURES):
            normaliser = torch.logsumexp(cosines / temperature, dim=1).numpy()
            np.testing.assert_allclose(found.log_normaliser[ok, column], normaliser[ok], atol=1e-4)
        assert np.isnan(found.log_normaliser[~ok]).all()

    def test_a_missing_picture_fails_its_boxes(self, tmp_path: Path) -> None:
        pictures = save_pictures(tmp_path, 3)
        engine = executed(fake_encoder(FakeAdapter(), tmp_path / "store"), {"s": scored(pictures)}, broken=pictures[:1])
        found = engine.answers("x").answers["s"]
        assert found.failed == {**dict.fromkeys(range(3), "image_missing"), 4: "box_outside_image"}
        assert np.isnan(found.cosine[:4]).all()

    def test_one_pass_whatever_the_number_of_boxes(self, tmp_path: Path) -> None:
        adapter = FakeAdapter()
        pictures = save_pictures(tmp_path, 3)
        executed(fake_encoder(adapter, tmp_path / "store"), {"s": scored(pictures), "i": Images(pictures)})
        assert adapter.images_encoded == 3

    def test_boxes_out_of_order_are_refused(self, tmp_path: Path) -> None:
        request = scored(save_pictures(tmp_path, 3))
        unsorted = RegionScores(
            request.images, request.image_index[::-1], request.boxes, request.pair_box, request.pair_class,
            CLASSES, TEMPERATURES,
        )  # fmt: skip
        with pytest.raises(ValueError, match="ascending"):
            list(split_by_image(unsorted))

    def test_stored_bytes_of_another_shape_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="bytes"):
            class_scores(scored(save_pictures(tmp_path, 3)), {0: b"1234", 2: b""}, {}, "image_unreadable")


def test_models_without_dense_features_are_refused(tmp_path: Path) -> None:
    engine = EmbeddingEngine(fake_encoder(FakeAdapter(dense=False), tmp_path), "roi")
    assert "dense features" in str(engine.refusal([LabelMaps([], CLASSES)]))
    empty = np.zeros(0, dtype=np.int64)
    region_scores = RegionScores([], empty, np.zeros((0, 4)), empty, empty, CLASSES, TEMPERATURES)
    assert "--region-mode crop" in str(engine.refusal([region_scores]))
    crops = EmbeddingEngine(fake_encoder(FakeAdapter(dense=False), tmp_path), "crop")
    assert crops.refusal([region_scores]) is None
