"""The shortcut gives what the library gives at full padding."""

from __future__ import annotations

from typing import Any

import open_clip
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fgbench.adapters.causal_text import SMALLEST, causal_encoder, groups_of_length

TEXTS = ["a cat", "", "a photo of a very long sentence that goes on and on " * 12, "two dogs in the snow", "猫"]


@pytest.fixture(scope="module", params=["ViT-B-32", "ViT-B-32-quickgelu", "EVA02-B-16"])
def tower(request: pytest.FixtureRequest) -> nn.Module:
    config = open_clip.get_model_config(request.param)
    config["text_cfg"] |= {"layers": 2, "width": 64, "heads": 4}
    torch.manual_seed(0)
    if "timm_model_name" in config["vision_cfg"]:
        model = open_clip.model.CustomTextCLIP(
            config["embed_dim"], {"image_size": 32, "patch_size": 16, "layers": 1, "width": 64}, config["text_cfg"]
        )
    else:
        config["vision_cfg"] |= {"layers": 1, "width": 64, "image_size": 32, "patch_size": 16}
        model = open_clip.model.CLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"])
    module: nn.Module = model.eval()
    return module


def test_equals_full_padding(tower: nn.Module) -> None:
    encode = causal_encoder(tower)
    assert encode is not None
    ids = open_clip.get_tokenizer("ViT-B-32")(TEXTS)
    with torch.inference_mode():
        expected = tower.encode_text(ids)  # type: ignore[operator]
        torch.testing.assert_close(encode(ids), expected, atol=1e-5, rtol=0)
        for number, row in enumerate(ids):
            torch.testing.assert_close(encode(row[None])[0], expected[number], atol=1e-5, rtol=0)


def test_many_texts_run_at_their_own_lengths(tower: nn.Module) -> None:
    encode = causal_encoder(tower)
    assert encode is not None
    texts = ["cat", "a cat", "a photo of a cat"] * SMALLEST + ["a far longer text about one cat"] * 3
    ids = open_clip.get_tokenizer("ViT-B-32")(texts)
    text: Any = getattr(tower, "text", tower)
    seen: list[list[int]] = []
    hook = text.ln_final.register_forward_hook(lambda module, inputs, output: seen.append(list(inputs[0].shape[:2])))
    with torch.inference_mode():
        found = encode(ids)
    hook.remove()
    assert seen == [[SMALLEST, 3], [SMALLEST, 4], [SMALLEST, 7], [3, 9]]
    with torch.inference_mode():
        torch.testing.assert_close(found, tower.encode_text(ids), atol=1e-5, rtol=0)  # type: ignore[operator]


@given(st.lists(st.integers(1, 9), max_size=300))
def test_groups_hold_every_text_once(lengths: list[int]) -> None:
    groups = groups_of_length(torch.tensor(lengths, dtype=torch.int64))
    assert sorted(int(row) for group in groups for row in group) == list(range(len(lengths)))
    assert all(len(group) >= SMALLEST for group in groups[:-1])
    tops = [max(lengths[int(row)] for row in group) for group in groups]
    assert all(top < min(lengths[int(row)] for row in later) for top, later in zip(tops, groups[1:], strict=False))


def test_runs_at_the_length_of_the_longest_text(tower: nn.Module) -> None:
    encode = causal_encoder(tower)
    assert encode is not None
    text: Any = getattr(tower, "text", tower)
    seen: list[int] = []
    hook = text.ln_final.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape[1]))
    with torch.inference_mode():
        encode(open_clip.get_tokenizer("ViT-B-32")(["a cat", "dog"]))
    hook.remove()
    assert seen == [4]


def test_towers_for_which_it_is_not_exact_are_left_alone() -> None:
    siglip = {"context_length": 8, "width": 32, "heads": 2, "layers": 1, "no_causal_mask": True, "pool_type": "last"}
    vision = {"image_size": 32, "patch_size": 16, "layers": 1, "width": 32, "head_width": 16}
    assert causal_encoder(open_clip.model.CustomTextCLIP(32, vision, siglip)) is None
    coca = {"context_length": 8, "width": 32, "heads": 2, "layers": 1, "embed_cls": True}
    assert causal_encoder(open_clip.model.CustomTextCLIP(32, vision, coca)) is None
