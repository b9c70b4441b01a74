"""The value path against the formula written out by hand, and what must not happen to the model on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
import transformers
from torch import Tensor
from torch.nn import functional

from fgbench.adapters.value_path import (
    clip_value_path,
    last_call,
    open_clip_value_path,
    patch_grid,
    self_only_mask,
)
from fgbench.errors import ModelError

from .tiny_models import TOWER, eva_config, open_clip_config, open_clip_folder, shake

PICTURES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def clip_model() -> Any:
    config = transformers.CLIPConfig(
        text_config={**TOWER, "vocab_size": 50, "bos_token_id": 1, "eos_token_id": 3, "pad_token_id": 1},
        vision_config={**TOWER, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    model = transformers.CLIPModel(config)
    shake(model)
    return model.eval()


def open_clip_model(folder: Path, config: dict[str, Any]) -> Any:
    return open_clip.create_model(f"local-dir:{open_clip_folder(folder, config)}").eval()


def clip_by_hand(model: Any, pixels: Tensor) -> Tensor:
    vision = model.vision_model
    last = vision.encoder.layers[-1]
    x = vision(pixels, output_hidden_states=True).hidden_states[-2]
    x = x + last.self_attn.out_proj(last.self_attn.v_proj(last.layer_norm1(x)))
    x = x + last.mlp.fc2(last.mlp.activation_fn(last.mlp.fc1(last.layer_norm2(x))))
    dense: Tensor = model.visual_projection(vision.post_layernorm(x[:, 1:]))
    return dense


def open_clip_by_hand(visual: Any, pixels: Tensor) -> Tensor:
    last = visual.transformer.resblocks[-1]
    x = visual._embeds(pixels)
    for block in visual.transformer.resblocks[:-1]:
        x = block(x)
    weight, bias = last.attn.in_proj_weight.chunk(3)[2], last.attn.in_proj_bias.chunk(3)[2]
    x = x + last.ls_1(last.attn.out_proj(functional.linear(last.ln_1(x), weight, bias)))
    x = x + last.ls_2(last.mlp(last.ln_2(x)))
    dense: Tensor = visual.ln_post(x[:, 1:]) @ visual.proj
    return dense


def eva_by_hand(visual: Any, pixels: Tensor) -> Tensor:
    trunk = visual.trunk
    x, rope = trunk._pos_embed(trunk.patch_embed(pixels))
    for block in trunk.blocks[:-1]:
        x = block(x, rope=rope)
    last = trunk.blocks[-1]
    value = last.attn.v_proj(last.norm1(x))
    x = x + last.attn.proj(last.attn.norm(value))
    x = x + last.mlp(last.norm2(x))
    dense: Tensor = trunk.head(trunk.norm(x)[:, 1:])
    return dense


@torch.inference_mode()
def test_transformers_clip() -> None:
    model = clip_model()

    def pool(pixels: Tensor) -> Tensor:
        vectors: Tensor = model.get_image_features(pixel_values=pixels).pooler_output
        return vectors

    features = clip_value_path(model).run(pool, PICTURES)
    assert features.tokens is not None
    assert features.grid is not None
    assert features.tokens.shape == (3, 16, 24)
    assert features.grid.tolist() == [[4, 4]] * 3
    torch.testing.assert_close(features.tokens, clip_by_hand(model, PICTURES), rtol=0, atol=1e-5)
    assert torch.equal(features.pooled, pool(PICTURES)), "the pooled vector must not be touched"


@torch.inference_mode()
@pytest.mark.parametrize(
    "vision",
    [{}, {"ls_init_value": 0.5}, {"pool_type": "avg", "final_ln_after_pool": True}, {"no_ln_pre": True}],
    ids=["plain", "layer scale", "average", "no first norm"],
)
def test_open_clip_vit(tmp_path: Path, vision: dict[str, Any]) -> None:
    visual = open_clip_model(tmp_path, open_clip_config(**vision)).visual
    path = open_clip_value_path(visual)
    assert path is not None
    features = path.run(visual, PICTURES)
    assert features.tokens is not None
    torch.testing.assert_close(features.tokens, open_clip_by_hand(visual, PICTURES), rtol=0, atol=1e-5)
    assert torch.equal(features.pooled, visual(PICTURES))


@torch.inference_mode()
def test_pictures_need_not_be_square(tmp_path: Path) -> None:
    visual = open_clip_model(tmp_path, open_clip_config(image_size=[32, 56])).visual
    path = open_clip_value_path(visual)
    assert path is not None
    features = path.run(visual, torch.randn(2, 3, 32, 56))
    assert features.grid is not None
    assert features.grid.tolist() == [[4, 7]] * 2


@torch.inference_mode()
def test_eva(tmp_path: Path) -> None:
    visual = open_clip_model(tmp_path, eva_config()).visual
    path = open_clip_value_path(visual)
    assert path is not None
    pixels = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(2))
    features = path.run(visual, pixels)
    assert features.tokens is not None
    assert features.grid is not None
    assert features.grid.tolist() == [[7, 7]] * 2
    torch.testing.assert_close(features.tokens, eva_by_hand(visual, pixels), rtol=0, atol=1e-5)
    assert torch.equal(features.pooled, visual(pixels))


def test_towers_without_a_value_path(tmp_path: Path) -> None:
    pooled_by_attention = open_clip_model(tmp_path / "a", open_clip_config(attentional_pool=True)).visual
    residual = open_clip_model(tmp_path / "b", open_clip_config(layers=[1, 1, 1, 1], width=8, head_width=8)).visual
    assert open_clip_value_path(pooled_by_attention) is None
    assert open_clip_value_path(residual) is None


def test_half_precision() -> None:
    model = clip_model()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        features = clip_value_path(model).run(
            lambda x: model.get_image_features(pixel_values=x).pooler_output, PICTURES
        )
    assert features.tokens is not None
    with torch.inference_mode():
        exact = clip_by_hand(model, PICTURES)
    similarity = functional.cosine_similarity(features.tokens.float(), exact, dim=-1)
    assert float(similarity.min()) > 0.99


def test_the_hook_is_gone_whatever_happens() -> None:
    model = clip_model()
    path = clip_value_path(model)

    def fail(pixels: Tensor) -> Tensor:
        model.get_image_features(pixel_values=pixels)
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        path.run(fail, PICTURES)
    assert not path.block._forward_pre_hooks
    path.run(lambda x: model.get_image_features(pixel_values=x).pooler_output, PICTURES)
    assert not path.block._forward_pre_hooks


def test_a_pass_around_the_block_is_an_error() -> None:
    with pytest.raises(ModelError, match="did not call its last block"):
        clip_value_path(clip_model()).run(lambda pixels: pixels, PICTURES)


def test_last_call_keeps_the_last() -> None:
    layer = torch.nn.Identity()
    with last_call(layer) as seen:
        layer(torch.tensor(1.0))
        layer(torch.tensor(2.0))
    assert seen.args[0] == 2.0


def test_mask_and_grid() -> None:
    mask = self_only_mask(torch.zeros(1, 3, 2))
    assert mask.softmax(-1).tolist() == torch.eye(3).tolist()
    with pytest.raises(ModelError, match=r"15 patch tokens .* expected 4 \* 4"):
        patch_grid(PICTURES, torch.zeros(3, 15, 2), (8, 8))
