"""CLIP's relatives in transformers: Chinese-CLIP, Meta CLIP 2 and AltCLIP.

Their vision towers are CLIP's. What differs is the text tower: its tokens, how many, and whether it must be told what
is padding. Source of each treatment: the evaluation code or the model class named beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor, nn

from fgbench.adapter import Adapter, AdapterInfo, ImageFeatures, Preprocessor, TextFeatures
from fgbench.errors import ModelError, UsageError
from fgbench.requests import TextKind

from .checkpoint import Checkpoint, fetch, file_digests, read_json
from .clip_like import for_every_kind
from .hf_adapter import HfAdapter, Parts
from .hf_files import load_model, load_tokenizer
from .hf_pictures import fixed_preprocessor
from .hf_text import TextTokens
from .squash import CLIP_MEAN, CLIP_STD, ClipPixels, SquashPreprocessor
from .value_path import clip_value_path

_PROBE = "a"
_VALUES = (("image_mean", CLIP_MEAN), ("image_std", CLIP_STD))
_QUOTES = str.maketrans({"“": '"', "”": '"'})


@dataclass(frozen=True)
class Relative:
    """One kind of model.

    Attributes:
        model: class in transformers.
        languages: BCP 47 tags.
        length: tokens per text, specials included; None for as many as there are positions.
        offset: positions that no token can have: RoBERTa counts from behind the id of its padding.
        mask: does the text tower have to be told what is padding?
        end: is the vector read at the end token? Otherwise at the first token.
        chinese: the text preparation of Chinese-CLIP's evaluation.
        view: ``squash`` in spite of the checkpoint's image processor, or ``own``.
        notes: remarks for the reader of a result.
    """

    model: str
    languages: tuple[str, ...]
    length: int | None = None
    offset: int = 0
    mask: bool = True
    end: bool = False
    chinese: bool = False
    view: Literal["own", "squash"] = "own"
    notes: tuple[str, ...] = ()


KINDS = {
    # OFA-Sys/Chinese-CLIP: cn_clip/clip/utils.py (52 tokens, lower case, quotes) and image_transform (squash, bicubic).
    "chinese_clip": Relative(
        "ChineseCLIPModel",
        ("zh",),
        length=52,
        chinese=True,
        view="squash",
    ),
    # Causal, read at the first end token, which is 2; transformers' MetaClip2TextModel.
    "metaclip_2": Relative("MetaClip2Model", ("en", "zh"), mask=False, end=True),
    # XLM-R, read at its first token; positions 0 and 1 are never used.
    "altclip": Relative(
        "AltCLIPModel", ("en", "zh"), length=77, offset=2, notes=("the text length of 77 tokens is inferred",)
    ),
}
"""By ``model_type`` in ``config.json``."""


def load(target: str, *, text_length: str | int | None = None, revision: str | None = None) -> Adapter:
    """Load a checkpoint of one of :data:`KINDS`.

    Args:
        target: hub id or folder.
        text_length: tokens per text in place of the usual number.
        revision: commit, branch or tag on the hub.

    Raises:
        UsageError: no such model, another kind of model, options that do not fit.
        ModelError: a checkpoint that is incomplete, damaged, or not what its configuration says.
    """
    return load_fetched(target, fetch(target, revision), text_length=text_length)


def load_fetched(target: str, checkpoint: Checkpoint, *, text_length: str | int | None = None) -> Adapter:
    """As :func:`load`, from a checkpoint that is on disk."""
    kind = read_json(checkpoint.folder, "config.json").get("model_type")
    if kind not in KINDS:
        raise UsageError(f"{target} is a model of type {kind!r}; expected {', '.join(map(repr, KINDS))}.")
    relative = KINDS[kind]
    loaded = load_model(relative.model, checkpoint)
    model = loaded.model
    dim, vision = int(model.config.projection_dim), model.config.vision_config
    tokens = _tokens(relative, checkpoint, model.config.text_config, text_length)
    preprocessor, preprocess, pixels = _pictures(relative, checkpoint, int(vision.image_size))
    model.add_module("fgbench_pixels", pixels)  # a part of the module, so that it moves to the device with it
    path = clip_value_path(model)

    def pool(values: Tensor) -> Tensor:
        vectors: Tensor = model.get_image_features(pixel_values=values).pooler_output
        return vectors

    def encode(batch: Mapping[str, Tensor], dense: bool) -> ImageFeatures:
        values = pixels(batch["pixels"])
        return path.run(pool, values) if dense else ImageFeatures(pool(values))

    vocabulary = ("vocab.txt",) if (checkpoint.folder / "vocab.txt").is_file() else ()
    info = AdapterInfo(
        name=target,
        family=kind,
        source=target,
        revision=checkpoint.revision,
        dim=dim,
        languages=relative.languages,
        text_length=for_every_kind(tokens.length),
        text_path=for_every_kind("text"),
        preprocess=preprocess,
        window=int(vision.image_size),
        dense="value path",
        region_default="crop",
        settings={
            "activation": str(vision.hidden_act),
            "transformers": loaded.version,
            "lowercase": "adapter" if tokens.lowercase else "tokenizer",
            "text_padding": "to the longest of a batch" + (", masked" if relative.mask else ""),
            "literal_special_tokens": "read as text",
        },
        files=file_digests(checkpoint.folder, (*loaded.files, *vocabulary)),
        notes=(*loaded.notes, *relative.notes),
    )
    parts = Parts(loaded, preprocessor, tokens, encode, dim, "value path", preprocess, {})
    return RelativeAdapter(info, parts, mask=relative.mask)


class RelativeAdapter(HfAdapter):
    """A model whose text tower may have to be told which tokens are padding."""

    def __init__(self, info: AdapterInfo, parts: Parts, *, mask: bool) -> None:
        super().__init__(info, parts)
        self._mask = mask

    def encode_texts(self, texts: Sequence[str], kind: TextKind) -> TextFeatures:
        """Encode texts; all kinds share one path."""
        if not texts:
            return TextFeatures(torch.zeros(0, self.info.dim), [])
        ids, truncated = self._tokens(texts)
        # The tokenizer gives the pad token for padding only.
        inputs = {"input_ids": ids} | ({"attention_mask": (ids != self._tokens.fill).long()} if self._mask else {})
        device = next(self.module.parameters()).device
        output = self._model.get_text_features(**{name: value.to(device) for name, value in inputs.items()})
        return TextFeatures(output.pooler_output, truncated)


@dataclass(frozen=True)
class _Tokens(TextTokens):
    """Text treatment that also straightens quotation marks (Chinese-CLIP), and breaks up the names of special tokens.

    The Unigram tokenizers of XLM-R find those names among their ordinary pieces, whatever transformers is told. A space
    behind the first character is enough to be read as text.
    """

    straighten: bool = False

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, list[bool]]:
        specials = re.compile("|".join(map(re.escape, self.tokenizer.all_special_tokens)))
        texts = [specials.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text) for text in texts]
        return super().__call__([text.translate(_QUOTES) for text in texts] if self.straighten else texts)


def _tokens(relative: Relative, checkpoint: Checkpoint, config: Any, option: str | int | None) -> TextTokens:
    tokenizer = load_tokenizer(checkpoint.folder)
    most = int(config.max_position_embeddings) - relative.offset
    length = _parse_length(option, most) or min(relative.length or most, most)
    # Padding of causal towers is irrelevant; others need a token that texts cannot contain.
    fill = tokenizer.pad_token_id
    tokens = _Tokens(
        tokenizer,
        length,
        -1 if fill is None else int(fill),
        int(config.vocab_size),
        fixed=False,
        lowercase=relative.chinese,
        straighten=relative.chinese,
    )
    ids = tokens([_PROBE])[0][0].tolist()
    end = config.eos_token_id if relative.end else tokenizer.sep_token_id
    if fill is None or fill in ids or end not in ids or ids.index(end) != len(ids) - 1:
        raise ModelError(
            f"{checkpoint.folder}: the tokenizer turns {_PROBE!r} into {ids} and pads with {fill}; expected the end "
            f"token {end} at the end only, and a pad token that is no part of a text. Download the checkpoint again."
        )
    return tokens


def _parse_length(option: str | int | None, most: int) -> int | None:
    if option is None:
        return None
    text = str(option)
    if not (text.isascii() and text.isdigit() and 3 <= int(text) <= most):
        raise UsageError(f"Model option text_length={text}: expected a number of tokens from 3 to {most}.")
    return int(text)


def _pictures(relative: Relative, checkpoint: Checkpoint, size: int) -> tuple[Preprocessor, str, nn.Module]:
    """Picture treatment, its description, and what turns its tensors into the model's input."""
    if relative.view == "own":
        own = fixed_preprocessor(checkpoint.folder, size)
        return own, f"{own.describe()}; dense squash-{size}", nn.Identity()
    name = "preprocessor_config.json"
    asked = read_json(checkpoint.folder, name) if (checkpoint.folder / name).exists() else {}
    try:
        mean, std = (tuple(map(float, asked.get(key, usual))) for key, usual in _VALUES)
        if not (len(mean) == len(std) == 3 and min(std) > 0):
            raise ValueError(f"image_mean {mean}, image_std {std}; expected three numbers each")
        squash = SquashPreprocessor(size, Image.Resampling(asked.get("resample", Image.Resampling.BICUBIC)))
        pixels = ClipPixels(mean, std)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{checkpoint.folder / name}: unusable values ({error}). Download it again.") from error
    return squash, squash.describe(mean, std), pixels
