"""EVA-CLIP and FineCLIP: EVA02 vision towers under the names of their own repositories, and regions as in CLIPSelf.

Both projects name parameters alike, but not as open_clip does; renamed, their files load into open_clip's EVA02 models.
They differ in the picture treatment. Regions are pooled from tokens that are normalised one by one, as FineCLIP and
CLIPSelf (Wu et al., ICLR 2024) do.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import open_clip
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from torch import Tensor

from fgbench.adapter import Adapter
from fgbench.errors import UsageError

from .checkpoint import load_strict
from .openclip import create
from .openclip import load as load_open_clip
from .openclip_parts import assemble
from .openclip_source import Source
from .torch_files import SUFFIXES, Weights, WeightsFile, locate, read_tensors

RENAMED = (
    ("attn.inner_attn_ln.", "attn.norm."),
    ("attn.q_bias", "attn.q_proj.bias"),
    ("attn.v_bias", "attn.v_proj.bias"),
    ("mlp.ffn_ln.", "mlp.norm."),
    ("mlp.w1.", "mlp.fc1_g."),
    ("mlp.w2.", "mlp.fc1_x."),
    ("mlp.w3.", "mlp.fc2."),
)
"""Parts of names in the vision tower: as in the repositories of EVA-CLIP, CLIPSelf and FineCLIP, and as in timm."""

_COMPUTED = ("rope", "attn_mask")
"""Tables that some files hold and that the module computes itself."""

_TEXT_PARTS = ("transformer.", "token_embedding.", "positional_embedding", "ln_final.", "text_projection")
"""How names of the text tower begin where it has no prefix of its own."""

_CLIP_PICTURE = {"mean": OPENAI_DATASET_MEAN, "std": OPENAI_DATASET_STD}
_EVA_PICTURE = {**_CLIP_PICTURE, "interpolation": "bicubic", "resize_mode": "shortest"}
_FINE_PICTURE = {**_CLIP_PICTURE, "interpolation": "bilinear", "resize_mode": "squash"}

_EVA_ADVICE = (
    "Type evaclip:<file> for a file in EVA-CLIP's own format (they are in the hub's QuanSun/EVA-CLIP), or "
    "evaclip:<model>/<tag> for open_clip's copies, for example evaclip:EVA02-B-16/merged2b_s8b_b131k."
)
_EVA_NOTE = (
    "pictures are cropped as for EVA-CLIP; models made from it may want another treatment, and files do not say: for "
    "FineCLIP's weights type fineclip:<file>"
)
_FINE_ADVICE = (
    "FineCLIP's weights are only on Google Drive, so they cannot be fetched from here: download "
    "FineCLIP_coco_vitb16.pt or FineCLIP_coco_vitl14.pt through the links in the README of "
    "https://github.com/Timsty1/FineCLIP, then type fineclip:<file>; or use fineclip-b16 or fineclip-l14 in the folder "
    "that holds the file under this name."
)


def load_evaclip(target: str, *, revision: str | None = None) -> Adapter:
    """Load an EVA-CLIP.

    Args:
        target: weights file in EVA-CLIP's own format, ``owner/name/file`` on the hub, or open_clip's ``<model>/<tag>``.
        revision: commit, branch or tag on the hub; for ``owner/name/file`` only.

    Raises:
        UsageError: no such model or tag, or a revision of something that has none.
        ModelError: no such file, or one that is damaged, that would have to run code, or that holds another model.
    """
    if Path(target).exists() or Path(target).suffix in SUFFIXES:
        file = locate(target, _EVA_ADVICE, revision)
        return _from_file(file, "evaclip", "EVA-CLIP", _EVA_PICTURE, (_EVA_NOTE,))
    if revision is not None:
        raise UsageError(f"Model option revision={revision}: open_clip's tags have no revisions; leave it out.")
    adapter = load_open_clip(target)
    adapter.info = dataclasses.replace(adapter.info, family="evaclip", dense_pooling="token-normalised")
    return adapter


def load(target: str) -> Adapter:
    """Load a FineCLIP.

    Args:
        target: weights file; it may hold the optimiser's state too.

    Raises:
        ModelError: no such file, or one that is damaged, that would have to run code, or that holds another model.
    """
    file = locate(target, _FINE_ADVICE)
    return _from_file(file, "fineclip", "FineCLIP (EVA-CLIP's names)", _FINE_PICTURE)


def rename(name: str) -> str | None:
    """The name that open_clip has for a parameter of EVA-CLIP, CLIPSelf or FineCLIP; None if it is computed."""
    if any(part in name for part in _COMPUTED):
        return None
    if name.startswith("visual."):
        for theirs, ours in RENAMED:
            name = name.replace(theirs, ours)
        return name.replace("visual.", "visual.trunk.", 1)
    if name == "text.logit_scale":
        return "logit_scale"
    return f"text.{name}" if name.startswith(_TEXT_PARTS) else name


def _from_file(
    file: WeightsFile, family: str, kind: str, picture: dict[str, Any], notes: tuple[str, ...] = ()
) -> Adapter:
    weights = read_tensors(file.path, kind)
    state: dict[str, Tensor] = {}
    for name, value in weights.state.items():
        if (ours := rename(name)) is not None:
            state[ours] = value
    weights = dataclasses.replace(weights, state=state)
    name, size = _architecture(weights)
    model = create(Source(name, file.path.name, picture=picture))
    load_strict(model, state, f"open_clip's {name}, which the shapes in {file.path} suggest")
    return assemble(
        model,
        file,
        family=family,
        dim=int(open_clip.get_model_config(name)["embed_dim"]),
        picture={**picture, "size": size},
        length=int(open_clip.get_model_config(name)["text_cfg"]["context_length"]),
        dense_pooling="token-normalised",
        settings={"architecture": name},
        notes=notes,
    )


def _architecture(weights: Weights) -> tuple[str, int]:
    """The EVA02 configuration of open_clip that has the sizes of these weights, and the side of its pictures."""
    patch = weights.size("visual.trunk.patch_embed.proj.weight", rank=4)[-1]
    size = patch * weights.side(weights.size("visual.trunk.pos_embed", rank=3)[1])
    found = {
        "embed_dim": weights.size("visual.trunk.head.weight", rank=2)[0],
        "image_size": size,
        "text width": weights.size("text.ln_final.weight", rank=1)[0],
        "text layers": weights.count("text.transformer.resblocks."),
    }
    known = {}
    for name in open_clip.list_models():
        if name.startswith("EVA02"):
            config = open_clip.get_model_config(name)
            text = config["text_cfg"]
            known[name] = {
                "embed_dim": config["embed_dim"],
                "image_size": config["vision_cfg"]["image_size"],
                "text width": text["width"],
                "text layers": text["layers"],
            }
    for name, sizes in known.items():
        if sizes == found:
            return name, size
    raise weights.error(
        f"its sizes ({', '.join(f'{key} {value}' for key, value in found.items())}) are those of none of open_clip's "
        f"EVA02 models ({', '.join(known)})"
    )
