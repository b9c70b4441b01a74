"""CLIP, SigLIP and SigLIP 2 (fixed and NaFlex) checkpoints through transformers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch.nn.functional as F  # noqa: N812 - the name that the field uses
from torch import Tensor

from fgbench.adapter import Adapter, AdapterInfo, ImageFeatures
from fgbench.errors import ModelError, UsageError

from .checkpoint import Checkpoint, fetch, file_digests, read_json
from .clip_like import for_every_kind, languages
from .clip_relatives import KINDS, load_fetched
from .hf_adapter import HfAdapter, Parts
from .hf_files import load_model, load_tokenizer
from .hf_pictures import HfPreprocessor, fixed_preprocessor
from .hf_text import clip_tokens, siglip_tokens
from .naflex import PATCH, NaflexPixels, NaflexPreprocessor, parse_budget
from .value_path import clip_value_path, patch_grid


def load(target: str, *, budget: str | None = None, revision: str | None = None) -> Adapter:
    """Load a transformers checkpoint.

    Args:
        target: hub id, ``owner/name@revision``, or a folder.
        budget: patches per picture, for NaFlex models only; without it the dynamic rule holds.
        revision: commit, branch or tag on the hub.

    Raises:
        UsageError: no such model, a kind of model that is not supported, options that do not fit.
        ModelError: a checkpoint that is incomplete, damaged, or not what its configuration says.
    """
    if not Path(target).is_dir():
        target, at, named = target.partition("@")
        if at and revision is not None and named != revision:
            raise UsageError(f"{target}@{named} and revision={revision} name two revisions. Give one of them.")
        revision = named if at else revision
    checkpoint = fetch(target, revision)
    kind = read_json(checkpoint.folder, "config.json").get("model_type")
    if kind in KINDS and budget is None:
        return load_fetched(target, checkpoint)
    if kind not in _BUILDERS:
        raise UsageError(
            f"{target} is a model of type {kind!r}. The hf: family supports "
            f"{', '.join(map(repr, (*_BUILDERS, *KINDS)))}. FG-CLIP 2 has a family of its own: fgclip2-hub:{target}."
        )
    if kind != "siglip2" and budget is not None:
        raise UsageError(f"Model option budget={budget}: {target} ({kind}) has a fixed resolution; leave it out.")
    parts = _BUILDERS[kind](checkpoint, parse_budget(budget))
    text_config = parts.loaded.model.config.text_config
    info = AdapterInfo(
        name=target,
        family="hf",
        source=target,
        revision=checkpoint.revision,
        dim=parts.dim,
        languages=languages(int(text_config.vocab_size)),
        text_length=for_every_kind(parts.tokens.length),
        text_path=for_every_kind("text"),
        preprocess=parts.preprocess,
        window=parts.preprocessor.size if isinstance(parts.preprocessor, HfPreprocessor) else None,
        dense=parts.dense,
        region_default="roi" if kind == "clip" else "crop",
        settings={
            **parts.settings,
            "transformers": parts.loaded.version,
            "lowercase": "adapter" if parts.tokens.lowercase else "tokenizer",
            "text_padding": "to the full length" if parts.tokens.fixed else "to the longest of a batch",
            "literal_special_tokens": "read as text",
        },
        files=file_digests(checkpoint.folder, parts.loaded.files),
        notes=(*parts.loaded.notes, *parts.tokens.notes),
    )
    return HfAdapter(info, parts)


def _clip(checkpoint: Checkpoint, budget: int | None) -> Parts:
    loaded = load_model("CLIPModel", checkpoint)
    model, config = loaded.model, loaded.model.config
    path = clip_value_path(model)

    def pool(pixels: Tensor) -> Tensor:
        vectors: Tensor = model.get_image_features(pixel_values=pixels).pooler_output
        return vectors

    def encode(batch: Mapping[str, Tensor], dense: bool) -> ImageFeatures:
        return path.run(pool, batch["pixels"]) if dense else ImageFeatures(pool(batch["pixels"]))

    preprocessor = fixed_preprocessor(checkpoint.folder, config.vision_config.image_size)
    return Parts(
        loaded,
        preprocessor,
        clip_tokens(load_tokenizer(checkpoint.folder), config.text_config),
        encode,
        dim=int(config.projection_dim),
        dense="value path",
        preprocess=f"{preprocessor.describe()}; dense squash-{preprocessor.size}",
        settings={"activation": config.vision_config.hidden_act},
    )


def _siglip(checkpoint: Checkpoint, budget: int | None) -> Parts:
    loaded = load_model("SiglipModel", checkpoint)
    model, config = loaded.model, loaded.model.config
    dim, patch = _siglip_dim(model, checkpoint), config.vision_config.patch_size

    def encode(batch: Mapping[str, Tensor], dense: bool) -> ImageFeatures:
        output = model.get_image_features(pixel_values=batch["pixels"])
        if not dense:
            return ImageFeatures(output.pooler_output)
        tokens = map_value(model.vision_model.head, output.last_hidden_state)
        return ImageFeatures(output.pooler_output, tokens, patch_grid(batch["pixels"], tokens, (patch, patch)))

    preprocessor = fixed_preprocessor(checkpoint.folder, config.vision_config.image_size)
    tokens = siglip_tokens(load_tokenizer(checkpoint.folder), config.text_config)
    return Parts(loaded, preprocessor, tokens, encode, dim, "map-value", preprocessor.describe(), {})


def _naflex(checkpoint: Checkpoint, budget: int | None) -> Parts:
    loaded = load_model("Siglip2Model", checkpoint)
    model, vision = loaded.model, loaded.model.config.vision_config
    if vision.patch_size != PATCH:
        raise ModelError(
            f"{checkpoint.folder / 'config.json'}: patch_size is {vision.patch_size}; expected {PATCH}, as in every "
            "published NaFlex model."
        )
    loaded = replace(loaded, notes=(*loaded.notes, *_other_treatment(checkpoint)))
    dim = _siglip_dim(model, checkpoint)
    model.add_module("fgbench_pixels", NaflexPixels())  # a part of the module, so that it moves to the device with it

    def encode(batch: Mapping[str, Tensor], dense: bool) -> ImageFeatures:
        pixels, real = model.fgbench_pixels(batch["patches"], batch["shape"])
        there = batch["shape"].to(pixels.device, non_blocking=True)  # transformers computes with it
        output = model.get_image_features(pixel_values=pixels, pixel_attention_mask=real.int(), spatial_shapes=there)
        if not dense:
            return ImageFeatures(output.pooler_output)
        tokens = map_value(model.vision_model.head, output.last_hidden_state)
        return ImageFeatures(output.pooler_output, tokens, batch["shape"])

    rule = f"budget {budget}" if budget else "dynamic budget"
    return Parts(
        loaded,
        NaflexPreprocessor(budget),
        siglip_tokens(load_tokenizer(checkpoint.folder), loaded.model.config.text_config),
        encode,
        dim,
        dense="map-value",
        preprocess=f"NaFlex, {rule} unless the protocol sets one, patch {PATCH}, bilinear, mean = std = 0.5",
        settings={"budget": budget or "dynamic"},
    )


def _other_treatment(checkpoint: Checkpoint) -> tuple[str, ...]:
    """A remark if the checkpoint asks for another picture treatment than the one published for NaFlex models."""
    if not (checkpoint.folder / "preprocessor_config.json").exists():
        return ()
    asked = read_json(checkpoint.folder, "preprocessor_config.json")
    used = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "patch_size": PATCH, "resample": 2}
    other = [f"{key} {asked[key]} (used: {value})" for key, value in used.items() if asked.get(key, value) != value]
    return (f"preprocessor_config.json says {', '.join(other)}",) if other else ()


def map_value(head: Any, states: Tensor) -> Tensor:
    """Dense features of SigLIP: what the attention pooling head would make of each token, were it alone.

    Over a single token the attention is 1 whatever the probe, so a = out_proj(v_proj(h)), then a + MLP(LayerNorm(a)).
    These vectors are in the text space by construction. A choice of this suite, without a published reference: the
    authors of SigLIP 2 evaluate regions by cropping.

    Args:
        head: transformers' pooling head.
        states: [B, N, D], after the final norm.

    Returns:
        [B, N, D].
    """
    attention = head.attention
    value = F.linear(states, attention.in_proj_weight.chunk(3)[2], attention.in_proj_bias.chunk(3)[2])
    mixed = attention.out_proj(value)
    output: Tensor = mixed + head.mlp(head.layernorm(mixed))
    return output


def _siglip_dim(model: Any, checkpoint: Checkpoint) -> int:
    image, text = model.config.vision_config.hidden_size, model.text_model.head.out_features
    if image != text or not model.config.vision_config.vision_use_head:
        raise ModelError(
            f"{checkpoint.folder / 'config.json'}: image vectors have {image} dimensions, text vectors {text}, and "
            f"vision_use_head is {model.config.vision_config.vision_use_head}. Expected one size and a pooling head."
        )
    return int(image)


_BUILDERS: dict[Any, Callable[[Checkpoint, int | None], Parts]] = {"clip": _clip, "siglip": _siglip, "siglip2": _naflex}
