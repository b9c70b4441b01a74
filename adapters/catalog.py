"""The built-in model families and the models they declare: data, imported by ``fgbench list models`` without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fgbench.models import Family, ModelSpec


def _config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """The folder's configuration file, or an empty one: only used to recognise what kind of model a folder holds."""
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


_BUDGET = {"budget": "patches per image (128, 256, 576, 784, 1024) instead of the dynamic rule"}

FGCLIP2 = Family(
    scheme="fgclip2-hub",
    title="FG-CLIP 2, native (no remote code): hub id or folder",
    factory="fgbench.adapters.fgclip2:load",
    example="fgclip2-hub:qihoo360/fg-clip2-base",
    options={**_BUDGET, "revision": "commit, branch or tag on the hub"},
    models=tuple(
        ModelSpec(
            id=alias,
            title=f"FG-CLIP 2 {backbone}",
            target=f"qihoo360/fg-clip2-{size}",
            licence="Apache-2.0 (code repository; the hub card was not checked)",
            languages=("en", "zh"),
            paper=("FG-CLIP 2", backbone),
            aliases=aliases,
        )
        for alias, size, backbone, aliases in (
            ("fgclip2", "base", "ViT-B/16", ("fgclip2-base",)),
            ("fgclip2-large", "large", "ViT-L/16", ()),
            ("fgclip2-so400m", "so400m", "ViT-So/16", ()),
        )
    ),
    accepts=lambda path: _config(path).get("model_type") == "fgclip2",
)

UNTRAINED = Family(
    scheme="untrained",
    title="Small models with random weights: the chance level, and a way to try the suite without weights",
    factory="fgbench.adapters.fgclip2:untrained",
    example="untrained:fgclip2",
    options={"seed": "seed of the random weights (default 0)"},
    models=(
        ModelSpec(
            id="fgclip2-untrained",
            title="FG-CLIP 2 architecture, small, random weights",
            target="fgclip2",
            licence="none needed (no trained weights)",
            languages=("en", "zh"),
        ),
    ),
)

OPENCLIP = Family(
    scheme="openclip",
    title="any open_clip model: <model>/<pretrained tag or file>; without a tag the weights are random",
    factory="fgbench.adapters.openclip:load",
    example="openclip:ViT-B-16/openai",
    accepts=lambda path: (path / "open_clip_config.json").is_file(),
)

HF = Family(
    scheme="hf",
    title="transformers CLIP, SigLIP and SigLIP 2 (fixed and NaFlex): hub id or folder",
    factory="fgbench.adapters.hf:load",
    example="hf:google/siglip2-base-patch16-naflex",
    options={**_BUDGET, "revision": "commit, branch or tag on the hub"},
    accepts=lambda path: _config(path).get("model_type") in {"clip", "siglip", "siglip2"},
)

FAMILIES = (FGCLIP2, UNTRAINED, OPENCLIP, HF)
