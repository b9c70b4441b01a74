"""An open_clip module whose weights came from another project's file, as an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import open_clip
from open_clip.tokenizer import SimpleTokenizer

from fgbench.adapter import AdapterInfo
from fgbench.errors import ModelError

from .checkpoint import file_digests
from .clip_like import for_every_kind
from .openclip import OpenClipAdapter, OpenClipPreprocessor, OpenClipTokens
from .torch_files import WeightsFile
from .value_path import open_clip_value_path


def assemble(
    model: Any,
    file: WeightsFile,
    *,
    family: str,
    dim: int,
    picture: Mapping[str, Any],
    length: int,
    dense_pooling: Literal["raw", "token-normalised"] = "raw",
    settings: Mapping[str, str | int | float | bool] | None = None,
    notes: tuple[str, ...] = (),
) -> OpenClipAdapter:
    """Put an adapter together.

    Args:
        model: open_clip's module with its weights: a vision transformer with a class token, and CLIP's text tower.
        file: where the weights came from.
        family: of the adapter.
        dim: D, size of the joint space.
        picture: size, mean, std, interpolation and resize mode, as in open_clip's ``preprocess_cfg``.
        length: tokens per text.
        dense_pooling: how regions are pooled from the dense features.
        settings: what else changes the numbers.
        notes: remarks for the reader of a result.

    Raises:
        ModelError: the vision tower has no value path.
    """
    path = open_clip_value_path(model.visual)
    if path is None:
        raise ModelError(f"{file.path}: this vision tower has no value path; expected one with a class token.")
    preprocessor = OpenClipPreprocessor.from_config(picture)
    views = dict.fromkeys((preprocessor.global_view, preprocessor.dense_view))
    info = AdapterInfo(
        name=file.path.stem,
        family=family,
        source=file.path.name,
        revision=file.revision,
        dim=dim,
        text_length=for_every_kind(length),
        text_path=for_every_kind("text"),
        window=int(picture["size"]),
        preprocess=(
            f"open_clip: {', dense '.join(views)}, {picture['interpolation']}, mean {tuple(picture['mean'])}, "
            f"std {tuple(picture['std'])}"
        ),
        dense="value path",
        dense_pooling=dense_pooling,
        region_default="roi",
        settings={
            "open_clip": open_clip.__version__,
            "logit_scale": model.logit_scale.item(),
            "literal_special_tokens": "read as text",
            **(settings or {}),
        },
        files=file_digests(file.path.parent, (file.path.name,)),
        notes=notes,
    )
    tokens = OpenClipTokens(SimpleTokenizer(context_length=length))
    return OpenClipAdapter(info, model.float().eval(), preprocessor, tokens, path)
