"""The network of ``fgclip2-tiny``: its sizes, its first weights, and writing it in the form of the hub."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from tokenizers import Tokenizer
from torch import nn

from fgbench.adapters.fgclip2_model import FgClip2, FgClip2Config
from fgbench.data.atomic import write_atomic
from scripts.train_tiny.examples import LENGTH

SIZES = {"width": 128, "heads": 4, "text_layers": 2, "text_mlp": 256, "vision_layers": 4, "vision_mlp": 384}


def config(vocabulary: int) -> dict[str, Any]:
    """``config.json``."""
    both = {"hidden_size": SIZES["width"], "num_attention_heads": SIZES["heads"]}
    return {
        "model_type": "fgclip2",
        "text_config": {
            **both,
            "num_hidden_layers": SIZES["text_layers"],
            "intermediate_size": SIZES["text_mlp"],
            "vocab_size": vocabulary,
            "max_position_embeddings": LENGTH["short"],
            "longtext_len": LENGTH["long"],
            "keep_len": 20,
        },
        "vision_config": {
            **both,
            "num_hidden_layers": SIZES["vision_layers"],
            "intermediate_size": SIZES["vision_mlp"],
            "num_patches": 256,
            "patch_size": 16,
        },
    }


def build(vocabulary: int, seed: int) -> FgClip2:
    """A network with random weights: matrices by Glorot, tables small, norms neutral, biases zero."""
    with torch.random.fork_rng(devices=[]):
        model = FgClip2(FgClip2Config.from_dict(config(vocabulary)))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name == "logit_scale":
                parameter.fill_(math.log(10.0))
            elif name == "logit_bias":
                parameter.fill_(-10.0)
            elif name.endswith("bias"):
                parameter.zero_()
            elif "norm" in name:
                parameter.fill_(1.0)
            elif ("embedding.weight" in name and "patch" not in name) or "position" in name or "probe" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)
            else:
                fan = parameter.shape[0] + parameter.shape[1]
                if name.endswith("in_proj_weight"):
                    fan = 2 * parameter.shape[1]
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * (2 / fan) ** 0.5)
    return model


def export(model: nn.Module, tokenizer: Tokenizer, folder: Path) -> None:
    """Write ``config.json``, ``tokenizer.json`` and ``model.safetensors`` (half precision)."""
    state = {name: value.to(torch.float16).contiguous() for name, value in model.state_dict().items()}
    write_atomic(folder / "model.safetensors", safetensors.torch.save(state))
    write_atomic(folder / "tokenizer.json", tokenizer.to_str(pretty=False).encode())
    content = json.dumps(config(tokenizer.get_vocab_size()), indent=2) + "\n"
    write_atomic(folder / "config.json", content.encode())
