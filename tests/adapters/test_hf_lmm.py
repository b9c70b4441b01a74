"""Chat models through transformers, on tiny checkpoints in the published form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from fgbench.adapters import hf_lmm
from fgbench.adapters.hf_lmm import load
from fgbench.errors import ModelError, UsageError
from fgbench.generator import TOO_LONG, Generator, Reply

from .tiny_lmms import LLAMA, SIDE, TEMPLATE, byte_tokenizer, edit_json, llava, llava_next, picture
from .tiny_models import clip, edit_weights

TEXTS = ["What is it?", "Describe the picture in one word, 请直接回答。", "a" * 40]
PICTURES = [[picture(60, 30, 0)], [picture(20, 90, 1)], [picture(28, 28, 2)]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llava(tmp_path_factory.mktemp("llava"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return load(str(folder))


def ask(model: Any, texts: Sequence[str], images: Sequence[Sequence[Image.Image]], most: int = 12) -> list[Reply]:
    with torch.inference_mode():
        replies: list[Reply] = model.generate(texts, images, most)
    return replies


def padded(image: Image.Image) -> torch.Tensor:
    """LLaVA's picture treatment, written out with Pillow and numpy: float64 [3, SIDE, SIDE]."""
    side = max(image.size)
    square = Image.new("RGB", (side, side), (122, 116, 104))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    pixels = np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float64) / 255
    mean = np.array([0.48145466, 0.4578275, 0.40821073])
    std = np.array([0.26862954, 0.26130258, 0.27577711])
    return torch.from_numpy((pixels - mean) / std).permute(2, 0, 1)


def greedy_by_hand(model: Any, prompt: str, image: Image.Image, steps: int) -> list[int]:
    """Token by token, without cache, padding or processor: four image tokens at the place of ``<image>``."""
    tokenizer = byte_tokenizer()
    ids = tokenizer(prompt.replace("<image>", "<image>" * 4))["input_ids"]
    new: list[int] = []
    with torch.inference_mode():
        while len(new) < steps and LLAMA["eos_token_id"] not in new:
            output = model.module(input_ids=torch.tensor([ids + new]), pixel_values=padded(image)[None].float())
            new.append(int(output.logits[0, -1].argmax()))
    return new


def test_answers_are_those_of_the_model_called_by_hand(model: Any) -> None:
    for text, (image,) in zip(TEXTS, PICTURES, strict=True):
        ids = greedy_by_hand(model, model.prompt(text, 1), image, 12)
        (reply,) = ask(model, [text], [[image]])
        ended = ids[-1] == LLAMA["eos_token_id"]
        assert reply.text == byte_tokenizer().decode(ids, skip_special_tokens=True).strip()
        assert (reply.tokens, reply.truncated, reply.problem) == (len(ids), not ended, "")


def test_batch_equals_single(model: Any) -> None:
    together = ask(model, TEXTS, PICTURES)
    assert together == [ask(model, [text], [own])[0] for text, own in zip(TEXTS, PICTURES, strict=True)]
    assert len({reply.text for reply in together}) > 1


def test_number_of_pictures(model: Any) -> None:
    pair = [picture(seed=3), picture(seed=4)]
    replies = ask(model, ["Which?", "Which one is larger?"], [pair, pair[::-1]])
    assert replies[0] == ask(model, ["Which?"], [pair])[0]
    assert len(ask(model, ["Hello", "Who are you?"], [[], []])) == 2
    assert ask(model, [], []) == []


def test_an_answer_ends_at_the_end_token(folder: Path, model: Any) -> None:
    model = load(str(folder))
    (free,) = ask(model, TEXTS[:1], PICTURES[:1], 6)
    third = greedy_by_hand(model, model.prompt(TEXTS[0], 1), PICTURES[0][0], 6)[2]
    model._ends.append(third)
    model.module.generation_config.eos_token_id = model._ends
    (reply,) = ask(model, TEXTS[:1], PICTURES[:1], 6)
    assert free.truncated
    assert reply.tokens <= 3
    assert not reply.truncated
    assert free.text.startswith(reply.text)


def test_the_limit_counts_new_tokens(model: Any) -> None:
    (reply,) = ask(model, ["x"], [[]], 1)
    assert reply.tokens == 1


def test_a_prompt_that_does_not_fit_is_told_and_the_others_are_answered(model: Any) -> None:
    replies = ask(model, ["short", "x" * LLAMA["max_position_embeddings"]], [[], []])
    assert replies[1] == Reply("", 0, problem=TOO_LONG)
    assert replies[0] == ask(model, ["short"], [[]])[0]


def test_names_of_special_tokens_stay_text(model: Any) -> None:
    prompt = model.prompt("Is <image> or </s> or <image 1> it?", 1)
    assert prompt.count("<image>") == 1
    assert "< image> or < /s> or <image 1>" in prompt
    assert ask(model, ["<image></s><pad>"], [[picture()]])[0].problem == ""


@pytest.mark.parametrize("size", [(60, 30), (30, 61), (28, 28), (1, 1), (1, 50)])
def test_pictures_are_padded_and_resized_as_in_llava(model: Any, size: tuple[int, int]) -> None:
    image = picture(*size)
    pixels = model._inputs(["x"], [[image]])["pixel_values"]
    torch.testing.assert_close(pixels[0].double(), padded(image), rtol=0, atol=1e-6)


def test_a_long_strip_does_not_become_a_huge_square(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hf_lmm, "_SIDE", 100)
    assert hf_lmm._bounded(picture(1000, 10)).size == (100, 1)
    kept = picture(100, 10)
    assert hf_lmm._bounded(kept) is kept


def test_frames(folder: Path, model: Any) -> None:
    assert model.info.frame == "vicuna_v1"
    assert model.prompt("Q", 1).startswith("A chat between a curious user")
    templated = load(str(folder), frame="hf")
    assert templated.prompt("Q", 1) == "USER: <image>\nQ ASSISTANT:" == load(str(folder), frame="short").prompt("Q", 1)
    assert ask(templated, ["Q"], [[picture()]]) == ask(load(str(folder), frame="short"), ["Q"], [[picture()]])


def test_it_is_a_generator(model: Any) -> None:
    assert isinstance(model, Generator)


def test_info(folder: Path, model: Any) -> None:
    info = model.info
    assert (info.family, info.source, info.revision) == ("hf-lmm", str(folder), None)
    assert "(122, 116, 104)" in info.preprocess
    assert {"config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"} <= set(info.files)
    assert info.settings["decoding"] == "greedy"
    (note,) = info.notes
    assert "do_sample True" in note
    assert "repetition_penalty 5.0" in note


def test_a_tower_without_class_token(tmp_path: Path) -> None:
    model = load(str(llava(tmp_path, tower="siglip_vision_model")))
    together = ask(model, TEXTS, PICTURES)
    assert together == [ask(model, [text], [own])[0] for text, own in zip(TEXTS, PICTURES, strict=True)]


def test_half_precision_weights(folder: Path) -> None:
    model = load(str(folder), dtype="bf16")
    assert {parameter.dtype for parameter in model.module.parameters()} == {torch.bfloat16}
    assert model.info.settings["weights"] == "bfloat16"
    assert len(ask(model, TEXTS, PICTURES)) == 3


def test_another_kind_of_model_through_its_template(tmp_path: Path) -> None:
    model = load(str(llava_next(tmp_path)))
    assert model.info.frame == "hf"
    assert model.prompt("Q", 1) == "<s>Q: <image>\nQ A:"
    assert model._inputs(["x"], [[picture()]])["input_ids"][0, :2].tolist().count(LLAMA["bos_token_id"]) == 1
    together = ask(model, TEXTS, PICTURES)
    assert together == [ask(model, [text], [own])[0] for text, own in zip(TEXTS, PICTURES, strict=True)]


def test_without_a_template_of_its_conversation_the_frame_is_llavas(tmp_path: Path) -> None:
    folder = llava(tmp_path, template=None)
    assert load(str(folder)).info.frame == "vicuna_v1"
    with pytest.raises(UsageError, match="no chat template"):
        load(str(folder), frame="hf")


def test_a_llava_of_another_conversation_keeps_its_template(tmp_path: Path) -> None:
    folder = llava(tmp_path, template=TEMPLATE.replace("ASSISTANT:", "<|assistant|>"))
    assert load(str(folder)).info.frame == "hf"


class TestRefusals:
    def test_options(self, folder: Path) -> None:
        for options, message in (
            ({"frame": "chatml"}, "frame=chatml: expected one of"),
            ({"dtype": "int4"}, "dtype=int4: expected one of fp32, bf16, fp16"),
            ({"revision": "main"}, "is a folder"),
        ):
            with pytest.raises(UsageError, match=message):
                load(str(folder), **options)

    def test_a_model_that_does_not_chat(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="'clip', which is not one of"):
            load(str(clip(tmp_path)))

    def test_code_in_the_checkpoint(self, tmp_path: Path) -> None:
        (tmp_path / "modeling_own.py").write_text("raise SystemExit('ran')", encoding="utf-8")
        content = {"model_type": "own", "auto_map": {"AutoModelForImageTextToText": "modeling_own.Own"}}
        (tmp_path / "config.json").write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(UsageError, match="never run"):
            load(str(tmp_path))

    @pytest.mark.parametrize("depth", ["attn_implementation", "text_config"])
    def test_kernels_from_the_hub(self, tmp_path: Path, depth: str) -> None:
        llava(tmp_path)
        value = "owner/kernel" if depth != "text_config" else {**LLAMA, "_attn_implementation": "owner/kernel"}
        edit_json(tmp_path / "config.json", **{depth: value})
        with pytest.raises(ModelError, match="'owner/kernel', code on the hub"):
            load(str(tmp_path))

    def test_pickled_weights(self, tmp_path: Path) -> None:
        llava(tmp_path)
        torch.save({}, tmp_path / "pytorch_model.bin")
        (tmp_path / "model.safetensors").unlink()
        with pytest.raises(ModelError, match=r"expected model\.safetensors"):
            load(str(tmp_path))

    def test_missing_weights_and_files(self, tmp_path: Path) -> None:
        llava(tmp_path)
        edit_weights(tmp_path, multi_modal_projector__linear_1__weight=None)
        with pytest.raises(ModelError, match=r"1 missing: .*linear_1\.weight"):
            load(str(tmp_path))
        (tmp_path / "config.json").unlink()
        with pytest.raises(ModelError, match=r"there is no config\.json"):
            load(str(tmp_path))

    def test_no_processor(self, tmp_path: Path) -> None:
        llava(tmp_path)
        (tmp_path / "preprocessor_config.json").write_text("{", encoding="utf-8")
        with pytest.raises(ModelError, match="cannot load the processor"):
            load(str(tmp_path))

    def test_pictures_of_another_size(self, tmp_path: Path) -> None:
        llava(tmp_path)
        size = {"height": 42, "width": 42}
        edit_json(tmp_path / "preprocessor_config.json", size=size, crop_size=size)
        with pytest.raises(ModelError, match=r"shape \[3, 42, 42\]; expected \[3, 28, 28\]"):
            load(str(tmp_path))

    def test_no_end_token(self, tmp_path: Path) -> None:
        from fgbench.adapters.lmm_decoding import decode_greedily

        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA | {"eos_token_id": None}))
        with pytest.raises(ModelError, match="names an end token"):
            decode_greedily(model, {"eos": None}, "somewhere")
