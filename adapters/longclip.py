"""Long-CLIP (Zhang et al., ECCV 2024): OpenAI's CLIP with 248 text positions instead of 77.

The first 20 positions are those of CLIP, the rest was stretched and trained. The checkpoints hold two tables, one for
each part; merged once, they are a plain CLIP, and open_clip's module gives exactly what the official code gives.
"""

from __future__ import annotations

from typing import Any

import open_clip
import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

from fgbench.adapter import Adapter

from .checkpoint import load_strict
from .openclip_parts import assemble
from .torch_files import Weights, locate, read_tensors

KEEP = 20
"""Positions that a text takes from ``positional_embedding``; the others are in ``positional_embedding_res``."""

_TABLE, _REST = "positional_embedding", "positional_embedding_res"
_NUMBERS = ("input_resolution", "context_length", "vocab_size")
_ADVICE = (
    "Long-CLIP's weights are on the hub: longclip-b16 and longclip-l14 fetch them. For a file of your own type "
    "longclip:<file>, for example longclip:checkpoints/longclip-B.pt."
)


def load(target: str, *, revision: str | None = None) -> Adapter:
    """Load a Long-CLIP checkpoint.

    Args:
        target: weights file (``.pt`` or ``.safetensors``), or ``owner/name/file`` on the hub.
        revision: commit, branch or tag on the hub.

    Raises:
        ModelError: no such file, or one that is damaged, that would have to run code, or that holds another model.
    """
    file = locate(target, _ADVICE, revision)
    weights = read_tensors(file.path, "Long-CLIP (OpenAI's names and positional_embedding_res)")
    positions = weights.size(_TABLE, rank=2)
    if weights.size(_REST, rank=2) != positions or positions[0] <= KEEP:
        raise weights.error(
            f"{_TABLE} has the shape {list(positions)} and {_REST} {list(weights.size(_REST, rank=2))}; both tables "
            f"must have the same rows, more than {KEEP}"
        )
    state = {name: value for name, value in weights.state.items() if name not in (_REST, *_NUMBERS)}
    state[_TABLE] = torch.cat([state[_TABLE][:KEEP], weights.state[_REST][KEEP:]])
    with torch.random.fork_rng(devices=[]):  # the process's random numbers are not disturbed
        model, dim, size = _build(weights)
    load_strict(model, state, f"the Long-CLIP that the shapes in {file.path} describe")
    return assemble(
        model,
        file,
        family="longclip",
        dim=dim,
        picture={
            "size": size,
            "mean": OPENAI_DATASET_MEAN,
            "std": OPENAI_DATASET_STD,
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        },
        length=positions[0],
        settings={"activation": "quick_gelu", "keep_len": KEEP},
    )


def _build(weights: Weights) -> tuple[Any, int, int]:
    """The architecture that the shapes describe, with random parameters; D; and the side of its pictures in pixels."""
    width, _, patch, _ = weights.size("visual.conv1.weight", rank=4)
    size = patch * weights.side(weights.size("visual.positional_embedding", rank=2)[0])
    vocabulary, text_width = weights.size("token_embedding.weight", rank=2)
    dim = weights.size("text_projection", rank=2)[1]
    vision = open_clip.CLIPVisionCfg(
        layers=weights.count("visual.transformer.resblocks."),
        width=width,
        head_width=width // weights.heads(width),
        patch_size=patch,
        image_size=size,
    )
    text = open_clip.CLIPTextCfg(
        context_length=weights.size(_TABLE, rank=2)[0],
        vocab_size=vocabulary,
        width=text_width,
        heads=weights.heads(text_width),
        layers=weights.count("transformer.resblocks."),
    )
    return open_clip.CLIP(dim, vision_cfg=vision, text_cfg=text, quick_gelu=True), dim, size
