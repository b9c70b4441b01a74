"""The built-in detectors: data, imported without torch. The first family is meant by a bare hub id."""

from __future__ import annotations

from fgbench.models import Family, ModelSpec

from .headers import read_config

GROUNDING = Family(
    scheme="grounding",
    title="LLMDet and MM-Grounding-DINO through transformers: hub id or folder",
    factory="fgbench.adapters.grounding:load",
    example="grounding:iSEE-Laboratory/llmdet_tiny",
    models=tuple(
        ModelSpec(
            id=f"llmdet-{size}",
            title=f"LLMDet {backbone}",
            target=f"iSEE-Laboratory/llmdet_{size}",
            licence="Apache-2.0",
        )
        for size, backbone in (("tiny", "Swin-T"), ("base", "Swin-B"), ("large", "Swin-L"))
    ),
    accepts=lambda path: read_config(path).get("model_type") == "mm-grounding-dino",
)

FAMILIES = (GROUNDING,)
