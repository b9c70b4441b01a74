"""Checkpoints of FG-CLIP 2: what a folder has to hold, and what is said about one that does not hold it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from fgbench.adapters.fgclip2 import FgClip2Adapter, load
from fgbench.adapters.fgclip2_model import FgClip2, FgClip2Config
from fgbench.errors import ModelError, UsageError

from .fgclip2_inputs import KINDS, encode, noise

pytestmark = pytest.mark.usefixtures("inference")


def test_a_folder_gives_the_same_model(checkpoint: Path, small: FgClip2Adapter) -> None:
    adapter = load(str(checkpoint))
    adapter.module.eval()
    assert all(parameter.dtype == torch.float32 for parameter in adapter.module.parameters())
    for kind in KINDS:
        texts = ["a cat", "两只猫"]
        assert torch.equal(adapter.encode_texts(texts, kind).vectors, small.encode_texts(texts, kind).vectors)
    assert torch.equal(encode(adapter, noise(90, 50)).pooled, encode(small, noise(90, 50)).pooled)
    assert adapter.info.name == "fg-clip2-small"
    assert adapter.info.revision is None


def test_everything_moves_with_the_module(checkpoint: Path) -> None:
    module = load(str(checkpoint)).module
    leaves = [*module.parameters(), *module.buffers()]
    assert {leaf.device.type for leaf in leaves} == {"cpu"}
    module.to("meta")
    assert {leaf.device.type for leaf in (*module.parameters(), *module.buffers())} == {"meta"}


def test_half_precision_files_are_read_as_float32(checkpoint: Path) -> None:
    path = checkpoint / "model.safetensors"
    state = safetensors.torch.load_file(path)
    safetensors.torch.save_file({name: value.bfloat16() for name, value in state.items()}, path)
    adapter = load(str(checkpoint))
    assert adapter.info.settings["weights_stored_as"] == "bfloat16"
    assert all(parameter.dtype == torch.float32 for parameter in adapter.module.parameters())


def test_lengths_come_from_the_configuration(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    config["text_config"] |= {"max_position_embeddings": 16, "keep_len": 5, "longtext_len": 49}
    (checkpoint / "config.json").write_text(json.dumps(config))
    state = safetensors.torch.load_file(checkpoint / "model.safetensors")
    tables = "text_model.embeddings.position_embedding"
    for name, rows in (("", 16), ("_ori", 49), ("_res", 49)):
        state[f"{tables}{name}.weight"] = state[f"{tables}{name}.weight"][:rows].clone()
    safetensors.torch.save_file(state, checkpoint / "model.safetensors")
    adapter = load(str(checkpoint))
    assert adapter.info.text_length == {"short": 16, "box": 16, "long": 49}

    def long(**rows: slice) -> Tensor:
        """The long vector after rows of a table were changed."""
        weights = adapter.module.state_dict()
        saved = {name: weights[f"{tables}_{name}.weight"].clone() for name in rows}
        for name, where in rows.items():
            weights[f"{tables}_{name}.weight"][where] *= -1.0
        vector: Tensor = adapter.encode_texts(["a cat"], "long").vectors
        for name, value in saved.items():
            weights[f"{tables}_{name}.weight"].copy_(value)
        return vector

    plain = long()
    assert torch.equal(plain, long(ori=slice(5, None), res=slice(0, 5)))  # rows that are never used
    assert not torch.allclose(plain, long(ori=slice(4, 5)), atol=1e-4)
    assert not torch.allclose(plain, long(res=slice(5, 6)), atol=1e-4)


def test_special_tokens_in_texts_are_those_of_transformers(checkpoint: Path, small: FgClip2Adapter) -> None:
    reference = PreTrainedTokenizerFast(
        tokenizer_file=str(checkpoint / "tokenizer.json"),
        pad_token="<pad>", eos_token="<eos>", bos_token="<bos>", unk_token="<unk>", padding_side="right",
    )  # fmt: skip
    texts = ["<eos>", "a<eos>b", "<bos> a <pad>", "<unk>", " a  b ", "Ａ猫🐈", "\n\t", "x" * 300, "<EOS>", "e\u0301"]
    for kind in KINDS:
        length = small.info.text_length[kind]
        expected = reference(texts, padding="max_length", truncation=True, max_length=length).input_ids
        assert small.tokenise(texts, kind)[0].tolist() == expected


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_missing_file(checkpoint: Path, name: str) -> None:
    (checkpoint / name).unlink()
    with pytest.raises(ModelError, match=rf"{name}"):
        load(str(checkpoint))


def test_web_page_in_place_of_weights(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").write_text("<!doctype html><title>Not found</title>")
    with pytest.raises(ModelError, match="is a web page"):
        load(str(checkpoint))


def test_pickle_only(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"found pytorch_model\.bin"):
        load(str(checkpoint))


def test_truncated_weights(checkpoint: Path) -> None:
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="truncated"):
        load(str(checkpoint))


def test_plain_siglip2_weights_lack_seventeen_parameters(checkpoint: Path) -> None:
    path = checkpoint / "model.safetensors"
    added = ("position_embedding_ori", "position_embedding_res", "longtext_head", "boxtext_head", "dense_feature_head")
    state = {k: v for k, v in safetensors.torch.load_file(path).items() if not any(name in k for name in added)}
    safetensors.torch.save_file(state, path)
    with pytest.raises(ModelError, match=r"17 missing: .*position_embedding_ori.weight \[196, 64\]"):
        load(str(checkpoint))


def test_extra_and_misshaped_parameters(checkpoint: Path) -> None:
    path = checkpoint / "model.safetensors"
    state = safetensors.torch.load_file(path)
    state["visual.extra"] = torch.zeros(3)
    state["boxtext_head.weight"] = torch.zeros(64, 32)
    safetensors.torch.save_file(state, path)
    with pytest.raises(ModelError) as caught:
        load(str(checkpoint))
    assert "1 unexpected: visual.extra [3]" in str(caught.value)
    assert "1 of another shape: boxtext_head.weight [64, 32] instead of [64, 64]" in str(caught.value)


@pytest.mark.parametrize(
    ("part", "change", "reason"),
    [
        ("", {"model_type": "siglip2"}, "model_type is 'siglip2'"),
        ("", {"text_config": None}, "expected the objects text_config and vision_config"),
        ("text_config", {"hidden_size": "wide"}, "unusable value"),
        ("text_config", {"hidden_act": "magic"}, "hidden_act must be known"),
        ("text_config", {"keep_len": "20"}, "keep_len is '20'; expected a whole number"),
        ("text_config", {"keep_len": 500}, "keep_len must not exceed"),
        ("text_config", {"hidden_size": 32}, "hidden_size must be equal"),
        ("text_config", {"projection_size": 32}, "projection_size must equal"),
        ("text_config", {"num_attention_heads": 5}, "must be a multiple"),
        ("vision_config", {"num_attention_heads": 0}, "num_attention_heads is 0"),
        ("vision_config", {"num_patches": 60}, "square"),
        ("vision_config", {"patch_size": 14}, "patch_size must be 16"),
        ("vision_config", {"vision_use_head": False}, "vision_use_head"),
    ],
)
def test_configurations_that_cannot_be(checkpoint: Path, part: str, change: dict[str, Any], reason: str) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    (config[part] if part else config).update(change)
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=reason) as caught:
        load(str(checkpoint))
    assert str(checkpoint / "config.json") in str(caught.value)


def test_defaults_of_the_configuration_are_the_official_ones() -> None:
    config = FgClip2Config.from_dict({"model_type": "fgclip2", "text_config": {}, "vision_config": {}})
    with torch.device("meta"):
        state = FgClip2(config).state_dict()
    assert len(state) == 425
    assert sum(value.numel() for value in state.values()) == 383_803_394 - (256_000 - 32_000) * 768


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: "{", "expected a tokenizer"),
        (lambda content: {**content, "post_processor": None}, r"expected no <bos> \(2\) at the start and <eos> \(1\)"),
    ],
)
def test_tokenizers_that_are_another_model_s(
    checkpoint: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    path = checkpoint / "tokenizer.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(ModelError, match=reason):
        load(str(checkpoint))


def test_tokenizer_with_padding_of_its_own(checkpoint: Path, small: FgClip2Adapter) -> None:
    path = checkpoint / "tokenizer.json"
    content = json.loads(path.read_text())
    content["padding"] = {
        "strategy": {"Fixed": 32}, "direction": "Left", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "<pad>",
    }  # fmt: skip
    content["truncation"] = {"max_length": 8, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    path.write_text(json.dumps(content))
    texts = ["a cat", "x" * 100]
    assert torch.equal(load(str(checkpoint)).tokenise(texts, "short")[0], small.tokenise(texts, "short")[0])


def test_tokenizer_larger_than_the_model(checkpoint: Path) -> None:
    path = checkpoint / "tokenizer.json"
    content = json.loads(path.read_text())
    content["added_tokens"].append({**content["added_tokens"][0], "id": 260, "content": "<more>"})
    path.write_text(json.dumps(content))
    adapter = load(str(checkpoint))
    adapter.encode_texts(["a cat"], "short")
    with pytest.raises(ModelError, match=r"token id 260, but config.json has vocab_size 260"):
        adapter.encode_texts(["<more>"], "short")


@pytest.mark.parametrize("budget", ["0", "lots"])
def test_budget_must_be_a_number(checkpoint: Path, budget: str) -> None:
    with pytest.raises(UsageError, match="budget"):
        load(str(checkpoint), budget=budget)
