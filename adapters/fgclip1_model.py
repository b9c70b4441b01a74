"""FG-CLIP 1 as a module: transformers' CLIP towers, and the positions and the projection of its long text path.

The parameters have the names of the published checkpoints, so a state dict loads strictly; no remote code. What is
computed follows the FG-CLIP paper (arXiv 2505.05071) and its evaluation code; the equality was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModel
from transformers.activations import ACT2FN

from fgbench.errors import ModelError
from fgbench.requests import TextKind

from .squash import ClipPixels

BOS, EOS = 49406, 49407
"""Token ids of CLIP. FG-CLIP's code sets them whatever ``config.json`` says; padding is EOS."""

KEEP = 20
"""Long texts take their first positions, as many as this, from the one table and the rest from the other."""

_BOTH = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps")
_TEXT = (*_BOTH, "vocab_size", "max_position_embeddings")
_VISION = (*_BOTH, "image_size", "patch_size")
_SDPA = {"attn_implementation": "sdpa"}


@dataclass(frozen=True)
class FgClip1Config:
    """What ``config.json`` says of the architecture.

    Attributes:
        text: the text tower, in transformers' form.
        vision: the vision tower.
        dim: D, the size of the joint space.
    """

    text: Any
    vision: Any
    dim: int

    @classmethod
    def from_dict(cls, config: Mapping[str, Any], where: str = "config.json") -> FgClip1Config:
        """Read a configuration; keys that do not shape the model are ignored.

        Args:
            config: the content of ``config.json``.
            where: its path, for messages.

        Raises:
            ModelError: not an FG-CLIP 1 configuration, or one that this implementation cannot follow.
        """
        if config.get("model_type") != "clip":
            raise ModelError(f"{where}: model_type is {config.get('model_type')!r}; expected 'clip', as in FG-CLIP 1.")
        text, vision = config.get("text_config"), config.get("vision_config")
        if not isinstance(text, dict) or not isinstance(vision, dict):
            raise ModelError(f"{where}: expected the objects text_config and vision_config. Download the file again.")
        ids = {"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": EOS}
        try:
            parsed = cls(
                CLIPTextConfig(**{key: text[key] for key in _TEXT if key in text}, **_SDPA, **ids),
                CLIPVisionConfig(**{key: vision[key] for key in _VISION if key in vision}, **_SDPA),
                config.get("projection_dim", 512),
            )
        except Exception as error:  # transformers validates with exceptions of its own
            raise ModelError(f"{where}: a field of the towers has an unusable value: {error}") from error
        parsed._check(where)
        return parsed

    @property
    def text_length(self) -> dict[TextKind, int]:
        """Tokens per text, begin and end included; long texts have what stretching three of four positions gives."""
        short = int(self.text.max_position_embeddings)
        return {"short": short, "box": short, "long": 4 * short - 3 * KEEP}

    def _check(self, where: str) -> None:
        sizes = {f"text_config.{key}": getattr(self.text, key) for key in (*_BOTH[:4], *_TEXT[6:])}
        sizes |= {f"vision_config.{key}": getattr(self.vision, key) for key in (*_BOTH[:4], *_VISION[6:])}
        for key, value in (*sizes.items(), ("projection_dim", self.dim)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ModelError(f"{where}: {key} is {value!r}; expected a whole number above 0.")
        requirements = (
            (
                self.text.hidden_act in ACT2FN and self.vision.hidden_act in ACT2FN,
                "hidden_act must be known to transformers",
            ),
            (self.vision.image_size % self.vision.patch_size == 0, "image_size must be a multiple of patch_size"),
            (self.text.max_position_embeddings >= KEEP, f"max_position_embeddings must be at least {KEEP}"),
            (self.text.vocab_size > EOS, f"vocab_size must be above {EOS}, the id of the end token"),
        )
        failed = [requirement for holds, requirement in requirements if not holds]
        if failed:
            raise ModelError(f"{where}: {'; '.join(failed)}. Expected the configuration of a published FG-CLIP.")


class FgClip1(nn.Module):
    """The network. D is the size of the joint space, W the width of the text tower."""

    def __init__(self, config: FgClip1Config) -> None:
        super().__init__()
        self.config = config
        text, vision = config.text, config.vision
        self.text_model = CLIPTextModel(text)
        self.vision_model = CLIPVisionModel(vision)
        embeddings = self.text_model.embeddings
        embeddings.position_embedding_ori = nn.Embedding(config.text_length["long"], text.hidden_size)
        embeddings.position_embedding_res = nn.Embedding(config.text_length["long"], text.hidden_size)
        # Transformers' tables of position numbers must not stay without values on the meta device.
        for part, count in (
            (embeddings, text.max_position_embeddings),
            (self.vision_model.embeddings, self.vision_model.embeddings.num_positions),
        ):
            part.position_ids = torch.arange(count, device="cpu")[None]
        self.visual_projection = nn.Linear(vision.hidden_size, config.dim, bias=False)
        self.text_projection = nn.Linear(text.hidden_size, config.dim, bias=False)
        self.text_filip_projection = nn.Linear(text.hidden_size, config.dim, bias=False)
        self.logit_scale = nn.Parameter(torch.zeros(()))
        # Of the training losses; they are in the checkpoints and take no part in the evaluation.
        self.logit_scale_finegraind = nn.Parameter(torch.zeros(()))
        self.logit_scale_hardneg = nn.Parameter(torch.zeros(()))
        self.pixels = ClipPixels()

    def image_features(self, pixels: Tensor) -> Tensor:
        """Embed pictures, float32 [B, 3, S, S]; returns [B, D]."""
        vectors: Tensor = self.visual_projection(self.vision_model(pixel_values=pixels).pooler_output)
        return vectors

    def text_features(self, ids: Tensor, kind: TextKind) -> Tensor:
        """Embed texts.

        The tower is causal and read at the first EOS, so nothing behind it matters: L may be the longest text's.

        Args:
            ids: int64 [n, L]; each row has an EOS.
            kind: text path. ``long`` has positions and a projection of its own, ``short`` and ``box`` are one.

        Returns:
            [n, D].
        """
        text = self.text_model
        hidden = text.embeddings.token_embedding(ids) + self._positions(kind)[: ids.shape[1]]
        hidden = text.encoder(inputs_embeds=hidden, attention_mask=None, is_causal=True).last_hidden_state
        end = (ids == EOS).int().argmax(dim=-1)
        hidden = text.final_layer_norm(hidden[torch.arange(len(ids), device=ids.device), end])
        vectors: Tensor = (self.text_filip_projection if kind == "long" else self.text_projection)(hidden)
        return vectors

    def _positions(self, kind: TextKind) -> Tensor:
        """[L, W]."""
        tables = self.text_model.embeddings
        if kind != "long":
            table: Tensor = tables.position_embedding.weight
            return table
        return torch.cat([tables.position_embedding_ori.weight[:KEEP], tables.position_embedding_res.weight[KEEP:]])
