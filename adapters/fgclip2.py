"""FG-CLIP 2: from a checkpoint, or small with random weights.

Short texts (64 tokens), region texts ("box", 64) and long texts (196) have paths of their own; dense features come
from a head of their own. Pictures keep their aspect ratio and spend 128 to 1024 patches, by their size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from fgbench.adapter import AdapterInfo, ImageFeatures, TextFeatures
from fgbench.errors import ModelError, UsageError
from fgbench.requests import TextKind

from .bundled import load_bundled
from .checkpoint import fetch, file_digests, load_strict, read_json, read_state_dict, weight_files
from .fgclip2_model import FgClip2, FgClip2Config
from .naflex import BUDGETS, PATCH, NaflexPreprocessor, parse_budget
from .untrained import byte_tokenizer, parse_seed, random_weights

PAD, EOS, BOS = 0, 1, 2
"""Token ids of the Gemma tokenizer. Those in published config.json files are leftovers of another model."""

_TOKENIZER = "tokenizer.json"

_TOWER = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
_SPECIALS = ("<pad>", "<eos>", "<bos>", "<unk>")
_UNTRAINED = {
    "model_type": "fgclip2",
    "text_config": {**_TOWER, "vocab_size": len(_SPECIALS) + 256, "max_position_embeddings": 64},
    "vision_config": {**_TOWER, "num_patches": 64},
}
_LOGIT = {"logit_scale": math.log(10.0), "logit_bias": -10.0}  # where SigLIP's training starts (Zhai et al. 2023)


class FgClip2Adapter:
    """FG-CLIP 2 as the engine sees it (:class:`fgbench.adapter.Adapter`)."""

    def __init__(self, info: AdapterInfo, module: FgClip2, tokenizer: Tokenizer, budget: int | None) -> None:
        """Put the parts together.

        Args:
            info: the facts about the model.
            module: the network, with its weights.
            tokenizer: gives the tokens of a text; <eos> and padding are added here.
            budget: patches per picture in place of the dynamic rule.
        """
        self.info = info
        self.module = module
        self.preprocessor = NaflexPreprocessor(budget)
        self._tokenizer = tokenizer

    def encode_images(self, batch: Mapping[str, Tensor], *, dense: bool) -> ImageFeatures:
        """Embed pictures: ``patches`` uint8 [B, N, 768] and ``shape`` int64 [B, 2], as the preprocessor makes them."""
        shape = batch["shape"]
        pooled, tokens = self.module.image_features(batch["patches"], shape, dense=dense)
        if tokens is None:
            return ImageFeatures(pooled.float())
        return ImageFeatures(pooled.float(), tokens.float(), shape)

    def encode_texts(self, texts: Sequence[str], kind: TextKind) -> TextFeatures:
        """Embed texts, as they are: lower-casing belongs to a dataset's protocol, not to this model."""
        ids, truncated = self.tokenise(texts, kind)
        if not truncated:
            return TextFeatures(torch.zeros(0, self.info.dim), truncated)
        return TextFeatures(self.module.text_features(ids.to(self.module.logit_scale.device), kind).float(), truncated)

    def tokenise(self, texts: Sequence[str], kind: TextKind) -> tuple[Tensor, list[bool]]:
        """Turn texts into token ids: the tokens, <eos>, then padding up to the length of this kind.

        Tokens that do not fit before <eos> are cut off. The names of special tokens inside a text become those
        tokens, as in the tokenizers of transformers.

        Returns:
            int64 [n, L], and for each text whether it was cut.

        Raises:
            ModelError: the tokenizer has more entries than the model.
        """
        length = self.info.text_length[kind]
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
        rows = [[*ids[: length - 1], EOS] for ids in tokens]
        ids = torch.tensor([row + [PAD] * (length - len(row)) for row in rows], dtype=torch.int64).view(-1, length)
        vocabulary = self.module.config.text.vocab_size
        if ids.numel() and int(ids.max()) >= vocabulary:
            raise ModelError(
                f"{self.info.source}: {_TOKENIZER} gave the token id {int(ids.max())}, but config.json has vocab_size "
                f"{vocabulary}. Expected files of one revision; download the model again."
            )
        return ids, [len(row) >= length for row in tokens]


def load(target: str, *, budget: str | int | None = None, revision: str | None = None) -> FgClip2Adapter:
    """Load a published FG-CLIP 2.

    Args:
        target: hub id or folder; needs ``config.json``, ``tokenizer.json`` and safetensors weights.
        budget: patches per picture in place of the dynamic rule; protocols that fix a budget keep theirs.
        revision: commit, branch or tag on the hub.

    Raises:
        UsageError: no such model, or an option that cannot be.
        ModelError: files that are missing, damaged, or do not fit each other.
    """
    patches = parse_budget(budget)
    folder, commit = fetch(target, revision)
    config = FgClip2Config.from_dict(read_json(folder, "config.json"), str(folder / "config.json"))
    tokenizer = _read_tokenizer(folder)
    with torch.device("meta"):  # no time and no random numbers for weights that are replaced at once
        module = FgClip2(config)
    state = read_state_dict(folder)
    load_strict(module, state)
    precisions = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in state.values()})
    info = _info(
        module,
        patches,
        name=folder.resolve().name if commit is None else target.rpartition("/")[2],
        source=target,
        revision=commit,
        files=file_digests(folder, ("config.json", _TOKENIZER, *weight_files(folder))),
        settings={"weights_stored_as": ", ".join(precisions)},
    )
    return FgClip2Adapter(info, module, tokenizer, patches)


def bundled(target: str, *, budget: str | int | None = None) -> FgClip2Adapter:
    """Load one of the small models that come with fgbench; needs no network.

    Args:
        target: its name.
        budget: as in :func:`load`.

    Raises:
        UsageError: there is none of this name, or no such budget.
    """
    return load_bundled(target, load, budget=budget)


def untrained(target: str, *, seed: str | int = "0") -> FgClip2Adapter:
    """Build a small FG-CLIP 2 with random weights and a byte tokenizer; needs no files and no network.

    The same seed gives the same weights; torch's global random state is neither used nor changed.

    Args:
        target: architecture; ``fgclip2``.
        seed: whole number.

    Raises:
        UsageError: another architecture, or a seed that is no number.
    """
    if target != "fgclip2":
        raise UsageError(f"There is no untrained {target!r}. Expected untrained:fgclip2.")
    number = parse_seed(seed)
    with torch.device("meta"):
        module = FgClip2(FgClip2Config.from_dict(_UNTRAINED, "the untrained model"))
    load_strict(module, random_weights(module, number, _LOGIT))
    info = _info(
        module,
        None,
        name="fgclip2-untrained",
        source=f"random weights, seed {number}",
        settings={"seed": number},
        notes=("the weights are random, not trained",),
    )
    return FgClip2Adapter(info, module, byte_tokenizer(_SPECIALS, "$A <eos>"), None)


def _info(module: FgClip2, budget: int | None, *, settings: Mapping[str, str | int], **facts: Any) -> AdapterInfo:
    """What is true of every FG-CLIP 2, and the ``facts`` of this one."""
    config = module.config
    rule = f"at most {budget}" if budget else f"at most {BUDGETS[0]} to {BUDGETS[-1]} (dynamic)"
    return AdapterInfo(
        family="fgclip2",
        dim=config.dim,
        languages=("en", "zh"),
        text_length=config.text_length,
        text_path={"short": "short", "box": "box", "long": "long"},
        preprocess=f"NaFlex: {rule} patches of {PATCH}x{PATCH}, Pillow bilinear on 8 bits, mean and std 0.5",
        dense="dense head",
        dense_pooling="raw",
        region_default="roi",
        settings={
            "budget": budget or "dynamic",
            "patch_size": PATCH,
            "position_table": int(config.vision.num_patches),
            "keep_len": config.keep_len,
            "logit_scale": module.logit_scale.item(),
            "logit_bias": module.logit_bias.item(),
            "attention": "sdpa",
            **settings,
        },
        **facts,
    )


def _read_tokenizer(folder: Path) -> Tokenizer:
    """Read ``tokenizer.json`` and make sure that it is one of this model's kind.

    Transformers' classes are passed by: what they do to a text depends on their version and on other files.
    """
    path = folder / _TOKENIZER
    if not path.is_file():
        raise ModelError(f"{folder}: there is no {_TOKENIZER}. Expected a complete model folder; download it again.")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more specific
        raise ModelError(f"{path}: expected a tokenizer, but {error}. Download it again.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = tokenizer.encode("a").ids
    if ids[-1:] != [EOS] or ids[:1] == [BOS]:
        raise ModelError(
            f"{path}: 'a' became the token ids {ids}; expected no <bos> ({BOS}) at the start and <eos> ({EOS}) at the "
            "end. This is not the tokenizer that the model was trained with; download the model's own."
        )
    return tokenizer
