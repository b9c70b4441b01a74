"""FG-CLIP 1 against the figures recorded from its own code, against transformers' CLIP, and against its promises."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from fgbench.adapters.fgclip1 import load
from fgbench.errors import ModelError, UsageError
from fgbench.models import load_adapter
from fgbench.requests import TextKind
from fgbench.runner.regions import pool

from .contract import assert_close, check_contract, encode, picture, vectors
from .more_tiny_models import LONG, fgclip1
from .tiny_models import clip, edit_weights

TOLERANCE = 2e-5
TEXTS = ["a cat", "the small DOG 猫", "", "a" * 90]


@pytest.fixture(scope="module")
def official(golden: Path) -> Any:
    return load(str(golden / "fgclip1-tiny"))


@pytest.fixture(scope="module")
def figures(golden: Path) -> Any:
    with np.load(golden / "features-fgclip1" / "features.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def recorded(golden: Path) -> dict[str, Any]:
    content = json.loads((golden / "features-fgclip1" / "pixels.json").read_text(encoding="utf-8"))
    return {name: entry for name, entry in content.items() if isinstance(entry, dict)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fgclip1(tmp_path_factory.mktemp("fgclip1") / "fg-clip-tiny")


@pytest.fixture(scope="module")
def adapter(folder: Path) -> Any:
    return load(str(folder))


def opened(golden: Path, name: str) -> Image.Image:
    return Image.open(golden / "features" / "images" / name).convert("RGB")


def test_pixels_are_the_official_ones(golden: Path, official: Any, recorded: dict[str, Any]) -> None:
    for name, entry in recorded.items():
        batch = official.preprocessor(opened(golden, name), "squash-224")["pixels"][None]
        values = official.module.pixels(batch)
        assert list(values.shape) == entry["shape"]
        assert hashlib.sha256(values.numpy().tobytes()).hexdigest() == entry["sha256"], name


def test_pictures_equal_the_official_figures(
    golden: Path, official: Any, recorded: dict[str, Any], figures: dict[str, Any]
) -> None:
    compared = 0
    for name in recorded:
        features = encode(official, [opened(golden, name)], dense=True)
        np.testing.assert_allclose(features.pooled[0], figures[f"pooled/{name}"], rtol=0, atol=TOLERANCE)
        if f"dense/{name}" in figures:
            np.testing.assert_allclose(features.tokens[0], figures[f"dense/{name}"], rtol=0, atol=TOLERANCE)
            compared += 1
    assert compared == sum(key.startswith("dense/") for key in figures) > 0


def test_regions_equal_the_official_figures(golden: Path, official: Any, figures: dict[str, Any]) -> None:
    boxes = json.loads((golden / "features" / "boxes.json").read_text(encoding="utf-8"))
    for key in (key for key in figures if key.startswith("roi_raw/")):
        name = key.partition("/")[2]
        image = opened(golden, name)
        features = encode(official, [image], dense=True)
        grid = tuple(features.grid[0].tolist())
        found = pool(features.tokens[0], grid, image.size, np.array([box for _, box in boxes[name]], dtype=np.float64))
        np.testing.assert_allclose(found, figures[key], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("kind", "length", "path"), [("short", 77, "short"), ("box", 77, "short"), ("long", LONG, "long")]
)
def test_texts_equal_the_official_figures(
    golden: Path, official: Any, figures: dict[str, Any], kind: TextKind, length: int, path: str
) -> None:
    texts = [entry["text"] for entry in json.loads((golden / "features" / "texts.json").read_text(encoding="utf-8"))]
    ids, truncated = official._tokens[kind](texts)
    ids = torch.nn.functional.pad(ids, (0, length - ids.shape[1]), value=49407)
    assert torch.equal(ids, torch.from_numpy(figures[f"text_ids/{length}"]).long())
    assert truncated[-2:] == [True, True]
    np.testing.assert_allclose(vectors(official, texts, kind), figures[f"text/{path}"], rtol=0, atol=TOLERANCE)


def library(folder: Path, *, long: bool) -> Any:
    """transformers' own CLIP over the checkpoint; the long path becomes the only one of a CLIP with 248 positions."""
    config = transformers.CLIPConfig.from_pretrained(folder)
    config.text_config.eos_token_id = 49407
    state = load_file(folder / "model.safetensors")
    if long:
        tables = "text_model.embeddings.position_embedding"
        config.text_config.max_position_embeddings = LONG
        state[f"{tables}.weight"] = torch.cat([state[f"{tables}_ori.weight"][:20], state[f"{tables}_res.weight"][20:]])
        state["text_projection.weight"] = state["text_filip_projection.weight"]
    model = transformers.CLIPModel(config)
    missing = model.load_state_dict(state, strict=False).missing_keys
    assert not missing
    return model.eval()


@pytest.mark.parametrize("kind", ["short", "long", "box"])
def test_texts_equal_the_library(folder: Path, adapter: Any, kind: TextKind) -> None:
    length = LONG if kind == "long" else 77
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    ids = tokenizer(TEXTS, padding="max_length", truncation=True, max_length=length, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        expected = library(folder, long=kind == "long").get_text_features(input_ids=ids).pooler_output
    assert_close(vectors(adapter, TEXTS, kind), expected)


def test_pictures_equal_the_library(folder: Path, adapter: Any) -> None:
    model, last = library(folder, long=False), -1
    pixels = np.asarray(picture().resize((32, 32), Image.Resampling.BICUBIC), dtype=np.float32) / 255
    mean, std = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])
    batch = torch.from_numpy((pixels - mean) / std).float().permute(2, 0, 1)[None]
    features = encode(adapter, [picture()], dense=True)
    with torch.inference_mode():
        assert_close(features.pooled, model.get_image_features(pixel_values=batch).pooler_output)
        vision = model.vision_model
        block = vision.encoder.layers[last]
        x = vision(batch, output_hidden_states=True).hidden_states[-2]
        x = x + block.self_attn.out_proj(block.self_attn.v_proj(block.layer_norm1(x)))
        x = x + block.mlp(block.layer_norm2(x))
        assert_close(features.tokens, model.visual_projection(vision.post_layernorm(x[:, 1:])))
    assert features.grid.tolist() == [[4, 4]]


def test_contract(adapter: Any) -> None:
    check_contract(adapter)


def test_info(folder: Path) -> None:
    adapter = load_adapter(str(folder))
    info = adapter.info
    assert (info.family, info.name, info.dim) == ("fgclip1", "fg-clip-tiny", 24)
    assert (info.dense, info.dense_pooling, info.region_default) == ("value path", "raw", "roi")
    assert dict(info.text_length) == {"short": 77, "box": 77, "long": LONG}
    assert dict(info.text_path) == {"short": "short", "box": "short", "long": "long"}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(info.files)
    assert info.settings["activation"] == "quick_gelu"
    views = [adapter.preprocessor.view(purpose, (9, 7), 256) for purpose in ("global", "dense")]
    assert views == ["squash-32", "squash-32"]


def test_short_and_long_differ(adapter: Any) -> None:
    short, long, box = (vectors(adapter, ["a cat"], kind) for kind in ("short", "long", "box"))
    assert torch.equal(short, box)
    assert not torch.allclose(short, long, atol=1e-2)


def test_the_end_token_is_forced(folder: Path, adapter: Any) -> None:
    """config.json says 2, or whatever: FG-CLIP's code does not read it."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["text_config"]["eos_token_id"] == 2
    cat, dog = vectors(adapter, ["a cat", "a dog"])
    assert not torch.allclose(cat, dog, atol=1e-3)


def test_literal_special_tokens_are_text(adapter: Any) -> None:
    ids, _ = adapter._tokens["short"](["a <|endoftext|> b"])
    assert ids[0].tolist().count(49407) == 1


def test_global_random_numbers_are_left_alone(folder: Path) -> None:
    before = torch.get_rng_state()
    load(str(folder))
    assert torch.equal(torch.get_rng_state(), before)


def test_old_position_numbers_are_ignored(tmp_path: Path) -> None:
    folder = fgclip1(tmp_path)
    state = load_file(folder / "model.safetensors")
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(state, folder / "model.safetensors")
    assert load(str(folder)).info.dim == 24


@pytest.mark.parametrize(
    ("value", "message"),
    [(None, "1 missing: text_filip_projection"), (torch.zeros(3, 32), r"another shape: text_filip_projection.weight")],
)
def test_weights_that_do_not_fit(tmp_path: Path, value: Tensor | None, message: str) -> None:
    folder = fgclip1(tmp_path)
    edit_weights(folder, text_filip_projection__weight=value)
    with pytest.raises(ModelError, match=message):
        load(str(folder))


def test_unknown_tensors(tmp_path: Path) -> None:
    folder = fgclip1(tmp_path)
    save_file({**load_file(folder / "model.safetensors"), "more": torch.zeros(2)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"1 unexpected: more \[2\]"):
        load(str(folder))


@pytest.mark.parametrize(
    ("tower", "changes", "message"),
    [
        ("text_config", {"hidden_size": 0}, "unusable|hidden_size is 0"),
        ("text_config", {"hidden_size": 30}, "heads"),
        ("text_config", {"vocab_size": 100}, "vocab_size must be above 49407"),
        ("text_config", {"max_position_embeddings": 16}, "max_position_embeddings must be at least 20"),
        ("vision_config", {"patch_size": 7}, "multiple of patch_size"),
        ("vision_config", {"patch_size": "x"}, "unusable|patch_size is 'x'"),
        ("vision_config", {"hidden_act": "nothing"}, "hidden_act"),
        ("text_config", None, "expected the objects text_config and vision_config"),
    ],
)
def test_configurations_that_cannot_be(tmp_path: Path, tower: str, changes: Any, message: str) -> None:
    folder = fgclip1(tmp_path)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config[tower] = changes and config[tower] | changes
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        load(str(folder))


def test_another_model_type(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "siglip"}', encoding="utf-8")
    with pytest.raises(ModelError, match=r"model_type is 'siglip'; expected 'clip'"):
        load(str(tmp_path))


def test_another_tokenizer(tmp_path: Path) -> None:
    folder = fgclip1(tmp_path / "model")
    other = clip(tmp_path / "clip")
    (folder / "tokenizer.json").write_bytes((other / "tokenizer.json").read_bytes())
    with pytest.raises(ModelError, match="not CLIP's tokenizer"):
        load(str(folder))


def test_a_plain_clip_folder_is_not_fgclip1(tmp_path: Path) -> None:
    assert load_adapter(str(clip(tmp_path))).info.family == "hf"
    with pytest.raises(ModelError, match="at least 20"):
        load(str(tmp_path))


def test_no_such_model() -> None:
    with pytest.raises(UsageError, match="neither a folder that exists nor a hub id"):
        load("no/such/folder")
