"""transformers models: the same numbers as the library called directly."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torch import Tensor

from fgbench.adapters.hf import load
from fgbench.errors import UsageError
from fgbench.models import load_adapter

from .encoding import encode, picture, texts
from .hf_models import MAKERS
from .hf_models import adapters as adapters
from .hf_models import folders as folders
from .tiny_models import IMAGE, LENGTH, clip, clip_tokenizer, gemma_like_tokenizer

TEXTS = ["a cat", "The Small DOG 猫", "", "ab"]


def reference(name: str, folder: Path, image: Image.Image, sentences: Sequence[str]) -> tuple[Tensor, Tensor]:
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32)
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    tokenizer = clip_tokenizer() if name == "clip" else gemma_like_tokenizer()
    options: dict[str, Any] = {"max_num_patches": 128} if name == "naflex" else {}
    inputs = processor(images=image, return_tensors="pt", **options)
    padding = "longest" if name == "clip" else "max_length"
    sentences = list(sentences) if name == "clip" else [text.lower() for text in sentences]
    tokens = tokenizer(
        sentences, padding=padding, truncation=True, max_length=LENGTH, padding_side="right", return_tensors="pt"
    )
    with torch.inference_mode():
        return (
            model.get_image_features(**inputs).pooler_output,
            model.get_text_features(input_ids=tokens["input_ids"]).pooler_output,
        )


@pytest.mark.parametrize("name", MAKERS)
def test_equals_the_library(folders: dict[str, Path], adapters: dict[str, Any], name: str) -> None:
    image_vectors, text_vectors = reference(name, folders[name], picture(), TEXTS)
    torch.testing.assert_close(encode(adapters[name], [picture()]).pooled, image_vectors, rtol=0, atol=1e-5)
    torch.testing.assert_close(texts(adapters[name], TEXTS).vectors, text_vectors, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "dense", "region", "views"),
    [
        ("clip", "value path", "roi", ("crop-32", "squash-32")),
        ("siglip", "map-value", "crop", ("squash-32", "squash-32")),
        ("naflex", "map-value", "crop", ("naflex-128", "naflex-128")),
    ],
)
def test_info(
    folders: dict[str, Path], adapters: dict[str, Any], name: str, dense: str, region: str, views: tuple[str, str]
) -> None:
    adapter = adapters[name]
    info = adapter.info
    assert (info.dense, info.region_default, info.dim) == (dense, region, 24 if name == "clip" else 32)
    assert dict(info.text_length) == dict.fromkeys(("short", "long", "box"), LENGTH)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(info.files)
    assert info.settings["lowercase"] == ("tokenizer" if name == "clip" else "adapter")
    assert tuple(adapter.preprocessor.view(purpose, (64, 43), None) for purpose in ("global", "dense")) == views
    assert info.notes == ()
    assert not adapter.module.training
    assert {parameter.dtype for parameter in adapter.module.parameters()} == {torch.float32}
    assert load_adapter(f"hf:{folders[name]}").info.dim == info.dim


@pytest.mark.parametrize("name", MAKERS)
def test_rows_do_not_depend_on_the_batch(adapters: dict[str, Any], name: str) -> None:
    adapter = adapters[name]
    images = [picture(40 + 7 * i, 60 - 5 * i, i) for i in range(7)]
    sentences = [f"{'wo ' * i}cat" for i in range(7)]
    together, vectors = encode(adapter, images, dense=True), texts(adapter, sentences).vectors
    for i, (image, sentence) in enumerate(zip(images, sentences, strict=True)):
        alone = encode(adapter, [image], dense=True)
        torch.testing.assert_close(alone.pooled[0], together.pooled[i], rtol=0, atol=1e-5)
        assert alone.grid[0].tolist() == together.grid[i].tolist()
        count = int(alone.grid[0].prod())
        torch.testing.assert_close(alone.tokens[0, :count], together.tokens[i, :count], rtol=0, atol=1e-5)
        torch.testing.assert_close(texts(adapter, [sentence]).vectors[0], vectors[i], rtol=0, atol=1e-5)


def test_equals_the_official_fg_clip_1(golden: Path) -> None:
    """FG-CLIP 1 is a CLIP with more text tables: what a plain CLIP shares with it was recorded from its own code."""
    adapter, recorded = load(str(golden / "fgclip1-tiny")), np.load(golden / "features-fgclip1" / "features.npz")
    assert any("text_filip_projection.weight" in note for note in adapter.info.notes)
    for name in ("rgb_240x200.png", "rgb_427x640.jpg", "wide_700x30.png"):
        image = Image.open(golden / "features" / "images" / name).convert("RGB")
        features = encode(adapter, [image], dense=True)
        for found, key in ((features.pooled[0], "pooled"), (features.tokens[0], "dense")):
            expected = recorded[f"{key}/{name}"].reshape(found.shape)
            np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=2e-5)
    entries = json.loads((golden / "features" / "texts.json").read_text(encoding="utf-8"))
    sentences = [entry if isinstance(entry, str) else entry["text"] for entry in entries]
    np.testing.assert_allclose(texts(adapter, sentences).vectors.numpy(), recorded["text/short"], rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["siglip", "naflex"])
def test_map_value_is_the_pooling_head_on_one_token(adapters: dict[str, Any], name: str) -> None:
    adapter = adapters[name]
    seen: list[Tensor] = []
    vision = adapter.module.vision_model
    handle = vision.post_layernorm.register_forward_hook(lambda module, args, output: seen.append(output))
    tokens = encode(adapter, [picture()], dense=True).tokens
    handle.remove()
    with torch.inference_mode():
        alone = torch.stack([vision.head(seen[0][:, i : i + 1]) for i in range(tokens.shape[1])], dim=1)
    torch.testing.assert_close(tokens, alone, rtol=0, atol=1e-5)


def test_the_dense_view_keeps_the_borders(adapters: dict[str, Any]) -> None:
    image = Image.new("RGB", (96, 32))
    image.paste((255, 0, 0), (0, 0, 24, 32))
    views = adapters["clip"].preprocessor
    assert views(image, "crop-32")["pixels"][0].unique().numel() == 1
    pixels = views(image, "squash-32")["pixels"]
    plain = image.resize((IMAGE, IMAGE), Image.Resampling.BICUBIC)
    mean, std = (
        torch.tensor(values)[:, None, None] for values in (views.processor.image_mean, views.processor.image_std)
    )
    expected = (torch.from_numpy(np.array(plain)).permute(2, 0, 1) / 255 - mean) / std
    torch.testing.assert_close(pixels, expected, rtol=0, atol=1e-5)


def test_clip_that_squashes_anyway(tmp_path: Path) -> None:
    folder = clip(tmp_path, size={"height": IMAGE, "width": IMAGE}, do_center_crop=False)
    assert load(str(folder)).preprocessor.view("global", (9, 9), None) == "squash-32"


@pytest.mark.parametrize("name", MAKERS)
def test_truncation_is_reported(adapters: dict[str, Any], name: str) -> None:
    room = LENGTH - (2 if name == "clip" else 1)
    found = texts(adapters[name], ["a" * (room - 1), "a" * room, "a" * (room + 1), "b" * 99, ""])
    assert list(found.truncated) == [False, False, True, True, False]
    ids = adapters[name]._tokens(["a" * 99, "a" * room])[0]
    assert ids.shape == (2, LENGTH)
    assert ids[0, -1] == ids[1, -1], "the end token stays"


@pytest.mark.parametrize("name", MAKERS)
def test_no_texts(adapters: dict[str, Any], name: str) -> None:
    found = texts(adapters[name], [])
    assert found.vectors.shape == (0, adapters[name].info.dim)
    assert list(found.truncated) == []


@pytest.mark.parametrize(("name", "literal"), [("clip", "<|endoftext|>"), ("siglip", "<eos>"), ("naflex", "<pad>")])
def test_literal_special_tokens_are_text(adapters: dict[str, Any], name: str, literal: str) -> None:
    tokens = adapters[name]._tokens
    ids = tokens([f"a {literal} b"])[0][0].tolist()
    special = tokens.tokenizer.convert_tokens_to_ids(literal)
    plain = tokens(["a b"])[0][0].tolist()
    assert ids.index(tokens.tokenizer.eos_token_id) > plain.index(tokens.tokenizer.eos_token_id)
    if name == "clip":
        assert ids.count(special) == 1


@pytest.mark.parametrize("name", ["siglip", "naflex"])
def test_siglip_text(adapters: dict[str, Any], name: str) -> None:
    tokens = adapters[name]._tokens
    ids = tokens(["A Cat"])[0]
    plain = gemma_like_tokenizer()("a cat")["input_ids"]
    assert ids.tolist() == [plain + [0] * (LENGTH - len(plain))]
    found = texts(adapters[name], ["A Cat", "a cat"]).vectors
    assert torch.equal(found[0], found[1])


@pytest.mark.parametrize("name", MAKERS)
def test_preprocessor_travels(adapters: dict[str, Any], name: str) -> None:
    views = adapters[name].preprocessor
    copy = pickle.loads(pickle.dumps(views))
    assert len(pickle.dumps(views)) < 1 << 20
    view = views.view("dense", (64, 43), None)
    for key, value in views(picture(), view).items():
        assert torch.equal(copy(picture(), view)[key], value)


@pytest.mark.parametrize("name", ["clip", "siglip"])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (5, 3), (3000, 10), (10, 3000), (100_000, 1), (0, 5), (5, 0)])
def test_odd_pictures(adapters: dict[str, Any], name: str, size: tuple[int, int]) -> None:
    views = adapters[name].preprocessor
    expected = views(Image.new("RGB", (32, 32), (0, 0, 0) if 0 in size else (9, 90, 200)), "squash-32")["pixels"]
    for purpose in ("global", "dense"):
        image = Image.new("RGB", size, (9, 90, 200))
        pixels = views(image, views.view(purpose, size, None))["pixels"]
        torch.testing.assert_close(pixels, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (3000, 10), (10, 3000), (5, 3)])
def test_odd_pictures_naflex(adapters: dict[str, Any], size: tuple[int, int]) -> None:
    features = encode(adapters["naflex"], [Image.new("RGB", size, (9, 90, 200))], dense=True)
    assert bool(torch.isfinite(features.pooled).all())
    assert bool(torch.isfinite(features.tokens).all())


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_modes_become_rgb(adapters: dict[str, Any], name: str, mode: str) -> None:
    assert bool(torch.isfinite(encode(adapters[name], [picture().convert(mode).convert("RGB")]).pooled).all())


def test_budget(folders: dict[str, Path]) -> None:
    adapter = load(str(folders["naflex"]), budget="256")
    assert adapter.preprocessor.view("global", (640, 480), None) == "naflex-256"
    assert adapter.info.settings["budget"] == 256
    with pytest.raises(UsageError, match="expected a positive number of patches"):
        load(str(folders["naflex"]), budget="many")
    with pytest.raises(UsageError, match="fixed resolution"):
        load(str(folders["clip"]), budget="256")
