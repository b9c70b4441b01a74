"""The network of ``llava-tiny``: the vision tower of ``fgclip2-tiny``, a projector and a small Llama."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from fgbench.adapters.checkpoint import read_json, read_state_dict
from fgbench.adapters.llava_naflex_files import save
from fgbench.adapters.llava_naflex_model import MODEL_TYPE, LlavaNaflex, LlavaNaflexConfig
from fgbench.data.atomic import write_atomic
from scripts.train_chat.tokenizer import BOS, COORDINATES, EOS, PAD
from scripts.train_chat.turns import FRAME
from scripts.train_tiny.beginnings import positions

SIZES = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4}
"""Of the language model."""

BUDGET = 128
"""Patches per picture; most pictures of the world have about as many."""

_CONTEXT = 4096
_THETA = 1e6
"""Base of the rotary positions: with this one, half of each head hardly feels how far away a patch is."""

_TABLE, _FINAL = 0.3, 0.25
"""Standard deviation of the entries of the table of pieces, and the final norm that goes with so large ones."""

_COPY = 0.3
"""How much of what it reads an attention layer adds at first."""


def build(tower: Path, tokenizer: Tokenizer, seed: int) -> LlavaNaflex:
    """Make a network whose vision tower has learned and whose other parts have not.

    Args:
        tower: folder of a small FG-CLIP 2.
        tokenizer: of the language model.
        seed: of the first weights of projector and language model.
    """
    content = {
        "model_type": MODEL_TYPE,
        "vision_config": read_json(tower, "config.json")["vision_config"],
        "text_config": {
            "model_type": "llama",
            **SIZES,
            "num_key_value_heads": SIZES["num_attention_heads"],
            "vocab_size": tokenizer.get_vocab_size(),
            "max_position_embeddings": _CONTEXT,
            "pad_token_id": PAD,
            "bos_token_id": BOS,
            "eos_token_id": EOS,
            "tie_word_embeddings": True,
            "rope_theta": _THETA,
        },
        "vision_feature_layer": -1,
        "frame": FRAME,
        "budget": BUDGET,
    }
    with torch.random.fork_rng(devices=[]):
        module = LlavaNaflex(LlavaNaflexConfig.from_dict(content))
    generator = torch.Generator().manual_seed(seed)
    learned = read_state_dict(tower)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            known = learned.get(name.replace("vision.", "vision_model.", 1))
            if known is not None:
                parameter.copy_(known)
            elif name.endswith("bias"):
                parameter.zero_()
            elif "norm" in name:
                parameter.fill_(1.0)
            elif "embed_tokens" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * _TABLE)
            else:
                fan = parameter.shape[0] + parameter.shape[1]
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * (2 / fan) ** 0.5)
        module.language_model.model.norm.weight.fill_(_FINAL)
        _order_coordinates(module, tokenizer)
        _attend_to_likeness(module, generator)
    return module


@torch.no_grad()
def settle(module: LlavaNaflex, states: Tensor) -> None:
    """Set the projector so that its inputs count alike and its outputs are as large as words.

    Args:
        module: changed in place.
        states: [n, D], typical states of the vision tower's last layer.
    """
    vision = module.vision
    vision.linear_1.weight.div_(states.std(dim=0))
    vision.linear_1.bias.copy_(-vision.linear_1.weight @ states.mean(dim=0))
    vision.linear_2.weight.mul_(_TABLE / vision.linear_2(vision.act(vision.linear_1(states))).std())


def export(module: LlavaNaflex, tokenizer: Tokenizer, folder: Path) -> None:
    """Write a checkpoint in half precision; the module stays as it is."""
    copy = LlavaNaflex(module.config)
    copy.load_state_dict(module.state_dict())
    save(folder, copy.half(), tokenizer)
    # The library's configuration lists every default there is; those that matter are enough and survive its changes.
    content = read_json(folder, "config.json")
    text = content["text_config"]
    kept = ("num_key_value_heads", "vocab_size", "max_position_embeddings", "pad_token_id", "bos_token_id")
    names = ("model_type", *SIZES, *kept, "eos_token_id", "tie_word_embeddings", "rope_parameters")
    content["text_config"] = {name: text[name] for name in names}
    write_atomic(folder / "config.json", (json.dumps(content, indent=2) + "\n").encode())


def _order_coordinates(module: LlavaNaflex, tokenizer: Tokenizer) -> None:
    """Neighbouring coordinates start as neighbours: their places in the table of pieces lie on a smooth line."""
    table = module.language_model.get_input_embeddings().weight
    ids = [tokenizer.token_to_id(text) for text in COORDINATES]
    line = positions(len(ids), 2 * table.shape[1])[: len(ids), table.shape[1] :]
    table[ids] = line * (_TABLE / line.std())


def _attend_to_likeness(module: LlavaNaflex, generator: torch.Generator) -> None:
    """Attention starts by looking for what is like the token itself, and by copying it.

    Keys equal queries, and what a head reads it writes back as it was (after Trockman & Kolter 2023, "Mimetic
    initialization of self-attention layers", arXiv 2305.09828). As patches speak in words, "the star" then finds the
    star, and takes over what else is said of it.
    """
    for layer in module.language_model.model.layers:
        attention, width = layer.self_attn, module.config.text.hidden_size
        for first, second in ((attention.q_proj, attention.k_proj), (attention.v_proj, attention.o_proj)):
            rotation = torch.linalg.qr(torch.randn(width, width, generator=generator)).Q
            first.weight.copy_(rotation)
            second.weight.copy_(rotation if second is attention.k_proj else _COPY * rotation.T)
