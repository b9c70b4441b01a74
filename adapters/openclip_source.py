"""What an ``openclip:`` target means: which configuration, which weights, which picture treatment, which activation.

Weights are read here rather than by ``open_clip.create_model``, so that every file is checked and digested first and
no way of naming a model ends, unnoticed, with random parameters.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import open_clip
from open_clip.pretrained import download_pretrained_from_hf

from fgbench.errors import ModelError, UsageError

from .checkpoint import read_json
from .torch_files import read_tensors

_CONFIG = "open_clip_config.json"
_PREFERRED = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
)
_PICTURE_KEYS = ("mean", "std", "interpolation", "resize_mode")
_MESSAGE_LENGTH = 800


@dataclass(frozen=True)
class Source:
    """A model that was found.

    Attributes:
        name: what open_clip's functions are called with: a configuration, ``hf-hub:…`` or ``local-dir:…``.
        description: where the weights come from, for results.
        weights: the file, or None for random parameters.
        files: names of the files that made the model, beside each other.
        revision: the hub's commit, if it is known.
        picture: mean, std, interpolation, resize mode that the weights ask for, where the configuration has none.
        quick_gelu: the activation that the weights ask for; None if the configuration decides.
        notes: remarks for the reader of a result.
    """

    name: str
    description: str
    weights: Path | None = None
    files: tuple[str, ...] = ()
    revision: str | None = None
    picture: Mapping[str, Any] = field(default_factory=dict)
    quick_gelu: bool | None = None
    notes: tuple[str, ...] = ()


def locate(target: str) -> Source:
    """Understand a target and fetch its weights.

    Args:
        target: a folder with ``open_clip_config.json``, ``local-dir:folder``, ``hf-hub:owner/name``,
            ``<model>@<file>``, ``<model>/<tag>`` (the tag follows the last slash), or ``<model>`` alone for random
            parameters.

    Raises:
        UsageError: no such folder, file, model or tag.
        ModelError: weights that cannot be had.
    """
    if target.startswith("hf-hub:"):
        return _hub(target.removeprefix("hf-hub:"))
    if target.startswith("local-dir:") or Path(target).is_dir():
        return _folder(Path(target.removeprefix("local-dir:")))
    if "@" in target:
        model, _, file = target.partition("@")
        return _file(_known(model), Path(file))
    model, slash, tag = target.rpartition("/")
    return _tag(_known(model), tag) if slash else _random(_known(target))


def read_weights(model: Any, path: Path) -> tuple[str, ...]:
    """Load a weight file into a model, all of its parameters; returns remarks.

    Raises:
        ModelError: a file that is damaged, would have to run code, or does not fit.
    """
    shapes = _shapes(path)
    resized = [
        f"the checkpoint's position table {name} has {shapes[name][0]} rows and was resized to {len(table)}"
        for name, table in model.state_dict().items()
        if name.endswith("positional_embedding") and name in shapes and shapes[name][0] != len(table)
    ]
    try:
        open_clip.load_checkpoint(model, str(path), strict=True, weights_only=True)
    except Exception as error:  # conversions of foreign formats fail with whatever they stumble over
        raise ModelError(
            f"{path}: the weights do not fit the model: {_short(error)} Expected weights of exactly this architecture; "
            "check the model name, for example its picture size."
        ) from error
    return tuple(resized)


def _known(model: str) -> str:
    """The model's name as open_clip spells it (``ViT-B/16`` is ``ViT-B-16``)."""
    name = model.replace("/", "-")
    known = open_clip.list_models()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3) or [other for other in known if other.startswith(name)][:3]
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise UsageError(
            f"open_clip {open_clip.__version__} has no model {name!r}.{hint} Expected <model>/<tag>, <model>@<weights "
            "file>, hf-hub:<owner>/<name> or a folder; open_clip.list_pretrained() lists models and tags."
        )
    return name


def _tag(name: str, tag: str) -> Source:
    config = open_clip.get_pretrained_cfg(name, tag)
    if not config:
        tags = open_clip.list_pretrained_tags_by_model(name)
        near = difflib.get_close_matches(tag, tags, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise UsageError(
            f"open_clip's {name} has no weights with the tag {tag!r}.{hint} Its tags: {', '.join(tags) or 'none'}."
        )
    try:
        path = Path(open_clip.download_pretrained(config))
    except (OSError, RuntimeError, ValueError) as error:
        raise _no_download(f"the weights {tag!r} of {name!r}", error) from error
    wanted, built_in = bool(config.get("quick_gelu")), bool(open_clip.get_model_config(name).get("quick_gelu"))
    activation = "QuickGELU" if wanted else "GELU"
    notes = (f"the configuration's activation was replaced by {activation}, with which the weights {tag} were trained",)
    return Source(
        name,
        f"open_clip {name}/{tag} ({config.get('hf_hub') or config.get('url')})",
        path,
        (path.name,),
        _commit(path),
        {key: config[key] for key in _PICTURE_KEYS if key in config},
        wanted,
        notes if wanted != built_in else (),
    )


def _file(name: str, path: Path) -> Source:
    if not path.is_file():
        raise UsageError(
            f"There is no weights file {path}. Expected <model>@<weights file>, for example {name}@model.safetensors."
        )
    picture, notes = _usual_picture(name)
    quick = bool(open_clip.get_model_config(name).get("quick_gelu"))
    notes += (
        f"the activation is {'QuickGELU' if quick else 'GELU'}, that of the configuration {name}: a weights file does "
        "not say with which it was trained",
    )
    return Source(name, f"open_clip {name}, file {path.name}", path, (path.name,), picture=picture, notes=notes)


def _random(name: str) -> Source:
    return Source(
        name,
        f"random weights (seed 0), open_clip {name}",
        picture=_usual_picture(name)[0],
        notes=("random weights (seed 0): no tag was given, every number is chance level",),
    )


def _usual_picture(name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The picture treatment that all tags of a model share; without a tag open_clip assumes CLIP's, even for SigLIP."""
    tags = [open_clip.get_pretrained_cfg(name, tag) for tag in open_clip.list_pretrained_tags_by_model(name)]
    treatments = [{key: tag[key] for key in _PICTURE_KEYS if key in tag} for tag in tags]
    if treatments and all(treatment == treatments[0] for treatment in treatments):
        return treatments[0], ()
    return {}, ("the picture treatment is open_clip's default: its tags of this model disagree, or it has none",)


def _folder(folder: Path) -> Source:
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}. Expected a folder with {_CONFIG} and weights.")
    _check_config(read_json(folder, _CONFIG), str(folder / _CONFIG))
    names = sorted(path.name for suffix in ("safetensors", "bin", "pth") for path in folder.glob(f"*.{suffix}"))
    chosen = next((name for name in _PREFERRED if name in names), None)
    if chosen is None and len(names) == 1:
        chosen = names[0]
    if chosen is None:
        raise ModelError(
            f"{folder}: expected one weights file, for example {_PREFERRED[0]}; found {', '.join(names) or 'none'}."
        )
    return Source(
        f"local-dir:{folder}", f"open_clip folder {folder.resolve().name}", folder / chosen, (_CONFIG, chosen)
    )


def _hub(repository: str) -> Source:
    try:
        config = Path(download_pretrained_from_hf(repository, filename=_CONFIG))
        path = Path(download_pretrained_from_hf(repository))
    except (OSError, RuntimeError, ValueError) as error:
        raise _no_download(f"{repository!r} ({_CONFIG} and weights)", error) from error
    _check_config(read_json(config.parent, _CONFIG), f"{repository}/{_CONFIG}")
    files = (*((_CONFIG,) if config.parent == path.parent else ()), path.name)
    return Source(f"hf-hub:{repository}", f"open_clip hub model {repository}", path, files, _commit(path))


def _check_config(config: Mapping[str, Any], where: str) -> None:
    model = config.get("model_cfg")
    if not isinstance(model, dict) or not {"embed_dim", "vision_cfg", "text_cfg"} <= set(model):
        raise ModelError(
            f"{where}: expected model_cfg with embed_dim, vision_cfg and text_cfg; found "
            f"{', '.join(sorted(model)) if isinstance(model, dict) else 'no model_cfg'}."
        )


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes in a weight file, read without running anything that it holds.

    For pickles this is more than a look ahead: open_clip retries some failures of the safe reader without it.
    """
    if path.suffix in {".npz", ".npy"}:  # numpy reads no pickles unless asked to
        return {}
    state = read_tensors(path, "an open_clip model").state
    return {name.removeprefix("module."): tuple(value.shape) for name, value in state.items()}


def _commit(path: Path) -> str | None:
    """The commit in a path of the hub's cache, ``…/snapshots/<commit>/<file>``."""
    return path.parent.name if re.fullmatch(r"[0-9a-f]{40}", path.parent.name) else None


def _no_download(what: str, error: Exception) -> ModelError:
    return ModelError(
        f"open_clip could not download {what}: {_short(error)} Check the name and the connection (is HF_HUB_OFFLINE "
        "set? HF_ENDPOINT names a mirror), or fetch the weights elsewhere and give <model>@<weights file> or a folder."
    )


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _MESSAGE_LENGTH else f"{text[:_MESSAGE_LENGTH]} …"
