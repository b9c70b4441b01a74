"""The shortcut gives what the library gives at full padding."""

from __future__ import annotations

from typing import Any

import open_clip
import pytest
import torch
from torch import nn

from fgbench.adapters.causal_text import causal_encoder

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
