"""A LLaVA whose vision tower is FG-CLIP 2 or SigLIP 2 NaFlex: the network.

LLaVA-1.5 (Liu et al. 2023, arXiv 2310.03744): patch tokens of the vision tower's last layer but one, through two linear
layers with a GELU between, take the place of the picture in the language model's input. transformers' own LLaVA gives
every picture equally many tokens; here a picture has as many as it has patches, 1 to 1024, by its size and shape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name that the field uses
import transformers
from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING
from transformers.models.siglip2.modeling_siglip2 import Siglip2Encoder, Siglip2VisionEmbeddings

from fgbench.errors import ModelError

from .naflex import PATCH, NaflexPixels

MODEL_TYPE = "llava_naflex"
PICTURE = -1
"""Stands for a picture among token ids."""

_SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_patches")
_VISION = (*_SIZES, "num_channels", "patch_size", "hidden_act", "layer_norm_eps")


@dataclass(frozen=True)
class LlavaNaflexConfig:
    """What ``config.json`` says.

    Attributes:
        vision: the vision tower as published, in transformers' SigLIP 2 form.
        text: the language model, in transformers' form.
        vision_feature_layer: which state of the tower is used: -1 after its last layer, -2 after the last but one, …
        projector_hidden_act: activation between the projector's two layers.
        frame: chat frame that the model was trained with.
        budget: patches per picture; None for FG-CLIP 2's dynamic rule.
    """

    vision: Any
    text: Any
    vision_feature_layer: int = -2
    projector_hidden_act: str = "gelu"
    frame: str = "vicuna_v1"
    budget: int | None = None

    @classmethod
    def from_dict(cls, config: Mapping[str, Any], where: str = "config.json") -> LlavaNaflexConfig:
        """Read a configuration.

        Args:
            config: the content of ``config.json``.
            where: its path, for messages.

        Raises:
            ModelError: another kind of model, or values that make none.
        """
        if config.get("model_type") != MODEL_TYPE:
            raise ModelError(f"{where}: model_type is {config.get('model_type')!r}; expected {MODEL_TYPE!r}.")
        vision, text = config.get("vision_config"), config.get("text_config")
        if not isinstance(vision, dict) or not isinstance(text, dict):
            raise ModelError(f"{where}: expected the objects vision_config and text_config.")
        own = ("vision_feature_layer", "projector_hidden_act", "frame", "budget")
        try:
            parsed = cls(
                transformers.Siglip2VisionConfig(
                    **{key: vision[key] for key in _VISION if key in vision}, attn_implementation="sdpa"
                ),
                transformers.AutoConfig.for_model(**text),
                **{key: config[key] for key in own if key in config},
            )
            parsed._check(where)
        except ModelError:
            raise
        except Exception as error:  # transformers validates with exceptions of its own
            raise ModelError(f"{where}: a field has an unusable value: {error}") from error
        return parsed

    def to_dict(self) -> dict[str, Any]:
        """The content of ``config.json``."""
        return {
            "model_type": MODEL_TYPE,
            "vision_config": {key: getattr(self.vision, key) for key in _VISION},
            "text_config": self.text.to_dict(),
            "vision_feature_layer": self.vision_feature_layer,
            "projector_hidden_act": self.projector_hidden_act,
            "frame": self.frame,
            "budget": self.budget,
        }

    @property
    def layers(self) -> int:
        """How many layers of the vision tower are used; the others are not in a checkpoint of this kind."""
        return int(self.vision.num_hidden_layers) + 1 + self.vision_feature_layer

    def _check(self, where: str) -> None:
        vision = self.vision
        for key in _SIZES:
            value = getattr(vision, key)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ModelError(f"{where}: vision_config.{key} is {value!r}; expected a whole number above 0.")
        depth = vision.num_hidden_layers
        requirements = (
            (vision.patch_size == PATCH, f"vision_config.patch_size must be {PATCH}"),
            (vision.num_channels == 3, "vision_config.num_channels must be 3"),
            (math.isqrt(vision.num_patches) ** 2 == vision.num_patches, "num_patches must be a square number"),
            (vision.hidden_size % vision.num_attention_heads == 0, "hidden_size must be a multiple of the heads"),
            (
                isinstance(self.vision_feature_layer, int) and -depth <= self.vision_feature_layer <= -1,
                f"vision_feature_layer must be from -{depth} to -1",
            ),
            (self.projector_hidden_act in ACT2FN, "projector_hidden_act must be known to transformers"),
            (
                self.budget is None or (isinstance(self.budget, int) and self.budget > 0),
                "budget must be a whole number above 0, or null",
            ),
            (
                type(self.text) in MODEL_FOR_CAUSAL_LM_MAPPING,
                "text_config.model_type must be a causal language model's",
            ),
            (getattr(self.text, "eos_token_id", None) is not None, "text_config must name eos_token_id"),
        )
        failed = [requirement for holds, requirement in requirements if not holds]
        if failed:
            raise ModelError(f"{where}: {'; '.join(failed)}.")


class PictureTokens(nn.Module):
    """Vision tower, as far as it is used, and projector."""

    def __init__(self, config: LlavaNaflexConfig) -> None:
        super().__init__()
        vision, width = config.vision, config.text.hidden_size
        self.pixels = NaflexPixels()
        self.embeddings = Siglip2VisionEmbeddings(vision)
        self.encoder = Siglip2Encoder(vision)
        del self.encoder.layers[config.layers :]
        self.linear_1 = nn.Linear(vision.hidden_size, width)
        self.act = ACT2FN[config.projector_hidden_act]
        self.linear_2 = nn.Linear(width, width)

    def forward(self, patches: Tensor, shape: Tensor) -> list[Tensor]:
        """Turn pictures into tokens of the language model.

        Args:
            patches: uint8 [B, N, 768], padded at the end, as :class:`.naflex.NaflexPreprocessor` makes them.
            shape: int64 [B, 2], rows and columns of patches.

        Returns:
            One tensor [rows * columns, D] per picture; D is the language model's width.
        """
        pixels, real = self.pixels(patches, shape)
        lengths = shape.prod(dim=1).tolist()
        mask = None if min(lengths) == patches.shape[1] else real[:, None, None, :]
        hidden = self.encoder(self.embeddings(pixels, shape), attention_mask=mask).last_hidden_state
        tokens = self.linear_2(self.act(self.linear_1(hidden)))
        return [row[:length] for row, length in zip(tokens, lengths, strict=True)]


class LlavaNaflex(nn.Module):
    """Pictures and tokens in, tokens out."""

    def __init__(self, config: LlavaNaflexConfig, language_model: Any = None) -> None:
        """
        Args:
            config: what to build.
            language_model: with weights, of the kind in ``config.text``; None builds one with random weights.
        """
        super().__init__()
        self.config = config
        self.vision = PictureTokens(config)
        if language_model is None:
            language_model = transformers.AutoModelForCausalLM.from_config(config.text, trust_remote_code=False)
        self.language_model = language_model

    def forward(self, rows: Sequence[Tensor], patches: Tensor | None, shape: Tensor | None) -> Tensor:
        """Logits of every position (teacher forcing): what training needs.

        Args:
            rows: token ids, int64 [L_i] each, with :data:`PICTURE` where a picture stands.
            patches, shape: all pictures in order of their places, as in :meth:`PictureTokens.forward`; None if there
                are none.

        Returns:
            float [B, L, vocabulary], padded on the left: position -1 - k of each row is its k-th token from the end.
        """
        inputs, mask = self.embed(rows, patches, shape)
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        output = self.language_model(inputs_embeds=inputs, attention_mask=mask, position_ids=positions, use_cache=False)
        logits: Tensor = output.logits
        return logits

    def loss(
        self, rows: Sequence[Tensor], answers: Sequence[int], patches: Tensor | None, shape: Tensor | None
    ) -> Tensor:
        """Mean cross-entropy of the answers' tokens.

        Args:
            rows: as in :meth:`forward`; prompt, then answer, then end token.
            answers: how many tokens at the end of each row are the answer's, the end token included.
            patches, shape: as in :meth:`forward`.
        """
        logits = self.forward(rows, patches, shape)
        predicted = torch.cat([logits[i, -1 - count : -1] for i, count in enumerate(answers)])
        wanted = torch.cat([row[len(row) - count :] for row, count in zip(rows, answers, strict=True)])
        return F.cross_entropy(predicted.float(), wanted.to(predicted.device))

    def generate(self, rows: Sequence[Tensor], patches: Tensor | None, shape: Tensor | None, max_tokens: int) -> Tensor:
        """New tokens, greedily: int64 [B, M], M at most ``max_tokens``; padded after an end token."""
        inputs, mask = self.embed(rows, patches, shape)
        tokens: Tensor = self.language_model.generate(
            inputs_embeds=inputs, attention_mask=mask, max_new_tokens=max_tokens
        )
        return tokens

    def embed(self, rows: Sequence[Tensor], patches: Tensor | None, shape: Tensor | None) -> tuple[Tensor, Tensor]:
        """Inputs of the language model.

        Returns:
            Embeddings [B, L, D] and mask int64 [B, L], padded on the left: an answer must follow its own prompt.

        Raises:
            ValueError: not as many pictures as places for them.
        """
        table = self.language_model.get_input_embeddings()
        pictures = [] if patches is None or shape is None else self.vision(patches, shape)
        places = sum(int((row == PICTURE).sum()) for row in rows)
        if places != len(pictures):
            raise ValueError(f"Expected {places} pictures, one per place, but got {len(pictures)}.")
        supply = iter(pictures)
        spliced = []
        for row in rows:
            row = row.to(table.weight.device)
            cuts = [-1, *(row == PICTURE).nonzero().flatten().tolist(), len(row)]
            pieces = []
            for start, stop in pairwise(cuts):
                pieces += [next(supply)] if start >= 0 else []
                pieces.append(table(row[start + 1 : stop]))
            spliced.append(torch.cat([piece.to(table.weight.dtype) for piece in pieces]))
        length = max(map(len, spliced))
        inputs = torch.stack([F.pad(row, (0, 0, length - len(row), 0)) for row in spliced])
        mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in spliced], device=inputs.device)
        return inputs, mask
