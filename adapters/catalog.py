"""The built-in model families and the models they declare: data, imported by ``fgbench list models`` without torch.

Paths are recognised in the order of ``FAMILIES``: an FG-CLIP 1 folder would also load as a plain CLIP, and be wrong.
"""

from __future__ import annotations

from pathlib import Path

from fgbench.models import Family, ModelSpec

from .catalog_clip import ALTCLIP, CHINESECLIP, EVACLIP, FINECLIP, LONGCLIP, METACLIP2, OPENCLIP, R2D2
from .catalog_generators import GENERATORS, ONLY_MINI
from .headers import names_all, read_config

_REVISION = {"revision": "commit, branch or tag on the hub"}
_BUDGET = {"budget": "patches per image (128, 256, 576, 784, 1024) instead of the dynamic rule"}
_FG_LICENCE = "Apache-2.0 (code repository; the hub card was not checked)"


def _is_fgclip1(path: Path) -> bool:
    return read_config(path).get("model_type") == "clip" and names_all(path, "text_filip_projection.weight")


FGCLIP2 = Family(
    scheme="fgclip2-hub",
    title="FG-CLIP 2, native (no remote code): hub id or folder",
    factory="fgbench.adapters.fgclip2:load",
    example="fgclip2-hub:qihoo360/fg-clip2-base",
    options={**_BUDGET, **_REVISION},
    models=tuple(
        ModelSpec(
            id=alias,
            title=f"FG-CLIP 2 {backbone}",
            target=f"qihoo360/fg-clip2-{size}",
            licence=_FG_LICENCE,
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
    accepts=lambda path: read_config(path).get("model_type") == "fgclip2",
)

BUNDLED = Family(
    scheme="bundled",
    title="Small models that come with fgbench, trained on the world of the miniature suite",
    factory="fgbench.adapters.fgclip2:bundled",
    example="bundled:fgclip2-tiny",
    options=_BUDGET,
    models=tuple(
        ModelSpec(
            id=name,
            title=title,
            target=name,
            licence="Apache-2.0",
            languages=("en", "zh"),
            note=ONLY_MINI,
            chat="llava-tiny",
        )
        for name, title in (
            ("fgclip2-tiny", "FG-CLIP 2 architecture, 1.6 million parameters"),
            ("fgclip2-tiny-early", "The same, from an early checkpoint: weaker"),
        )
    ),
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
            chat="llava-untrained",
            languages=("en", "zh"),
        ),
    ),
)

FGCLIP1 = Family(
    scheme="fgclip1",
    title="FG-CLIP 1, native (no remote code): hub id or folder",
    factory="fgbench.adapters.fgclip1:load",
    example="fgclip1:qihoo360/fg-clip-base",
    options=_REVISION,
    models=tuple(
        ModelSpec(
            id=f"fgclip-{size}",
            title=f"FG-CLIP {backbone}, {pixels} pixels",
            target=f"qihoo360/fg-clip-{size}",
            licence=_FG_LICENCE,
            paper=("FG-CLIP", backbone),
        )
        for size, backbone, pixels in (("base", "ViT-B/16", 224), ("large", "ViT-L/14", 336))
    ),
    accepts=_is_fgclip1,
)


def _siglip2(alias: str, name: str, title: str, paper: str | None = None, note: str = "", *also: str) -> ModelSpec:
    return ModelSpec(
        id=f"siglip2-{alias}",
        title=f"SigLIP 2 {title}",
        target=f"google/siglip2-{name}",
        licence="Apache-2.0",
        languages=("en", "zh"),
        paper=("SigLIP 2", paper) if paper else None,
        aliases=tuple(f"siglip2-{other}" for other in also),
        note=note,
    )


_NAFLEX_NOTE = "the patch budget of the paper's SigLIP 2 rows is inferred: the dynamic rule of the FG-CLIP 2 scripts"
_LARGE_NOTE = (
    "no NaFlex checkpoint of SigLIP 2 Large was published; 512 pixels are inferred from the paper's MSCOCO numbers"
)

HF = Family(
    scheme="hf",
    title="transformers CLIP, SigLIP and SigLIP 2 (fixed and NaFlex): hub id or folder",
    factory="fgbench.adapters.hf:load",
    example="hf:google/siglip2-base-patch16-naflex",
    options={**_BUDGET, **_REVISION},
    models=(
        _siglip2("base", "base-patch16-naflex", "ViT-B/16 NaFlex", "ViT-B/16", _NAFLEX_NOTE),
        _siglip2("large", "large-patch16-512", "ViT-L/16, 512 pixels", "ViT-L/16", _LARGE_NOTE, "large-512"),
        _siglip2("so400m", "so400m-patch16-naflex", "ViT-So/16 NaFlex", "ViT-So/16", _NAFLEX_NOTE),
        *(
            _siglip2(f"{size}-{pixels}", f"{size}-patch16-{pixels}", f"{backbone}, {pixels} pixels")
            for size, backbone, sides in (
                ("base", "ViT-B/16", (224, 256, 384, 512)),
                ("large", "ViT-L/16", (256, 384)),
                ("so400m", "ViT-So/16", (256, 384, 512)),
            )
            for pixels in sides
        ),
    ),
    accepts=lambda path: read_config(path).get("model_type") in {"clip", "siglip", "siglip2"},
)

FAMILIES = (
    FGCLIP2,
    FGCLIP1,
    BUNDLED,
    UNTRAINED,
    OPENCLIP,
    EVACLIP,
    LONGCLIP,
    FINECLIP,
    METACLIP2,
    CHINESECLIP,
    R2D2,
    ALTCLIP,
    *GENERATORS,
    HF,
)
