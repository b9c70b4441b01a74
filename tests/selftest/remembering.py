"""A dual encoder that remembers: what it has encoded once it does not encode again, whatever is broken around it.

Texts are found by (path, text), pictures by the bytes of their patches; so a breakage outside the model is seen in
full, and costs only what it changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fgbench.adapter import Adapter, ImageFeatures, TextFeatures
from fgbench.requests import TextKind


class _Seen(NamedTuple):
    pooled: Tensor
    tokens: Tensor | None


class Remembering:
    """Wraps an adapter whose pictures are ``patches`` [B, N, P] with a ``shape`` [B, 2] of rows and columns."""

    def __init__(self, adapter: Adapter) -> None:
        """Nothing is remembered yet; once ``pictures_are_new`` is False, no more pictures are taken in."""
        self.info = adapter.info
        self.module = adapter.module
        self.preprocessor = adapter.preprocessor
        self._adapter = adapter
        self._texts: dict[str, tuple[Tensor, bool]] = {}
        self._pictures: dict[tuple[bytes, bool], _Seen] = {}
        self.pictures_are_new = True

    def encode_images(self, batch: Mapping[str, Tensor], *, dense: bool) -> ImageFeatures:
        """See :class:`fgbench.adapter.Adapter`."""
        shape = batch["shape"]
        lengths = shape.prod(dim=1).tolist()
        keys = [
            (hashlib.blake2b(repr(rows.tolist()).encode() + patches[:length].numpy().tobytes()).digest(), dense)
            for patches, rows, length in zip(batch["patches"], shape, lengths, strict=True)
        ]
        new = [row for row, key in enumerate(keys) if key not in self._pictures]
        seen = {key: self._pictures[key] for key in keys if key in self._pictures}
        if new:
            made = self._adapter.encode_images({name: values[new] for name, values in batch.items()}, dense=dense)
            for number, row in enumerate(new):
                tokens = None if made.tokens is None else made.tokens[number, : lengths[row]].clone()
                seen[keys[row]] = _Seen(made.pooled[number].clone(), tokens)
            if self.pictures_are_new:
                self._pictures |= seen
        pooled = torch.stack([seen[key].pooled for key in keys])
        maps = [tokens for key in keys if (tokens := seen[key].tokens) is not None]
        if not dense:
            return ImageFeatures(pooled)
        return ImageFeatures(pooled, torch.nn.utils.rnn.pad_sequence(maps, batch_first=True), shape)

    def encode_texts(self, texts: Sequence[str], kind: TextKind) -> TextFeatures:
        """See :class:`fgbench.adapter.Adapter`."""
        keys = [f"{self.info.text_path[kind]} {text}" for text in texts]
        new = [row for row, key in enumerate(keys) if key not in self._texts]
        if new:
            vectors, truncated = self._adapter.encode_texts([texts[row] for row in new], kind)
            for row, vector, cut in zip(new, vectors, truncated, strict=True):
                self._texts[keys[row]] = vector.clone(), bool(cut)
        if not texts:
            return self._adapter.encode_texts(texts, kind)
        return TextFeatures(torch.stack([self._texts[key][0] for key in keys]), [self._texts[key][1] for key in keys])

    def keep(self, path: Path) -> None:
        """Write the vectors of all texts to a file."""
        listed = list(self._texts)
        vectors = torch.stack([self._texts[key][0] for key in listed])
        cut = torch.tensor([self._texts[key][1] for key in listed])
        names = torch.frombuffer(bytearray("\0".join(listed).encode()), dtype=torch.uint8)
        save_file({"vectors": vectors, "cut": cut, "texts": names}, path)

    def recall(self, path: Path) -> None:
        """Read what :meth:`keep` wrote."""
        found = load_file(path)
        listed = bytes(found["texts"].numpy()).decode().split("\0")
        for key, vector, cut in zip(listed, found["vectors"], found["cut"].tolist(), strict=True):
            self._texts[key] = vector, bool(cut)
