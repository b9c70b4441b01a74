"""Chinese-CLIP, Meta CLIP 2 and AltCLIP: the same numbers as transformers called directly; texts; refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from fgbench.adapters.clip_relatives import KINDS, load
from fgbench.errors import ModelError, UsageError
from fgbench.models import load_adapter

from .contract import Bomb, assert_close, check_contract, encode, picture, vectors
from .more_tiny_models import alt_clip, bert_tokenizer, chinese_clip, meta_clip2, xlm_tokenizer
from .tiny_models import IMAGE, clip, edit_weights

MAKERS: dict[str, Callable[[Path], Path]] = {
    "chinese_clip": chinese_clip,
    "metaclip_2": meta_clip2,
    "altclip": alt_clip,
}
LENGTH = {"chinese_clip": 52, "metaclip_2": 77, "altclip": 77}
TEXTS = ["一只红色的猫", "a dog 在 椅子上。", "", "狗" * 90]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in MAKERS.items()}


@pytest.fixture(scope="module")
def adapters(folders: dict[str, Path]) -> dict[str, Any]:
    return {name: load(str(folder)) for name, folder in folders.items()}


def library(name: str, folder: Path) -> Any:
    return transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()


def processed(folder: Path, image: Image.Image, **changes: Any) -> Tensor:
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    pixels: Tensor = processor(images=image, return_tensors="pt", **changes)["pixel_values"]
    return pixels


SQUASH = {"size": {"height": IMAGE, "width": IMAGE}, "do_center_crop": False}


@pytest.mark.parametrize("name", MAKERS)
def test_texts_equal_the_library(folders: dict[str, Path], adapters: dict[str, Any], name: str) -> None:
    tokenizer = bert_tokenizer() if name == "chinese_clip" else xlm_tokenizer()
    options = {"padding": "max_length", "truncation": True, "max_length": LENGTH[name], "padding_side": "right"}
    tokens = tokenizer(TEXTS, return_tensors="pt", **options)
    inputs = {key: tokens[key] for key in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        expected = library(name, folders[name]).get_text_features(**inputs).pooler_output
    assert_close(vectors(adapters[name], TEXTS), expected)


@pytest.mark.parametrize("name", MAKERS)
def test_pictures_equal_the_library(folders: dict[str, Path], adapters: dict[str, Any], name: str) -> None:
    model = library(name, folders[name])
    changes = SQUASH if name == "chinese_clip" else {}
    with torch.inference_mode():
        pixels = processed(folders[name], picture(), **changes)
        assert_close(
            encode(adapters[name], [picture()]).pooled, model.get_image_features(pixel_values=pixels).pooler_output
        )
        vision = model.vision_model
        block = vision.encoder.layers[-1]
        x = vision(processed(folders[name], picture(), **SQUASH), output_hidden_states=True).hidden_states[-2]
        x = x + block.self_attn.out_proj(block.self_attn.v_proj(block.layer_norm1(x)))
        x = x + block.mlp(block.layer_norm2(x))
        expected = model.visual_projection(vision.post_layernorm(x[:, 1:]))
    features = encode(adapters[name], [picture()], dense=True)
    assert_close(features.tokens, expected)
    assert features.grid.tolist() == [[4, 4]]


@pytest.mark.parametrize("name", MAKERS)
def test_contract(adapters: dict[str, Any], name: str) -> None:
    check_contract(adapters[name], word="猫" if name == "chinese_clip" else " a")


@pytest.mark.parametrize(
    ("name", "languages", "view"),
    [
        ("chinese_clip", ("zh",), "squash-32"),
        ("metaclip_2", ("en", "zh"), "crop-32"),
        ("altclip", ("en", "zh"), "crop-32"),
    ],
)
def test_info(folders: dict[str, Path], name: str, languages: tuple[str, ...], view: str) -> None:
    adapter = load_adapter(str(folders[name]))
    info = adapter.info
    assert (info.family, info.dim, info.languages) == (name, 24, languages)
    assert (info.dense, info.dense_pooling, info.region_default) == ("value path", "raw", "crop")
    assert set(info.text_length.values()) == {LENGTH[name]}
    assert {"config.json", "model.safetensors"} <= set(info.files)
    assert adapter.preprocessor.view("global", (9, 7), None) == view
    assert adapter.preprocessor.view("dense", (9, 7), None) == "squash-32"
    assert view in info.preprocess


def test_chinese_text_preparation(adapters: dict[str, Any]) -> None:
    found = vectors(adapters["chinese_clip"], ["“A” 猫", '"a" 猫', "a 猫"])
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2], atol=1e-3)


def test_meta_clip2_keeps_upper_case(adapters: dict[str, Any]) -> None:
    upper, lower = vectors(adapters["metaclip_2"], ["A", "a"])
    assert not torch.allclose(upper, lower, atol=1e-3)


def test_the_mask_matters(adapters: dict[str, Any]) -> None:
    """Without it the padding of a batch would be read as words."""
    adapter = adapters["chinese_clip"]
    ids = adapter._tokens(["猫", "一只红色的猫"])[0]
    with torch.inference_mode():
        unmasked = adapter.module.get_text_features(input_ids=ids).pooler_output
    assert not torch.allclose(unmasked[0], vectors(adapter, ["猫"])[0], atol=1e-3)


@pytest.mark.parametrize(("name", "literal"), [("chinese_clip", "[PAD]"), ("metaclip_2", "</s>"), ("altclip", "<pad>")])
def test_literal_special_tokens_are_text(adapters: dict[str, Any], name: str, literal: str) -> None:
    tokens = adapters[name]._tokens
    ids = tokens([f"a {literal}"])[0][0].tolist()
    assert tokens.tokenizer.convert_tokens_to_ids(literal) not in ids[:-1]


def test_the_text_length_is_an_option(folders: dict[str, Path]) -> None:
    adapter: Any = load_adapter(f"{folders['chinese_clip']}?text_length=64")
    assert set(adapter.info.text_length.values()) == {64}
    assert adapter.info.name.endswith("?text_length=64")
    check_contract(adapter, word="猫")
    for wrong in ("65", "2", "many", "-5"):
        with pytest.raises(UsageError, match="a number of tokens from 3 to 64"):
            load(str(folders["chinese_clip"]), text_length=wrong)
    with pytest.raises(UsageError, match="from 3 to 88"):
        load(str(folders["altclip"]), text_length=89)
    assert set(load(str(folders["altclip"]), text_length=88).info.text_length.values()) == {88}


def test_alt_clip_at_its_longest(folders: dict[str, Path]) -> None:
    check_contract(load(str(folders["altclip"]), text_length=88), word=" a")


def test_the_checkpoint_s_own_picture_values(tmp_path: Path) -> None:
    folder = chinese_clip(tmp_path)
    path = folder / "preprocessor_config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"image_mean": [0.1, 0.2, 0.3], "resample": 2}), encoding="utf-8")
    adapter: Any = load(str(folder))
    assert "bilinear" in adapter.info.preprocess
    with torch.inference_mode():
        expected = library("chinese_clip", folder).get_image_features(
            pixel_values=processed(folder, picture(), **SQUASH)
        )
    assert_close(encode(adapter, [picture()]).pooled, expected.pooler_output)
    for wrong in ({"image_mean": 3}, {"image_std": [1.0]}, {"resample": 99}):
        path.write_text(json.dumps(content | wrong), encoding="utf-8")
        with pytest.raises(ModelError, match="unusable values"):
            load(str(folder))
    path.unlink()
    assert "bicubic" in load(str(folder)).info.preprocess


def test_a_bare_bert_vocabulary(tmp_path: Path, adapters: dict[str, Any]) -> None:
    """As published: vocab.txt, and no tokenizer.json."""
    folder = chinese_clip(tmp_path)
    (folder / "tokenizer.json").unlink()
    lines = sorted(bert_tokenizer().get_vocab().items(), key=lambda entry: entry[1])
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token, _ in lines), encoding="utf-8")
    adapter: Any = load(str(folder))
    assert "vocab.txt" in adapter.info.files
    assert_close(vectors(adapter, TEXTS), vectors(adapters["chinese_clip"], TEXTS))


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(
    ("value", "message"), [(None, "1 missing: "), (torch.zeros(31), r"1 of another shape: .*\[31\] instead of \[32\]")]
)
def test_weights_that_do_not_fit(tmp_path: Path, name: str, value: Tensor | None, message: str) -> None:
    folder = MAKERS[name](tmp_path)
    edit_weights(folder, vision_model__post_layernorm__bias=value)
    with pytest.raises(ModelError, match=message):
        load(str(folder))


@pytest.mark.parametrize("name", MAKERS)
def test_pickled_weights(tmp_path: Path, adapters: dict[str, Any], name: str) -> None:
    folder, mark = MAKERS[name](tmp_path / "model"), tmp_path / "mark"
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    assert_close(vectors(load(str(folder)), TEXTS), vectors(adapters[name], TEXTS))
    torch.save(state | {"logit_scale": Bomb(mark)}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot load"):
        load(str(folder))
    assert not mark.exists()


def test_another_tokenizer(tmp_path: Path) -> None:
    folder = meta_clip2(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["text_config"]["eos_token_id"] = 7
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="expected the end token 7 at the end only"):
        load(str(folder))


def test_other_model_types(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="type 'clip'; expected 'chinese_clip', 'metaclip_2', 'altclip'"):
        load(str(clip(tmp_path)))
    assert list(KINDS) == list(MAKERS)
