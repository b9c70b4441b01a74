"""Text treatment of transformers' CLIP and SigLIP models: token ids, and an honest count of what is cut off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fgbench.errors import ModelError

_PROBE = "a photo"


@dataclass(frozen=True)
class TextTokens:
    """Tokeniser of a model. Special tokens that a text spells out (``<|endoftext|>``) are read as ordinary characters.

    Attributes:
        tokenizer: of transformers.
        length: L, the most tokens per text, specials included.
        fill: id of the padding, which goes to the right.
        vocabulary: number of rows in the model's embedding table.
        fixed: pad to exactly L rather than to the longest text.
        lowercase: lower-case the text first (Unicode ``str.lower``).
        notes: remarks for the reader of a result.
    """

    tokenizer: Any
    length: int
    fill: int
    vocabulary: int
    fixed: bool
    lowercase: bool
    notes: tuple[str, ...] = ()

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, list[bool]]:
        """Token ids, int64 [n, L] (or shorter, unless ``fixed``), and which texts are longer than L tokens.

        Raises:
            ModelError: the tokenizer gives ids that the model does not have.
        """
        texts = [text.lower() for text in texts] if self.lowercase else list(texts)
        rows = _ids(self.tokenizer, texts)
        truncated = [len(row) > self.length for row in rows]
        # Cutting is left to the tokenizer, which keeps the end token.
        too_long = [text for text, long in zip(texts, truncated, strict=True) if long]
        cut = iter(_ids(self.tokenizer, too_long, self.length))
        rows = [next(cut) if long else row for row, long in zip(rows, truncated, strict=True)]
        width = self.length if self.fixed else max(1, *(len(row) for row in rows))
        ids = torch.tensor([row + [self.fill] * (width - len(row)) for row in rows])
        if int(ids.max()) >= self.vocabulary:
            raise ModelError(
                f"The tokenizer gives the id {int(ids.max())}, but the model has {self.vocabulary} tokens. The "
                "tokenizer's files belong to another model; download the checkpoint again."
            )
        return ids, truncated


def clip_tokens(tokenizer: Any, config: Any) -> TextTokens:
    """Text treatment of CLIP: begin and end token, at most the tower's positions, padded to the longest text.

    The tower is causal and reads the vector at the first end token, so what follows it changes nothing.

    Args:
        tokenizer: as loaded by transformers.
        config: ``text_config``.

    Raises:
        ModelError: the vector would not be read at the end token, but for every text at the same or a wrong one.
    """
    ids = _ids(tokenizer, [_PROBE])[0]
    # transformers' rule: configurations from before its PR 24773 say 2 and mean the highest id.
    wanted = max(ids, default=-1) if config.eos_token_id == 2 else config.eos_token_id
    if wanted not in ids or ids.index(wanted) != len(ids) - 1:
        raise ModelError(
            f"The tokenizer turns {_PROBE!r} into {ids}, but the text tower reads its vector at the first id {wanted} "
            "(eos_token_id in config.json). Expected that id at the end only; download the checkpoint again."
        )
    return TextTokens(
        tokenizer, int(config.max_position_embeddings), wanted, int(config.vocab_size), fixed=False, lowercase=False
    )


def siglip_tokens(tokenizer: Any, config: Any) -> TextTokens:
    """Text treatment of SigLIP: always the full length, padding included in the attention, lower-cased.

    The vector is read at the last position, normally a pad, so both the length and the pad token count. Lower-casing is
    part of the training of SigLIP and SigLIP 2, but which tokenizer classes do it depends on transformers' version.

    Args:
        tokenizer: as loaded by transformers.
        config: ``text_config``.

    Raises:
        ModelError: the tokenizer has no pad token.
    """
    if tokenizer.pad_token_id is None:
        raise ModelError(
            "The tokenizer has no pad token, but SigLIP reads its vector at a pad. Expected pad_token in "
            "tokenizer_config.json; download the checkpoint again."
        )
    ids = _ids(tokenizer, [_PROBE])[0]
    notes = []
    if not ids or ids[-1] != tokenizer.eos_token_id:
        notes.append(f"the tokenizer does not end texts with its end token (id {tokenizer.eos_token_id})")
    if tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id]:
        notes.append(f"the tokenizer begins texts with a begin token (id {tokenizer.bos_token_id}), unlike SigLIP's")
    return TextTokens(
        tokenizer,
        int(config.max_position_embeddings),
        int(tokenizer.pad_token_id),
        int(config.vocab_size),
        fixed=True,
        lowercase=True,
        notes=tuple(notes),
    )


def _ids(tokenizer: Any, texts: list[str], length: int | None = None) -> list[list[int]]:
    """Token ids with special tokens, cut to ``length`` if it is given."""
    if not texts:
        return []
    found: list[list[int]] = tokenizer(
        texts,
        padding=False,
        truncation=length is not None,
        max_length=length,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )["input_ids"]
    return found
