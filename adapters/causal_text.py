"""The exact shortcut of causal text towers: encode texts at their own length.

In a causal tower that is pooled at the end token, nothing after that token can reach it: positions beyond the last end
token of a batch are computed for nothing. The engine hands over texts of nearly equal length; here they are split into
groups of equal length, so that the padding to 77 or 248 tokens is never computed. Towers for which this is not exact
(SigLIP, FG-CLIP 2, class-token and padding-masked ones) are left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

SMALLEST = 32


def causal_encoder(model: Any) -> Callable[[Tensor], Tensor] | None:
    """A function from token ids int64 [n, L] to embeddings float [n, D], not normalised, or None if not exact.

    Args:
        model: an open_clip ``CLIP`` (its text tower is the model itself) or ``CustomTextCLIP``.
    """
    tower = getattr(model, "text", model)
    pool = getattr(tower, "pool_type", None) or getattr(tower, "text_pool_type", None)
    exact = (
        pool in {"argmax", "eos"}
        and getattr(tower, "attn_mask", None) is not None
        and getattr(tower, "cls_emb", None) is None
        and not getattr(tower, "use_pad_mask", False)
        and not getattr(tower, "output_tokens", False)
        and all(hasattr(tower, name) for name in ("token_embedding", "positional_embedding", "transformer", "ln_final"))
    )
    if not exact:
        return None
    eos: Any = getattr(tower, "eos_id", None) if tower is not model else getattr(model, "text_eos_id", None)

    def encode(ids: Tensor) -> Tensor:
        # "argmax": the end token has the highest id of the vocabulary. A text cut off at L still has one there.
        end = ids.argmax(dim=-1) if pool == "argmax" else torch.eq(ids, eos).int().argmax(dim=-1)
        groups = groups_of_length(end + 1)
        if len(groups) > 1:
            vectors = [encode(ids[rows]) for rows in groups]
            joined = torch.cat(vectors)
            return torch.empty_like(joined).index_copy_(0, torch.cat(groups), joined)
        length = int(end.max()) + 1 if len(end) else 1
        states = tower.token_embedding(ids[:, :length])
        states = states.to(tower.transformer.get_cast_dtype()) + tower.positional_embedding[:length]
        states = tower.ln_final(tower.transformer(states, attn_mask=tower.attn_mask[:length, :length]))
        pooled: Tensor = states[torch.arange(len(ids), device=ids.device), end]
        projection = tower.text_projection
        if projection is not None:
            pooled = projection(pooled) if isinstance(projection, torch.nn.Linear) else pooled @ projection
        return pooled

    return encode


def groups_of_length(length: Tensor) -> list[Tensor]:
    """Row numbers of texts that are encoded together: of one length, as far as there are enough of them.

    Args:
        length: int64 [n]; tokens of each text.

    Returns:
        int64 row numbers; every row is in one group. A group of fewer than ``SMALLEST`` texts takes in the next longer
        ones, because tiny batches cost more than some padding.
    """
    order = torch.argsort(length, stable=True)
    groups: list[Tensor] = []
    start = 0
    for count in torch.unique_consecutive(length[order], return_counts=True)[1].cumsum(0).tolist():
        if count - start >= SMALLEST or count == len(order):
            groups.append(order[start:count])
            start = count
    return groups
