"""Checkpoints of a LLaVA with a NaFlex tower: written, read, put together, and those that must be refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from fgbench.adapters.llava_naflex import load
from fgbench.adapters.llava_naflex_files import assemble, save
from fgbench.adapters.llava_naflex_model import LlavaNaflex, LlavaNaflexConfig
from fgbench.errors import ModelError, UsageError
from fgbench.generator import Reply

from .tiny_lmms import BUDGET, LLAMA, edit_json, llava_parts, picture, spoken
from .tiny_models import clip, edit_weights

TEXTS = ["What is it?", "Describe the picture in one word, 请直接回答。"]
PICTURES = [[picture(64, 32, 0)], [picture(20, 90, 1)]]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llava_parts(tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def model(parts: Path) -> Any:
    return load(str(parts / "llava"))


def answers(model: Any) -> list[Reply]:
    with torch.inference_mode():
        replies: list[Reply] = model.generate(TEXTS, PICTURES, 8)
    return replies


class TestCheckpoints:
    @pytest.mark.parametrize("tied", [False, True])
    def test_saved_and_loaded_again(self, parts: Path, tmp_path: Path, tied: bool) -> None:
        spoken(tmp_path / "language", tie_word_embeddings=tied)
        folder = assemble(str(parts / "vision"), str(tmp_path / "language"), None, tmp_path / "one", frame="short")
        first = load(str(folder))
        save(tmp_path / "two", first.module, first._tokenizer)
        second = load(str(tmp_path / "two"))
        assert answers(first) == answers(second)
        head = "language_model.lm_head.weight"
        assert (head in load_file(tmp_path / "two" / "model.safetensors")) is not tied
        speaker = second.module.language_model
        assert (speaker.lm_head.weight is speaker.model.embed_tokens.weight) is tied

    def test_only_the_layers_that_are_used_are_kept(self, parts: Path) -> None:
        names = load_file(parts / "llava" / "model.safetensors")
        assert "vision.encoder.layers.0.mlp.fc1.weight" in names
        assert not any("layers.1." in name for name in names if name.startswith("vision."))
        assert not any("post_layernorm" in name or "head" in name for name in names if name.startswith("vision."))

    @pytest.mark.parametrize("spelling", [("linear_1", "linear_2"), ("model.mm_projector.0", "model.mm_projector.2")])
    def test_a_trained_projector(self, parts: Path, tmp_path: Path, spelling: tuple[str, str]) -> None:
        state: dict[str, torch.Tensor] = {}
        for name, width in zip(spelling, (32, 32), strict=True):
            state |= {f"{name}.weight": torch.randn(32, width), f"{name}.bias": torch.randn(32)}
        save_file(state, tmp_path / "projector.safetensors")
        assemble(str(parts / "vision"), str(parts / "language"), tmp_path / "projector.safetensors", tmp_path / "llava")
        vision = load(str(tmp_path / "llava")).module.vision
        assert torch.equal(vision.linear_1.weight, state[f"{spelling[0]}.weight"])
        assert torch.equal(vision.linear_2.bias, state[f"{spelling[1]}.bias"])
        save_file({"other.weight": torch.zeros(1)}, tmp_path / "projector.safetensors")
        with pytest.raises(ModelError, match=r"expected weight and bias of linear_1.*found none of them"):
            assemble(
                str(parts / "vision"), str(parts / "language"), tmp_path / "projector.safetensors", tmp_path / "again"
            )

    def test_fgclip2_as_the_tower(self, parts: Path, checkpoint: Path, tmp_path: Path) -> None:
        """The same weights from FG-CLIP 2's own module give the state that is projected."""
        from fgbench.adapters.fgclip2 import load as load_fgclip2

        model = load(str(assemble(str(checkpoint), str(parts / "language"), None, tmp_path / "llava", budget=BUDGET)))
        cut = model._pictures([model._cut(picture(64, 32))])
        tower = load_fgclip2(str(checkpoint)).module
        states: list[torch.Tensor] = []
        tower.vision_model.encoder.layers[0].register_forward_hook(lambda *call: states.append(call[2]))
        with torch.inference_mode():
            tower.image_features(*cut, dense=False)
            vision = model.module.vision
            (found,) = vision(*cut)
            expected = vision.linear_2(torch.nn.functional.gelu(vision.linear_1(states[0][0])))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)

    def test_info(self, parts: Path, model: Any) -> None:
        info = model.info
        assert (info.name, info.family, info.frame, info.revision) == ("llava", "llava-naflex", "short", None)
        assert info.settings["budget"] == BUDGET
        assert sorted(info.files) == ["config.json", "model.safetensors", "tokenizer.json"]
        other = load(str(parts / "llava"), frame="vicuna_v1", budget="64", dtype="bf16")
        assert (other.info.frame, other.info.settings["budget"]) == ("vicuna_v1", 64)
        assert {value.dtype for value in other.module.parameters()} == {torch.bfloat16}
        assert len(answers(other)) == 2

    def test_an_untrained_one_from_a_configuration(self) -> None:
        vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
        content = {"model_type": "llava_naflex", "vision_config": {**vision, "num_patches": 16}}
        content["text_config"] = {"model_type": "llama", **LLAMA}
        config = LlavaNaflexConfig.from_dict(content)
        module = LlavaNaflex(config)
        assert LlavaNaflexConfig.from_dict(json.loads(json.dumps(config.to_dict(), default=str))).layers == 1
        assert module([torch.tensor([1, 2, 3])], None, None).shape == (1, 3, LLAMA["vocab_size"])


class TestRefusals:
    @pytest.fixture
    def folder(self, parts: Path, model: Any, tmp_path: Path) -> Path:
        folder: Path = save(tmp_path / "llava", model.module, model._tokenizer)
        return folder

    def test_options(self, folder: Path) -> None:
        for options, message in (
            ({"frame": "hf"}, "frame=hf: expected one of vicuna_v1, short, vlmevalkit"),
            ({"budget": "0"}, "budget=0: expected a positive number"),
            ({"dtype": "int8"}, "dtype=int8: expected one of"),
            ({"revision": "main"}, "is a folder"),
        ):
            with pytest.raises(UsageError, match=message):
                load(str(folder), **options)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"model_type": "llava"}, "model_type is 'llava'; expected 'llava_naflex'"),
            ({"text_config": None}, "expected the objects vision_config and text_config"),
            ({"text_config": {"model_type": "unheard_of"}}, "a field has an unusable value"),
            ({"text_config": {"model_type": "llama", **LLAMA, "eos_token_id": None}}, "must name eos_token_id"),
            ({"text_config": {"model_type": "llama", "x": {"attn_implementation": "a/b"}}}, "code on the hub"),
            ({"vision_feature_layer": 0}, "vision_feature_layer must be from -2 to -1"),
            ({"vision_feature_layer": -3}, "vision_feature_layer must be from -2 to -1"),
            ({"vision_config": {"patch_size": 14}}, "patch_size must be 16"),
            ({"vision_config": {"hidden_size": 0}}, "hidden_size is 0; expected a whole number"),
            ({"projector_hidden_act": "unheard_of"}, "projector_hidden_act must be known"),
            ({"budget": -1}, "budget must be a whole number above 0"),
            ({"vision_feature_layer": -1}, "missing"),
        ],
    )
    def test_configurations(self, folder: Path, changes: dict[str, Any], message: str) -> None:
        edit_json(folder / "config.json", **changes)
        with pytest.raises(ModelError, match=message):
            load(str(folder))

    @pytest.mark.parametrize(
        "name", ["vision.linear_1.weight", "language_model.lm_head.weight", "language_model.model.norm.weight"]
    )
    def test_weights(self, folder: Path, name: str) -> None:
        edit_weights(folder, **{name.replace(".", "__"): None})
        with pytest.raises(ModelError, match="missing"):
            load(str(folder))

    def test_stray_weights(self, folder: Path) -> None:
        state = load_file(folder / "model.safetensors")
        save_file({**state, "logit_scale": torch.zeros(1)}, folder / "model.safetensors")
        with pytest.raises(ModelError, match="1 weights belong to no part of the model, the first is logit_scale"):
            load(str(folder))

    def test_tokenizer(self, folder: Path) -> None:
        (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
        with pytest.raises(ModelError, match=r"tokenizer\.json: expected a tokenizer"):
            load(str(folder))

    def test_parts_that_do_not_fit(self, parts: Path, tmp_path: Path) -> None:
        clip(tmp_path / "clip")
        with pytest.raises(ModelError, match="model_type is 'clip'; expected one of fgclip2, siglip2"):
            assemble(str(tmp_path / "clip"), str(parts / "language"), None, tmp_path / "llava")
        with pytest.raises(ModelError, match=r"text_config\.model_type must be a causal language model's"):
            assemble(str(parts / "vision"), str(parts / "vision"), None, tmp_path / "llava")
