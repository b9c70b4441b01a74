"""The declared models of the CLIP family; part of :mod:`fgbench.adapters.catalog`, and as light."""

from __future__ import annotations

from pathlib import Path

from fgbench.models import Family, ModelSpec

from .headers import names_all, read_config

_REVISION = {"revision": "commit, branch or tag on the hub"}
_EVA_TENSOR = "visual.blocks.0.attn.inner_attn_ln.weight"
_NOT_FOUND = "the licence of the weights was not found"

_336 = (
    "the paper's ViT-L/14 rows are 336-pixel models: its ImageNet numbers are those published for {}, not those of "
    "the 224-pixel model"
)
_CLIP_REGIONS = "that the paper pools regions from the value path is inferred from its numbers"
_META_NOTE = "the paper states neither whether its row is the 224 or the 378 pixel model, nor how it treats regions"
_EVA_REGIONS = "region pooling as in CLIPSelf is inferred; the paper does not state it"


def _eva_file(path: Path) -> bool:
    return path.is_file() and names_all(path, _EVA_TENSOR)


OPENCLIP = Family(
    scheme="openclip",
    title="any open_clip model: <model>/<pretrained tag or file>; without a tag the weights are random",
    factory="fgbench.adapters.openclip:load",
    example="openclip:ViT-B-16/openai",
    models=tuple(
        ModelSpec(
            id=f"clip-{name}",
            title=f"CLIP {title}",
            target=target,
            licence="MIT",
            paper=("CLIP", paper) if paper else None,
            note=note,
        )
        for name, title, target, paper, note in (
            ("b16", "ViT-B/16", "ViT-B-16-quickgelu/openai", "ViT-B/16", _CLIP_REGIONS),
            ("l14", "ViT-L/14", "ViT-L-14-quickgelu/openai", None, ""),
            (
                "l14-336",
                "ViT-L/14, 336 pixels",
                "ViT-L-14-336-quickgelu/openai",
                "ViT-L/14",
                f"{_336.format('ViT-L-14-336')}; {_CLIP_REGIONS}",
            ),
        )
    ),
    accepts=lambda path: (path / "open_clip_config.json").is_file(),
)

EVACLIP = Family(
    scheme="evaclip",
    title="EVA-CLIP (EVA02): open_clip's <model>/<tag>, or a weights file in EVA-CLIP's own format",
    factory="fgbench.adapters.fineclip:load_evaclip",
    example="evaclip:EVA02-B-16/merged2b_s8b_b131k",
    options=_REVISION,
    models=tuple(
        ModelSpec(
            id=f"evaclip-{name}",
            title=f"EVA-CLIP {title}",
            target=target,
            licence="MIT",
            paper=("EVA-CLIP", paper) if paper else None,
            note=note,
        )
        for name, title, target, paper, note in (
            ("b16", "ViT-B/16", "EVA02-B-16/merged2b_s8b_b131k", "ViT-B/16", _EVA_REGIONS),
            ("l14", "ViT-L/14", "EVA02-L-14/merged2b_s4b_b131k", None, _EVA_REGIONS),
            (
                "l14-336",
                "ViT-L/14, 336 pixels",
                "EVA02-L-14-336/merged2b_s6b_b61k",
                "ViT-L/14",
                f"{_336.format('EVA02-L-14-336')}; {_EVA_REGIONS}",
            ),
        )
    ),
    # FineCLIP's files have the same tensors and another picture treatment; only the name tells them apart.
    accepts=lambda path: _eva_file(path) and "fineclip" not in path.name.lower(),
)

LONGCLIP = Family(
    scheme="longclip",
    title="Long-CLIP: weights file, or <owner>/<name>/<file> on the hub",
    factory="fgbench.adapters.longclip:load",
    example="longclip:BeichenZhang/LongCLIP-B/longclip-B.pt",
    options=_REVISION,
    models=tuple(
        ModelSpec(
            id=f"longclip-{name}",
            title=f"Long-CLIP {backbone}",
            target=f"BeichenZhang/LongCLIP-{size}/longclip-{size}.pt",
            licence=f"Apache-2.0 (code repository; {_NOT_FOUND})",
            paper=("Long-CLIP", backbone),
            note=_CLIP_REGIONS,
        )
        for name, size, backbone in (("b16", "B", "ViT-B/16"), ("l14", "L", "ViT-L/14"))
    ),
    accepts=lambda path: path.is_file() and names_all(path, "positional_embedding_res", "visual.conv1.weight"),
)

FINECLIP = Family(
    scheme="fineclip",
    title="FineCLIP: weights file, downloaded by hand (Google Drive only)",
    factory="fgbench.adapters.fineclip:load",
    example="fineclip:FineCLIP_coco_vitb16.pt",
    models=tuple(
        ModelSpec(
            id=f"fineclip-{name}",
            title=f"FineCLIP {backbone}, {pixels} pixels; weights to be downloaded by hand",
            target=f"FineCLIP_coco_vit{name}.pt",
            licence="CC BY-NC-ND 4.0",
            paper=("FineCLIP", backbone),
            note="fine-tuned on MSCOCO, so its numbers on MSCOCO are not zero-shot",
        )
        for name, backbone, pixels in (("b16", "ViT-B/16", 224), ("l14", "ViT-L/14", 336))
    ),
    accepts=lambda path: _eva_file(path) and "fineclip" in path.name.lower(),
)

METACLIP2 = Family(
    scheme="metaclip2",
    title="Meta CLIP 2 through transformers: hub id or folder",
    factory="fgbench.adapters.clip_relatives:load",
    example="metaclip2:facebook/metaclip-2-worldwide-huge-quickgelu",
    options={"text_length": "tokens per text (default 77)", **_REVISION},
    models=tuple(
        ModelSpec(
            id=alias,
            title=f"Meta CLIP 2 ViT-H/14, {pixels} pixels",
            target=f"facebook/metaclip-2-worldwide-huge-{name}",
            licence="CC BY-NC 4.0",
            languages=("en", "zh"),
            paper=paper,
            note=_META_NOTE,
        )
        for alias, name, pixels, paper in (
            ("metaclip2-h14", "quickgelu", 224, ("Meta CLIP 2", "ViT-H/14")),
            ("metaclip2-h14-378", "378", 378, None),
        )
    ),
    accepts=lambda path: read_config(path).get("model_type") == "metaclip_2",
)

CHINESECLIP = Family(
    scheme="cnclip",
    title="Chinese-CLIP through transformers: hub id or folder",
    factory="fgbench.adapters.clip_relatives:load",
    example="cnclip:OFA-Sys/chinese-clip-vit-base-patch16",
    options={"text_length": "tokens per text (default 52, at most 512)", **_REVISION},
    models=tuple(
        ModelSpec(
            id=f"cnclip-{name}",
            title=f"Chinese-CLIP {backbone}",
            target=f"OFA-Sys/chinese-clip-vit-{size}",
            licence=f"MIT (code repository; {_NOT_FOUND})",
            languages=("zh",),
            paper=("Chinese-CLIP", backbone),
            note="52 tokens per text, its own default; the paper does not state the length for long captions",
        )
        for name, size, backbone in (
            ("b16", "base-patch16", "ViT-B/16"),
            ("l14", "large-patch14", "ViT-L/14"),
        )
    ),
    accepts=lambda path: read_config(path).get("model_type") == "chinese_clip",
)

R2D2 = Family(
    scheme="r2d2",
    title="R2D2 and PRD2, dual encoder: weights file, downloaded by hand (Google Drive only)",
    factory="fgbench.adapters.r2d2:load",
    example="r2d2:r2d2_pretrain_250m.pth",
    options={"vocab": "BERT vocabulary of the text tower (default: vocab.txt beside the weights)"},
    models=tuple(
        ModelSpec(
            id=f"r2d2-{name}",
            title=f"R2D2 {backbone}; {state}",
            target=target,
            licence=f"Apache-2.0 (code repository; {_NOT_FOUND})",
            languages=("zh",),
            paper=("R2D2", backbone),
            note="whether the paper re-ranks with the joint layers is unknown; here it is not done",
        )
        for name, backbone, target, state in (
            ("l14", "ViT-L/14", "r2d2_pretrain_250m.pth", "weights to be downloaded by hand"),
            ("b16", "ViT-B/16", "unpublished", "weights not public"),
        )
    ),
    accepts=lambda path: (
        path.is_file()
        and names_all(path, "visual_encoder.pre_layrnorm.weight", "text_encoder.embeddings.", "text_proj.weight")
    ),
)

ALTCLIP = Family(
    scheme="altclip",
    title="AltCLIP through transformers: hub id or folder",
    factory="fgbench.adapters.clip_relatives:load",
    example="altclip:BAAI/AltCLIP",
    options={"text_length": "tokens per text (default 77)", **_REVISION},
    accepts=lambda path: read_config(path).get("model_type") == "altclip",
)
