"""First weights of the vision tower from which small pictures are learned quickly.

* Patches are seen through the lowest waves of the cosine transform, each scaled to equal strength; random ones
  would see mostly noise.
* Positions are sines and cosines (Beyer et al. 2022, "Better plain ViT baselines", arXiv 2205.01580).
* Keys equal queries, so that a patch first looks at itself and its neighbours (after Trockman & Kolter 2023, "Mimetic
  initialization of self-attention layers", arXiv 2305.09828).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fgbench.adapters.fgclip2_model import FgClip2
from fgbench.adapters.naflex import PATCH

_STRENGTH = 0.5
_GREY_AND_COLOURS = ((1, 1, 1), (1, -1, 0), (1, 1, -2))
_SHARP, _SHARP_DENSE = 1.5, 2.0
"""With these factors about half of a patch's attention is on itself, measured on 128 patches."""

_WAVELENGTHS = (4.0, 64.0)
"""Shortest and longest, in cells of the table of positions."""


@torch.no_grad()
def prepare(model: FgClip2, patches: npt.NDArray[np.uint8]) -> None:
    """Set the weights named above.

    Args:
        model: changed in place.
        patches: uint8 [n, 768], some typical ones.
    """
    vision, width = model.vision_model, model.config.dim
    weight, bias = waves(width, patches)
    vision.embeddings.patch_embedding.weight.copy_(weight)
    vision.embeddings.patch_embedding.bias.copy_(bias)
    table = vision.embeddings.position_embedding.weight
    table.copy_(positions(math.isqrt(len(table)), width))
    for layer in vision.encoder.layers:
        layer.self_attn.q_proj.weight.mul_(_SHARP)
        layer.self_attn.k_proj.weight.copy_(layer.self_attn.q_proj.weight)
    projection = model.dense_feature_head.attention.in_proj_weight
    projection[:width] *= _SHARP_DENSE
    projection[width : 2 * width] = projection[:width]


def waves(width: int, patches: npt.NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """Weight [width, 768] and bias [width]: 5/8 of the rows see grey, the others two contrasts of colours."""
    n = np.arange(PATCH)
    line = np.array([np.cos(np.pi * (n + 0.5) * u / PATCH) for u in n])
    order = sorted(((int(u), int(v)) for u in n for v in n), key=lambda wave: (wave[0] ** 2 + wave[1] ** 2, wave))
    colour = width * 3 // 16
    rows = [
        np.einsum("y,x,c->yxc", line[u], line[v], np.array(channels)).ravel()
        for channels, count in zip(_GREY_AND_COLOURS, (width - 2 * colour, colour, colour), strict=True)
        for u, v in order[:count]
    ]
    matrix = np.array([row / np.linalg.norm(row) for row in rows])
    answers = (patches / 127.5 - 1) @ matrix.T
    scale = _STRENGTH / (answers.std(axis=0) + 1e-3)
    return torch.from_numpy(matrix * scale[:, None]).float(), torch.from_numpy(-answers.mean(axis=0) * scale).float()


def positions(side: int, width: int) -> Tensor:
    """float [side * side, width]: a quarter each of sines and cosines down and across."""
    short, long = _WAVELENGTHS
    lengths = short * (long / short) ** torch.linspace(0, 1, width // 4)
    angle = 2 * math.pi * torch.arange(side)[:, None] / lengths
    line = torch.cat([angle.sin(), angle.cos()], dim=1)
    down, across = line[:, None].expand(side, side, -1), line[None].expand(side, side, -1)
    return _STRENGTH * torch.cat([down, across], dim=-1).reshape(side * side, width)
