"""Precision of the weights and greedy decoding, the same for every generative adapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import transformers
from torch import Tensor

from fgbench.errors import ModelError, UsageError
from fgbench.generator import Reply

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_GREEDY: dict[str, object] = {"do_sample": False, "num_beams": 1, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0}


def parse_dtype(option: str | None) -> torch.dtype:
    """The model option ``dtype``: precision of the weights. 7 billion of them fill 28 GB in fp32, else 14.

    Raises:
        UsageError: no such precision.
    """
    if option is not None and option not in _DTYPES:
        raise UsageError(f"Model option dtype={option}: expected one of {', '.join(_DTYPES)}.")
    return _DTYPES[option or "fp32"]


def decode_greedily(model: Any, tokenizer_ids: dict[str, int | None], where: str) -> tuple[list[int], list[str]]:
    """Make a model decode greedily, whatever its ``generation_config.json`` asks for; only the token ids are kept.

    transformers fills every setting that a call leaves open from the model's own configuration, a repetition penalty
    too, so that one is replaced.

    Args:
        model: of transformers, with ``generate``.
        tokenizer_ids: ``bos``, ``eos`` and ``pad`` as the tokenizer has them; used where the model names none.
        where: names the model in messages.

    Returns:
        The ids that end an answer, and what was asked for but is not done, as remarks.

    Raises:
        ModelError: nothing says which token ends an answer.
    """
    asked = model.generation_config.to_dict()
    ids = {name: _first(asked.get(f"{name}_token_id"), tokenizer_ids.get(name)) for name in ("bos", "eos", "pad")}
    if ids["eos"] is None:
        raise ModelError(
            f"{where}: neither generation_config.json nor the tokenizer names an end token (eos_token_id). Expected "
            "the files of a chat model; download them again."
        )
    ends = [int(each) for each in (ids["eos"] if isinstance(ids["eos"], list) else [ids["eos"]])]
    model.generation_config = transformers.GenerationConfig(
        bos_token_id=ids["bos"],
        eos_token_id=ends,
        pad_token_id=ends[0] if ids["pad"] is None else ids["pad"],
        do_sample=False,
        num_beams=1,
    )
    other = [f"{name} {asked[name]}" for name, value in _GREEDY.items() if asked.get(name) not in (None, value)]
    remarks = [f"generation_config.json asks for {', '.join(other)}; answers are decoded greedily"] if other else []
    return ends, remarks


def read_replies(tokens: Tensor, ends: Sequence[int], decode: Callable[[list[int]], str]) -> list[Reply]:
    """Turn new tokens into replies.

    Args:
        tokens: int64 [B, M], without the prompt; after its end token a row holds padding.
        ends: ids of end tokens.
        decode: ids to text, special tokens left out.
    """
    replies = []
    for row in tokens.tolist():
        length = next((place for place, token in enumerate(row) if token in ends), None)
        kept = row if length is None else row[:length]
        replies.append(Reply(decode(kept).strip(), len(row) if length is None else length + 1, length is None))
    return replies


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
