"""open_clip models: the same numbers as the library called directly, and honest flags."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from fgbench.adapters.openclip import load
from fgbench.models import load_adapter

from .encoding import encode, picture
from .openclip_models import adapter as adapter
from .openclip_models import built_in as built_in
from .openclip_models import folder as folder
from .tiny_models import LENGTH

TEXTS = ["a cat", "the “small” dog &amp; 猫", "", "ab"]


def direct(name: str, image: Image.Image, texts: Sequence[str], **options: Any) -> tuple[Tensor, Tensor]:
    model, _, transform = open_clip.create_model_and_transforms(name, **options)
    with torch.inference_mode():
        return (
            model.eval().encode_image(transform(image)[None]),
            model.encode_text(open_clip.get_tokenizer(name)(list(texts))),
        )


def test_equals_the_library(folder: Path, adapter: Any) -> None:
    pooled, text = direct(f"local-dir:{folder}", picture(), TEXTS)
    torch.testing.assert_close(encode(adapter, [picture()]).pooled, pooled, rtol=0, atol=1e-5)
    with torch.inference_mode():
        torch.testing.assert_close(adapter.encode_texts(TEXTS, "short").vectors, text, rtol=0, atol=1e-5)


def test_info(folder: Path, adapter: Any) -> None:
    info = adapter.info
    assert (info.family, info.dim, info.dense, info.region_default) == ("openclip", 24, "value path", "roi")
    assert dict(info.text_length) == {"short": LENGTH, "long": LENGTH, "box": LENGTH}
    assert list(info.files) == ["open_clip_config.json", "open_clip_model.safetensors"]
    assert "crop-32" in info.preprocess
    assert "squash-32" in info.preprocess
    assert str(folder.parent) not in info.source
    assert not adapter.module.training
    assert {parameter.dtype for parameter in adapter.module.parameters()} == {torch.float32}


@pytest.mark.parametrize("spelling", ["{}", "openclip:{}", "openclip:local-dir:{}"])
def test_spellings_of_a_folder(folder: Path, adapter: Any, spelling: str) -> None:
    other = load_adapter(spelling.format(folder))
    assert torch.equal(encode(other, [picture()]).pooled, encode(adapter, [picture()]).pooled)


def test_dense_covers_the_whole_picture(adapter: Any) -> None:
    image = Image.new("RGB", (96, 32))
    image.paste((255, 0, 0), (0, 0, 24, 32))  # inside the left quarter, which a centre crop loses
    views = adapter.preprocessor
    assert views.view("global", image.size, 256) == "crop-32"
    assert views.view("dense", image.size, None) == "squash-32"
    assert views(image, "crop-32")["pixels"][0].unique().numel() == 1
    red = views(image, "squash-32")["pixels"][0]
    assert red.shape == (32, 32)
    assert bool((red[:, :6] > red[:, -1:]).all())
    features = encode(adapter, [image], dense=True)
    assert features.tokens.shape == (1, 16, 24)
    assert features.grid.tolist() == [[4, 4]]


def test_rows_do_not_depend_on_the_batch(adapter: Any) -> None:
    images = [picture(40 + 7 * i, 60 - 5 * i, i) for i in range(7)]
    texts = [f"{'word ' * i}cat" for i in range(7)]
    together = encode(adapter, images, dense=True)
    with torch.inference_mode():
        vectors = adapter.encode_texts(texts, "long").vectors
        for i, (image, text) in enumerate(zip(images, texts, strict=True)):
            alone = encode(adapter, [image], dense=True)
            torch.testing.assert_close(alone.pooled[0], together.pooled[i], rtol=0, atol=1e-5)
            torch.testing.assert_close(alone.tokens[0], together.tokens[i], rtol=0, atol=1e-5)
            torch.testing.assert_close(adapter.encode_texts([text], "long").vectors[0], vectors[i], rtol=0, atol=1e-5)


def test_truncation_is_reported(adapter: Any) -> None:
    # one token per letter: 14 letters and the two ends fill 16 positions
    with torch.inference_mode():
        found = adapter.encode_texts(["a" * 13, "a" * 14, "a" * 15, "!" * 40, ""], "box")
    assert list(found.truncated) == [False, False, True, True, False]
    assert found.vectors.shape == (5, 24)


def test_no_texts(adapter: Any) -> None:
    found = adapter.encode_texts([], "short")
    assert found.vectors.shape == (0, 24)
    assert list(found.truncated) == []


@pytest.mark.parametrize("literal", ["<end_of_text>", "<START_OF_TEXT>", "&lt;end_of_text&gt;"])
def test_literal_special_tokens_are_text(adapter: Any, literal: str) -> None:
    ids, _ = adapter._tokens([f"a {literal}"])
    tokenizer = adapter._tokens.tokenizer
    assert ids[0].tolist().count(tokenizer.eot_token_id) == 1
    assert ids[0].tolist().count(tokenizer.sot_token_id) == 1
    plain, _ = adapter._tokens([f"a < {literal.strip('<>').removeprefix('&lt;').removesuffix('&gt;')}>"])
    assert torch.equal(ids, plain)


def test_preprocessor_travels(adapter: Any) -> None:
    copy = pickle.loads(pickle.dumps(adapter.preprocessor))
    assert len(pickle.dumps(adapter.preprocessor)) < 1 << 20
    for view in ("crop-32", "squash-32"):
        assert torch.equal(copy(picture(), view)["pixels"], adapter.preprocessor(picture(), view)["pixels"])


@pytest.mark.parametrize("size", [(1, 1), (3000, 10), (10, 3000), (100_000, 1), (2, 3), (0, 5), (5, 0)])
def test_odd_pictures(adapter: Any, size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (9, 90, 200))
    for dense in (False, True):
        assert bool(torch.isfinite(encode(adapter, [image], dense=dense).pooled).all())
    expected = (0, 0, 0) if 0 in size else (9, 90, 200)
    views = [adapter.preprocessor(image, view)["pixels"] for view in ("crop-32", "squash-32")]
    plain = adapter.preprocessor(Image.new("RGB", (32, 32), expected), "crop-32")["pixels"]
    assert all(torch.equal(pixels, plain) for pixels in views)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "LA"])
def test_modes_become_rgb(adapter: Any, mode: str) -> None:
    image = picture().convert(mode).convert("RGB")
    assert encode(adapter, [image]).pooled.shape == (1, 24)


def test_a_tag_brings_picture_treatment_and_activation(built_in: str, folder: Path) -> None:
    adapter = load(f"{built_in}/openai")
    assert adapter.preprocessor.view("global", (9, 9), None) == "squash-32"
    assert "bilinear" in adapter.info.preprocess
    assert adapter.info.settings["quick_gelu"] is True
    assert any("QuickGELU" in note for note in adapter.info.notes)
    pooled, text = direct(built_in, picture(), TEXTS, pretrained="openai", force_quick_gelu=True)
    torch.testing.assert_close(encode(adapter, [picture()]).pooled, pooled, rtol=0, atol=1e-5)
    with torch.inference_mode():
        torch.testing.assert_close(adapter.encode_texts(TEXTS, "short").vectors, text, rtol=0, atol=1e-5)
    plain = load(f"{built_in}/laion")
    assert not plain.info.notes
    assert not torch.allclose(encode(plain, [picture()]).pooled, pooled, atol=1e-3)


def test_the_activation_of_the_tag_wins_both_ways(built_in: str) -> None:
    adapter = load(f"{built_in}-quickgelu/laion")
    assert adapter.info.settings["quick_gelu"] is False
    assert any("replaced by GELU" in note for note in adapter.info.notes)
    plain = load(f"{built_in}/laion")
    assert torch.equal(encode(adapter, [picture()]).pooled, encode(plain, [picture()]).pooled)


def test_slashes_in_model_names(built_in: str) -> None:
    assert load("ViT/Test-8/laion").info.source.startswith("open_clip ViT-Test-8/laion")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_weights_file(built_in: str, folder: Path, tmp_path: Path, suffix: str) -> None:
    path = folder / "open_clip_model.safetensors"
    if suffix == ".pt":
        path = tmp_path / "epoch_3.pt"
        state = load_file(folder / "open_clip_model.safetensors")
        torch.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}, path)
    adapter = load(f"{built_in}@{path}")
    # some tag of this model is remote, but all agree on the picture treatment
    assert adapter.preprocessor.view("global", (9, 9), None) == "squash-32"
    pooled = direct(built_in, picture(), TEXTS, pretrained="laion")[0]
    torch.testing.assert_close(encode(adapter, [picture()]).pooled, pooled, rtol=0, atol=1e-5)
    assert any("weights file does not say" in note for note in adapter.info.notes)
    assert str(tmp_path) not in adapter.info.source


def test_random_weights_are_the_same_each_time(built_in: str) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = load(built_in)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    second = load(built_in)
    assert torch.equal(encode(first, [picture()]).pooled, encode(second, [picture()]).pooled)
    assert "random weights" in first.info.source
    assert any(note.startswith("random weights") for note in first.info.notes)
    assert not first.info.files


def test_logging_is_left_alone(built_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    load(built_in)
    assert logging.root.handlers == []
    assert logging.root.manager.disable == logging.NOTSET
