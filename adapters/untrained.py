"""Small models with random weights: the chance level of a task, and a way to try the suite without any weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, processors
from torch import Tensor, nn

from fgbench.errors import UsageError

_TABLES = ("token_embedding", "embed_tokens", "position_embedding", "probe")


def parse_seed(seed: str | int) -> int:
    """Check a seed.

    Raises:
        UsageError: no whole number from 0.
    """
    text = str(seed)
    if not (text.isascii() and text.isdigit() and int(text) < 2**63):
        raise UsageError(f"Model option seed={text}: expected a whole number from 0 to 2**63 - 1.")
    return int(text)


def random_weights(module: nn.Module, seed: int, fixed: Mapping[str, float]) -> dict[str, Tensor]:
    """Weights under which the inputs stay visible in the outputs: matrices keep the variance, norms are neutral.

    The same seed gives the same weights; torch's global random state is neither used nor changed.

    Args:
        module: any network; may lie on the meta device.
        seed: of the random numbers.
        fixed: value of single parameters by name.
    """
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, parameter in module.state_dict().items():
        if name in fixed:
            state[name] = torch.tensor([fixed[name]])
        elif name.endswith("bias"):
            state[name] = torch.zeros(parameter.shape)
        elif "norm" in name:
            state[name] = torch.ones(parameter.shape)
        else:
            scale = 1.0 if any(part in name for part in _TABLES) else parameter.shape[-1] ** -0.5
            state[name] = torch.randn(parameter.shape, generator=generator) * scale
    return state


def byte_tokenizer(specials: tuple[str, ...], template: str) -> Tokenizer:
    """A tokenizer that needs no training: each byte of a text is a token, after the special ones.

    Args:
        specials: special tokens, in the order of their ids; ``<unk>`` among them.
        template: what stands around a text, e.g. ``$A <eos>``.
    """
    entries = [*specials, *(f"<0x{byte:02X}>" for byte in range(256))]
    vocabulary = {entry: i for i, entry in enumerate(entries)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in specials])
    used: list[Any] = [(name, vocabulary[name]) for name in specials if name in template.split()]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=used)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer
