"""The declared generative models; part of :mod:`fgbench.adapters.catalog`, and as light."""

from __future__ import annotations

from pathlib import Path

from fgbench.models import Family, ModelSpec

from .headers import read_config

_FRAMES = "vicuna_v1, short, vlmevalkit"
_DTYPE = {"dtype": "precision of the weights: fp32 (default), bf16, fp16"}
_REVISION = {"revision": "commit, branch or tag on the hub"}
ONLY_MINI = "trained on the procedural world of the miniature suite; says nothing about real pictures"
_NOT_THE_ROW = "the released model; that the paper's row with CLIP is this one is inferred from its numbers, not stated"


def _chats_about_pictures(path: Path) -> bool:
    config = read_config(path)
    architectures = config.get("architectures")
    named = isinstance(architectures, list) and any(
        str(name).endswith("ForConditionalGeneration") for name in architectures
    )
    return named and isinstance(config.get("vision_config"), dict)


LLAVA_NAFLEX = Family(
    scheme="llava-naflex",
    title="LLaVA with FG-CLIP 2 or SigLIP 2 NaFlex as its vision tower, native: hub id or folder",
    factory="fgbench.adapters.llava_naflex:load",
    example="llava-naflex:my-llava",
    kind="chat model",
    options={
        "frame": f"chat frame instead of the checkpoint's: {_FRAMES}",
        "budget": "patches per image instead of the checkpoint's",
        **_DTYPE,
        **_REVISION,
    },
    accepts=lambda path: read_config(path).get("model_type") == "llava_naflex",
)

HF_LMM = Family(
    scheme="hf-lmm",
    title="chat models that see pictures, through transformers (LLaVA-1.5 and others): hub id or folder",
    factory="fgbench.adapters.hf_lmm:load",
    example="hf-lmm:llava-hf/llava-1.5-7b-hf",
    kind="chat model",
    options={
        "frame": f"chat frame: {_FRAMES}, or hf, the checkpoint's template (default for others than LLaVA-1.5)",
        **_DTYPE,
        **_REVISION,
    },
    models=tuple(
        ModelSpec(
            id=f"llava-1.5-{size}",
            title=f"LLaVA-1.5 {size.upper()}, CLIP ViT-L/14, 336 pixels",
            target=f"llava-hf/llava-1.5-{size}-hf",
            licence="Llama 2 Community License (the hub card was not checked)",
            paper=paper,
            note=note,
        )
        for size, paper, note in (("7b", ("LLaVA-1.5 + CLIP", "CLIP"), _NOT_THE_ROW), ("13b", None, ""))
    ),
    accepts=_chats_about_pictures,
)

BUNDLED_CHAT = Family(
    scheme="bundled-chat",
    title="Small chat models that come with fgbench, trained on the world of the miniature suite",
    factory="fgbench.adapters.llava_naflex:bundled",
    example="bundled-chat:llava-tiny",
    kind="chat model",
    models=(
        ModelSpec(
            id="llava-tiny",
            title="LLaVA on fgclip2-tiny's vision tower, 1.6 million parameters",
            target="llava-tiny",
            licence="Apache-2.0",
            languages=("en", "zh"),
            note=ONLY_MINI,
        ),
    ),
)

UNTRAINED_CHAT = Family(
    scheme="untrained-chat",
    title="A small chat model with random weights: the chance level",
    factory="fgbench.adapters.llava_naflex:untrained",
    example="untrained-chat:llava",
    kind="chat model",
    options={"seed": "seed of the random weights (default 0)"},
    models=(
        ModelSpec(
            id="llava-untrained",
            title="LLaVA-NaFlex architecture, small, random weights",
            target="llava",
            licence="none needed (no trained weights)",
            languages=("en", "zh"),
        ),
    ),
)

GENERATORS = (LLAVA_NAFLEX, HF_LMM, BUNDLED_CHAT, UNTRAINED_CHAT)
