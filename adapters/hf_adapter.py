"""A transformers model with its picture and text treatment as an adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from fgbench.adapter import AdapterInfo, ImageFeatures, Preprocessor, TextFeatures
from fgbench.requests import TextKind

from .hf_files import Loaded
from .hf_text import TextTokens

Encode: TypeAlias = Callable[[Mapping[str, Tensor], bool], ImageFeatures]


@dataclass(frozen=True)
class Parts:
    """What the kinds of models differ in.

    Attributes:
        loaded: model, and what was read.
        preprocessor: picture treatment.
        tokens: text treatment.
        encode: the preprocessor's tensors, and whether dense features are wanted, to features.
        dim: size of the joint space.
        dense: name of the dense features.
        preprocess: the picture treatment in words.
        settings: what else changes the numbers.
    """

    loaded: Loaded
    preprocessor: Preprocessor
    tokens: TextTokens
    encode: Encode
    dim: int
    dense: str
    preprocess: str
    settings: Mapping[str, str | int | float | bool]


class HfAdapter:
    """A transformers model as an adapter (:class:`fgbench.adapter.Adapter`)."""

    def __init__(self, info: AdapterInfo, parts: Parts) -> None:
        self.info = info
        self.module: nn.Module = parts.loaded.model
        self.preprocessor = parts.preprocessor
        self._model = parts.loaded.model
        self._tokens = parts.tokens
        self._encode = parts.encode

    def encode_images(self, batch: Mapping[str, Tensor], *, dense: bool) -> ImageFeatures:
        """Encode pictures of one view; see :meth:`fgbench.adapter.Adapter.encode_images`."""
        return self._encode(batch, dense)

    def encode_texts(self, texts: Sequence[str], kind: TextKind) -> TextFeatures:
        """Encode texts; all kinds share one path."""
        if not texts:
            return TextFeatures(torch.zeros(0, self.info.dim), [])
        ids, truncated = self._tokens(texts)
        # No attention mask: CLIP is causal and does not see the padding, SigLIP was trained with the padding visible.
        output = self._model.get_text_features(input_ids=ids.to(next(self.module.parameters()).device))
        return TextFeatures(output.pooler_output, truncated)
