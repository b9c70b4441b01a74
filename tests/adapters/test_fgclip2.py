"""FG-CLIP 2 against the figures recorded from the official code, and against its own promises."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fgbench.adapter import Adapter
from fgbench.adapters.fgclip2 import FgClip2Adapter, load, untrained
from fgbench.errors import UsageError
from fgbench.models import load_adapter
from fgbench.requests import TextKind

from .fgclip2_inputs import KINDS, collate, encode, noise, tensors

Arrays = Mapping[str, Any]

pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture(scope="module")
def official(golden: Path) -> FgClip2Adapter:
    adapter = load(str(golden / "fgclip2-tiny"))
    adapter.module.eval()
    return adapter


@pytest.fixture(scope="module")
def figures(golden: Path) -> Arrays:
    with np.load(golden / "features" / "features.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def texts(golden: Path) -> list[str]:
    return [entry["text"] for entry in json.loads((golden / "features" / "texts.json").read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def image_of(golden: Path) -> Callable[[str], Image.Image]:
    return lambda name: Image.open(golden / "features" / "images" / name).convert("RGB")


def assert_close(actual: Tensor, expected: Any, what: str = "") -> None:
    """Equal up to the recorded tolerance (the official code differs from itself by up to 2.3e-6)."""
    expected = torch.as_tensor(expected)
    assert actual.shape == expected.shape, what
    assert (actual - expected).abs().max() <= 2e-5, what


# Against the official code


@pytest.mark.parametrize("policy", ["dynamic", "fixed_256", "fixed_1024", "dynamic_axis_right"])
def test_pooled(policy: str, official: FgClip2Adapter, figures: Arrays, image_of: Callable[[str], Image.Image]) -> None:
    budget = int(policy.removeprefix("fixed_")) if policy.startswith("fixed") else None
    checked = 0
    for key, expected in figures.items():
        image_key = key.removeprefix(f"pooled/{policy}/")
        if image_key == key:
            continue
        image = image_of(image_key)
        if image.height in (1, 3) and policy != "dynamic_axis_right":
            continue  # the official processor takes these heights for the channel axis
        vector = encode(official, image, budget).pooled[0]
        assert_close(vector, expected, key)
        checked += 1
    assert checked == {"dynamic": 13, "fixed_256": 2, "fixed_1024": 2, "dynamic_axis_right": 4}[policy]


def test_dense(official: FgClip2Adapter, figures: Arrays, image_of: Callable[[str], Image.Image]) -> None:
    names = [key.removeprefix("dense/") for key in figures if key.startswith("dense/")]
    assert len(names) == 2
    for name in names:
        features = encode(official, image_of(name), dense=True)
        assert features.tokens is not None
        assert features.grid is not None
        assert int(features.grid.prod()) == len(figures[f"dense/{name}"])
        assert_close(features.tokens[0], figures[f"dense/{name}"], name)


def test_dense_sums_of_every_picture(
    official: FgClip2Adapter, pixels: dict[str, Any], image_of: Callable[[str], Image.Image]
) -> None:
    checked = 0
    for name, record in pixels.items():
        if "dense" not in record or name == "crop_60x3.png":
            continue
        tokens = encode(official, image_of(name), dense=True).tokens
        assert tokens is not None
        assert len(tokens[0]) == np.prod(record["dense"]["grid"])
        assert tokens.double().abs().sum().item() == pytest.approx(record["dense"]["abs_sum"], rel=1e-6)
        checked += 1
    assert checked == 13


def test_batch(
    official: FgClip2Adapter, pixels: dict[str, Any], figures: Arrays, image_of: Callable[[str], Image.Image]
) -> None:
    batch = pixels["_batch"]
    length = batch["shape"][1]  # one call of the official processor gives all pictures the largest budget
    pictures = [tensors(official, image_of(name), length) for name in batch["files"]]
    assert [picture["shape"].tolist() for picture in pictures] == batch["spatial_shapes"]
    batch_in = collate(pictures, length)
    values, _ = official.module.pixels(batch_in["patches"], batch_in["shape"])
    assert hashlib.sha256(values.numpy().tobytes()).hexdigest() == batch["sha256"]
    features = official.encode_images(batch_in, dense=True)
    assert_close(features.pooled, figures["batch/pooled"])
    assert features.tokens is not None
    for picture, row, expected in zip(pictures, features.tokens, batch["dense_abs_sum_valid"], strict=True):
        real = row[: len(picture["patches"])]
        assert real.double().abs().sum().item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("kind", "length"), [("short", 64), ("box", 64), ("long", 196)])
def test_token_ids(kind: TextKind, length: int, official: FgClip2Adapter, figures: Arrays, texts: list[str]) -> None:
    ids, truncated = official.tokenise(texts, kind)
    assert np.array_equal(ids.numpy(), figures[f"text_ids/{length}"])
    assert truncated == [False] * 6 + [True] * 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ["text", "text_lower"])
def test_text(kind: TextKind, case: str, official: FgClip2Adapter, figures: Arrays, texts: list[str]) -> None:
    asked = [text.lower() for text in texts] if case == "text_lower" else texts
    features = official.encode_texts(asked, kind)
    assert_close(features.vectors, figures[f"{case}/{kind}"])


@pytest.mark.parametrize("kind", ["short", "long"])
def test_logits(
    kind: TextKind,
    official: FgClip2Adapter,
    pixels: dict[str, Any],
    figures: Arrays,
    texts: list[str],
    image_of: Callable[[str], Image.Image],
) -> None:
    order = pixels["_logit"]["image_order"]
    keep = [i for i, name in enumerate(order) if name != "crop_60x3.png"]
    images = torch.cat([encode(official, image_of(order[i])).pooled for i in keep])
    vectors = official.encode_texts(texts, kind).vectors
    cosine = torch.nn.functional.normalize(images) @ torch.nn.functional.normalize(vectors).T
    scale, bias = (official.info.settings[name] for name in ("logit_scale", "logit_bias"))
    logits = cosine * float(np.exp(np.float32(scale))) + float(bias)
    np.testing.assert_allclose(logits.numpy(), figures[f"logits_per_image/{kind}"][keep], atol=5e-4, rtol=0)


def test_facts_of_the_official_model(official: FgClip2Adapter, golden: Path) -> None:
    info = official.info
    assert (info.family, info.dim, info.dense, info.dense_pooling) == ("fgclip2", 48, "dense head", "raw")
    assert (info.region_default, info.languages) == ("roi", ("en", "zh"))
    assert info.text_length == {"short": 64, "box": 64, "long": 196}
    assert info.settings["weights_stored_as"] == "float32"
    assert info.files.keys() == {"config.json", "tokenizer.json", "model.safetensors"}
    assert info.source == str(golden / "fgclip2-tiny")


# The protocol's promises, on random weights


def test_is_an_adapter(small: FgClip2Adapter) -> None:
    assert isinstance(small, Adapter)
    assert small.preprocessor == pickle.loads(pickle.dumps(small.preprocessor))


@pytest.mark.parametrize("padding", [0, 255])
def test_padding_and_batch_mates_change_nothing(small: FgClip2Adapter, padding: int) -> None:
    sizes = ((300, 200), (60, 1), (9, 300), (64, 64))
    pictures = [tensors(small, noise(*size, seed)) for seed, size in enumerate(sizes)]
    together = small.encode_images(collate(pictures, 300, padding), dense=True)
    assert together.tokens is not None
    assert together.grid is not None
    assert together.pooled.shape == (4, 64)
    assert together.tokens.shape == (4, 300, 64)
    for i, picture in enumerate(pictures):
        alone = small.encode_images(collate([picture]), dense=True)
        assert alone.tokens is not None
        n = len(picture["patches"])
        assert_close(together.pooled[i], alone.pooled[0])
        assert_close(together.tokens[i, :n], alone.tokens[0])
        assert torch.equal(together.grid[i], picture["shape"])


def test_pooled_features_do_not_need_the_dense_head(small: FgClip2Adapter) -> None:
    image = noise(200, 120)
    plain = encode(small, image)
    assert plain.tokens is None
    assert plain.grid is None
    assert torch.equal(plain.pooled, encode(small, image, dense=True).pooled)


def test_vision_equals_the_library(small: FgClip2Adapter) -> None:
    """The towers are transformers' own; so is what they compute, up to rounding."""
    model, batch = small.module, collate([tensors(small, noise(300, 200)), tensors(small, noise(50, 70))])
    values, real = model.pixels(batch["patches"], batch["shape"])
    reference = model.vision_model(pixel_values=values, pixel_attention_mask=real.int(), spatial_shapes=batch["shape"])
    features = small.encode_images(batch, dense=True)
    assert_close(features.pooled, reference.pooler_output)

    head, states = model.dense_feature_head, reference.last_hidden_state
    mixed = head.attention(states, states, states, key_padding_mask=~real, need_weights=False)[0]
    dense = mixed + head.mlp(head.layernorm(mixed))
    assert features.tokens is not None
    assert_close(features.tokens[real], dense[real])


def test_short_text_equals_the_library(small: FgClip2Adapter) -> None:
    ids, _ = small.tokenise(["a red bus", "一只猫"], "short")
    reference = small.module.text_model(input_ids=ids).pooler_output
    assert_close(small.encode_texts(["a red bus", "一只猫"], "short").vectors, reference)


@pytest.mark.parametrize("kind", KINDS)
def test_texts_do_not_depend_on_each_other(small: FgClip2Adapter, kind: TextKind) -> None:
    texts = ["", "a cat", "A cat", "两只猫" * 100, "<eos> <pad>", "a cat"]
    together = small.encode_texts(texts, kind)
    assert together.vectors.shape == (6, 64)
    assert together.vectors.dtype == torch.float32
    assert list(together.truncated) == [False, False, False, True, False, False]
    for text, vector in zip(texts, together.vectors, strict=True):
        assert_close(small.encode_texts([text], kind).vectors[0], vector)
    assert not torch.allclose(together.vectors[1], together.vectors[2])  # no lower-casing here


def test_the_three_text_paths_differ(small: FgClip2Adapter) -> None:
    short, box, long = (small.encode_texts(["a cat"], kind).vectors for kind in KINDS)
    assert not torch.allclose(short, box, atol=1e-2)
    assert not torch.allclose(short, long, atol=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_no_texts(small: FgClip2Adapter, kind: TextKind) -> None:
    features = small.encode_texts([], kind)
    assert features.vectors.shape == (0, 64)
    assert list(features.truncated) == []


@pytest.mark.parametrize(("bytes_in", "cut"), [(62, False), (63, False), (64, True), (500, True)])
def test_truncation_keeps_the_end_token(small: FgClip2Adapter, bytes_in: int, cut: bool) -> None:
    ids, truncated = small.tokenise(["x" * bytes_in], "short")
    tokens = min(bytes_in, 63)
    assert truncated == [cut]
    assert ids[0].tolist() == [4 + ord("x")] * tokens + [1] + [0] * (63 - tokens)


def test_half_precision_gives_float32(small: FgClip2Adapter) -> None:
    batch = collate([tensors(small, noise(300, 200)), tensors(small, noise(50, 70))])
    exact = small.encode_images(batch, dense=True)
    with torch.autocast("cpu", torch.bfloat16):
        rough = small.encode_images(batch, dense=True)
        text = small.encode_texts(["a cat"], "box")
    assert rough.tokens is not None
    assert {rough.pooled.dtype, rough.tokens.dtype, text.vectors.dtype} == {torch.float32}
    assert torch.cosine_similarity(rough.pooled, exact.pooled).min() > 0.999


@pytest.mark.parametrize("seed", ["0", 7])
def test_untrained_depends_on_its_seed_only(seed: str | int) -> None:
    before = torch.get_rng_state()
    first = untrained("fgclip2", seed=seed)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    second, other = untrained("fgclip2", seed=seed), untrained("fgclip2", seed=8)
    state = second.module.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in first.module.state_dict().items())
    assert not torch.equal(state["dense_feature_head.probe"], other.module.state_dict()["dense_feature_head.probe"])
    assert first.info.settings["seed"] == int(seed)


def test_untrained_tells_inputs_apart(small: FgClip2Adapter) -> None:
    images = torch.cat([encode(small, noise(100, 100, seed).resize((200, 200))).pooled for seed in range(4)])
    vectors = small.encode_texts(["a cat", "a dog", "一只猫", "a bright red bus"], "short").vectors
    for features in (images, vectors):
        unit = torch.nn.functional.normalize(features)
        assert (unit @ unit.T - torch.eye(4)).max() < 0.999


@pytest.mark.parametrize(("target", "seed"), [("clip", "0"), ("", "0"), ("fgclip2", "x"), ("fgclip2", "-1")])
def test_untrained_refuses(target: str, seed: str) -> None:
    with pytest.raises(UsageError, match=r"Expected untrained:fgclip2|expected a whole number"):
        untrained(target, seed=seed)


def test_model_strings_reach_the_adapter(checkpoint: Path) -> None:
    assert load_adapter("untrained:fgclip2?seed=3").info.settings["seed"] == 3
    adapter = load_adapter(f"{checkpoint}?budget=576")
    assert adapter.info.settings["budget"] == 576
    assert adapter.preprocessor.view("global", (5000, 5000), None) == "naflex-576"
