"""FG-CLIP 2 as a module: two SigLIP 2 towers, and the long and box text paths and the dense head that it adds.

The parameters have the names of the published checkpoints, so a state dict loads strictly; no remote code. What is
computed follows the FG-CLIP 2 paper (arXiv 2510.10921) and its evaluation code; the equality was measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name that the field uses
from torch import Tensor, nn
from transformers import Siglip2TextConfig, Siglip2TextModel, Siglip2VisionConfig, Siglip2VisionModel
from transformers.activations import ACT2FN
from transformers.models.siglip2.modeling_siglip2 import Siglip2MultiheadAttentionPoolingHead

from fgbench.errors import ModelError
from fgbench.requests import TextKind

from .naflex import PATCH, NaflexPixels

_BOTH = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps")
_TEXT = (*_BOTH, "vocab_size", "max_position_embeddings", "projection_size")
_VISION = (*_BOTH, "num_channels", "patch_size", "num_patches", "vision_use_head")

_NOT_SIZES = ("hidden_act", "layer_norm_eps", "vision_use_head")
_SDPA = {"attn_implementation": "sdpa"}  # exact, and it never holds the attention weights of all heads
_TOKEN_IDS = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}  # unused; transformers warns of its defaults


@dataclass(frozen=True)
class FgClip2Config:
    """What ``config.json`` says of the architecture.

    Attributes:
        text: the text tower, in transformers' form.
        vision: the vision tower.
        keep_len: long texts take their first positions, as many as this, from the original table.
        longtext_len: tokens of a long text.
    """

    text: Any
    vision: Any
    keep_len: int = 20
    longtext_len: int = 196

    @classmethod
    def from_dict(cls, config: Mapping[str, Any], where: str = "config.json") -> FgClip2Config:
        """Read a configuration; keys that do not shape the model are ignored (token ids are wrong in published files).

        Args:
            config: the content of ``config.json``.
            where: its path, for messages.

        Raises:
            ModelError: not an FG-CLIP 2 configuration, or one that this implementation cannot follow.
        """
        if config.get("model_type") != "fgclip2":
            raise ModelError(f"{where}: model_type is {config.get('model_type')!r}; expected 'fgclip2'.")
        text, vision = config.get("text_config"), config.get("vision_config")
        if not isinstance(text, dict) or not isinstance(vision, dict):
            raise ModelError(f"{where}: expected the objects text_config and vision_config. Download the file again.")
        try:
            parsed = cls(
                Siglip2TextConfig(**{key: text[key] for key in _TEXT if key in text}, **_SDPA, **_TOKEN_IDS),
                Siglip2VisionConfig(**{key: vision[key] for key in _VISION if key in vision}, **_SDPA),
                **{key: text[key] for key in ("keep_len", "longtext_len") if key in text},
            )
            parsed._check(where)
        except ModelError:
            raise
        except Exception as error:  # transformers validates with exceptions of its own
            raise ModelError(f"{where}: a field of the towers has an unusable value: {error}") from error
        return parsed

    @property
    def dim(self) -> int:
        """D, the width of both towers and of the joint space."""
        return int(self.text.hidden_size)

    @property
    def text_length(self) -> dict[TextKind, int]:
        """Tokens per text, <eos> included: every text is padded to exactly this length."""
        short = int(self.text.max_position_embeddings)
        return {"short": short, "box": short, "long": self.longtext_len}

    def _check(self, where: str) -> None:
        text, vision = self.text, self.vision
        sizes = {f"text_config.{key}": getattr(text, key) for key in _TEXT if key not in _NOT_SIZES}
        sizes |= {f"vision_config.{key}": getattr(vision, key) for key in _VISION if key not in _NOT_SIZES}
        sizes |= {"text_config.keep_len": self.keep_len, "text_config.longtext_len": self.longtext_len}
        for key, value in sizes.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ModelError(f"{where}: {key} is {value!r}; expected a whole number above 0.")
        requirements = (
            (text.hidden_size == vision.hidden_size, "text and vision hidden_size must be equal"),
            (text.projection_size == text.hidden_size, "text projection_size must equal hidden_size"),
            (
                all(tower.hidden_size % tower.num_attention_heads == 0 for tower in (text, vision)),
                "hidden_size must be a multiple of num_attention_heads",
            ),
            (text.hidden_act in ACT2FN and vision.hidden_act in ACT2FN, "hidden_act must be known to transformers"),
            (self.keep_len <= self.longtext_len, "keep_len must not exceed longtext_len"),
            (math.isqrt(vision.num_patches) ** 2 == vision.num_patches, "num_patches must be a square number"),
            (vision.patch_size == PATCH, f"patch_size must be {PATCH}"),
            (vision.num_channels == 3, "num_channels must be 3"),
            (vision.vision_use_head, "vision_use_head must be true: the pooled vector comes from that head"),
        )
        failed = [requirement for holds, requirement in requirements if not holds]
        if failed:
            raise ModelError(f"{where}: {'; '.join(failed)}. Expected the configuration of a published FG-CLIP 2.")


class FgClip2(nn.Module):
    """The network. D is the width of both towers, P = 16 the patch size."""

    def __init__(self, config: FgClip2Config) -> None:
        super().__init__()
        self.config = config
        width = config.dim
        self.text_model = Siglip2TextModel(config.text)
        self.vision_model = Siglip2VisionModel(config.vision)
        embeddings = self.text_model.embeddings
        embeddings.position_embedding_ori = nn.Embedding(config.longtext_len, width)
        embeddings.position_embedding_res = nn.Embedding(config.longtext_len, width)
        # Transformers' own table of position numbers: unused here, but it must not stay without values on meta.
        embeddings.register_buffer(
            "position_ids", torch.arange(config.text.max_position_embeddings, device="cpu")[None], persistent=False
        )
        self.longtext_head = nn.Linear(width, width)
        self.boxtext_head = nn.Linear(width, width)
        self.dense_feature_head = Siglip2MultiheadAttentionPoolingHead(config.vision)
        self.logit_scale = nn.Parameter(torch.zeros(1))
        self.logit_bias = nn.Parameter(torch.zeros(1))
        self.pixels = NaflexPixels()

    def image_features(self, patches: Tensor, shape: Tensor, *, dense: bool) -> tuple[Tensor, Tensor | None]:
        """Embed pictures.

        Args:
            patches: uint8 [B, N, 3 * P * P], padded at the end.
            shape: int64 [B, 2], rows and columns of patches; best on the CPU, where it is read.
            dense: also compute the dense features.

        Returns:
            pooled [B, D], and tokens [B, N, D] in the text space (row by row, padding at the end) or None.
        """
        pixels, real = self.pixels(patches, shape)
        grids = [(rows, columns) for rows, columns in shape.tolist()]
        length = patches.shape[1]
        # Padded tokens are no keys. Without padding there is no mask, and the fastest attention kernels apply.
        padded = any(rows * columns < length for rows, columns in grids)
        mask = real[:, None, None, :] if padded else None

        vision = self.vision_model
        hidden = vision.embeddings.patch_embedding(pixels) + self._image_positions(grids, length)
        hidden = vision.encoder(inputs_embeds=hidden, attention_mask=mask).last_hidden_state
        hidden = vision.post_layernorm(hidden)
        probe = vision.head.probe.expand(len(hidden), -1, -1)
        pooled = _attend(vision.head, probe, hidden, mask)[:, 0]
        return pooled, _attend(self.dense_feature_head, hidden, hidden, mask) if dense else None

    def text_features(self, ids: Tensor, kind: TextKind) -> Tensor:
        """Embed texts.

        No attention mask: the models were trained with padding that takes part in the attention, and the vector is
        read at the last position, which normally is padding.

        Args:
            ids: int64 [n, L], with exactly the L tokens that ``config.text_length`` gives for this kind.
            kind: text path. ``short`` and ``box`` differ in the head only, ``long`` also in the positions.

        Returns:
            [n, D].
        """
        text = self.text_model
        hidden = text.embeddings.token_embedding(ids) + self._text_positions(kind)
        hidden = text.encoder(inputs_embeds=hidden, attention_mask=None).last_hidden_state
        heads: dict[TextKind, nn.Module] = {"short": text.head, "box": self.boxtext_head, "long": self.longtext_head}
        vectors: Tensor = heads[kind](text.final_layer_norm(hidden[:, -1]))
        return vectors

    def _text_positions(self, kind: TextKind) -> Tensor:
        """[L, D]. The tables for long texts keep the first rows of one and use the rest of the other."""
        tables = self.text_model.embeddings
        if kind != "long":
            table: Tensor = tables.position_embedding.weight
            return table
        keep = self.config.keep_len
        return torch.cat([tables.position_embedding_ori.weight[:keep], tables.position_embedding_res.weight[keep:]])

    def _image_positions(self, grids: list[tuple[int, int]], length: int) -> Tensor:
        """[B, length, D]: the square table of positions, resized to each grid, zero where padded.

        Bilinear with antialiasing, as in SigLIP 2; each distinct grid is computed once per batch.
        """
        weight = self.vision_model.embeddings.position_embedding.weight
        side = math.isqrt(len(weight))
        table = weight.float().view(side, side, -1).permute(2, 0, 1)[None]
        resized = {}
        for grid in set(grids):
            positions = F.interpolate(table, size=grid, mode="bilinear", align_corners=False, antialias=True)
            positions = positions[0].flatten(1).T.to(weight.dtype)
            resized[grid] = F.pad(positions, (0, 0, 0, length - len(positions)))
        return torch.stack([resized[grid] for grid in grids])


def _attend(head: Any, queries: Tensor, states: Tensor, mask: Tensor | None) -> Tensor:
    """Apply an attention head of the vision tower: a = attention(queries, states), then a + MLP(LayerNorm(a)).

    With the head's probe as the only query this is SigLIP's pooling. With the states themselves it is the dense head
    of FG-CLIP 2, which has no residual from the states. Written out, rather than through
    ``nn.MultiheadAttention.forward``, so that no attention weights [B, heads, N, N] are built and one kernel serves
    every precision.

    Args:
        head: attention pooling head.
        queries: [B, M, D].
        states: [B, N, D].
        mask: bool [B, 1, 1, N], true for the keys to use; None for all.

    Returns:
        [B, M, D].
    """
    attention = head.attention
    weights = attention.in_proj_weight.chunk(3)
    biases = attention.in_proj_bias.chunk(3)
    query, key, value = (
        F.linear(tokens, weight, bias).view(*tokens.shape[:2], attention.num_heads, -1).transpose(1, 2)
        for tokens, weight, bias in zip((queries, states, states), weights, biases, strict=True)
    )
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    mixed = attention.out_proj(mixed.transpose(1, 2).flatten(2))
    output: Tensor = mixed + head.mlp(head.layernorm(mixed))
    return output
