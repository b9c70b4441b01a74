"""Checkpoints of a LLaVA whose vision tower is FG-CLIP 2 or SigLIP 2 NaFlex: read, written, put together from parts.

A checkpoint is a folder with

* ``config.json``: ``model_type`` (``llava_naflex``), ``vision_config`` (as in a SigLIP 2 checkpoint), ``text_config``
  (as in the language model's own ``config.json``), ``vision_feature_layer``, ``projector_hidden_act``, ``frame``,
  ``budget``; see :class:`.llava_naflex_model.LlavaNaflexConfig`;
* ``model.safetensors``, or shards with an index: ``vision.embeddings.…`` and ``vision.encoder.layers.…`` (the layers
  that are used), ``vision.linear_1.…`` and ``vision.linear_2.…`` (the projector), ``language_model.…``;
* ``tokenizer.json``: the language model's.

:func:`assemble` makes one of a vision checkpoint, a projector and a language model, :func:`save` of a trained module.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from fgbench.data.atomic import write_atomic
from fgbench.errors import ModelError, StoreError

from .checkpoint import WEIGHTS, fetch, load_strict, read_json, read_safetensors, read_state_dict
from .foreign_code import refuse_foreign_code
from .hf_files import quiet
from .llava_naflex_model import MODEL_TYPE, LlavaNaflex, LlavaNaflexConfig

_CONFIG, _TOKENIZER = "config.json", "tokenizer.json"
FILES = (_CONFIG, _TOKENIZER)
"""Files of a checkpoint beside its weights."""

_LANGUAGE, _VISION = "language_model.", "vision."
_VISION_KINDS = ("fgclip2", "siglip2")
_PROJECTOR = {
    "linear_1": "linear_1",
    "linear_2": "linear_2",
    "mm_projector.0": "linear_1",
    "mm_projector.2": "linear_2",
}


def read(folder: Path) -> tuple[LlavaNaflex, Tokenizer]:
    """Read a checkpoint, in float32.

    Raises:
        ModelError: files that are missing, damaged, or do not fit each other.
    """
    content = read_json(folder, _CONFIG)
    refuse_foreign_code(content, str(folder / _CONFIG))
    config = LlavaNaflexConfig.from_dict(content, str(folder / _CONFIG))
    tokenizer = read_tokenizer(folder)
    state = read_state_dict(folder)
    stray = sorted(name for name in state if not name.startswith((_VISION, _LANGUAGE)))
    if stray:
        raise ModelError(f"{folder}: {len(stray)} weights belong to no part of the model, the first is {stray[0]}.")
    with torch.device("meta"):  # no time and no random numbers for weights that are replaced at once
        module = LlavaNaflex(config, nn.Identity())
    load_strict(module.vision, _under(_VISION, state), "the vision tower and projector of config.json")
    module.language_model = _language_model(config, _under(_LANGUAGE, state), folder)
    return module.eval(), tokenizer


def assemble(vision: str, language: str, projector: Path | None, folder: Path, **choices: Any) -> Path:
    """Put a checkpoint together.

    Args:
        vision: hub id or folder of an FG-CLIP 2 or SigLIP 2 NaFlex.
        language: hub id or folder of a language model, with ``tokenizer.json``.
        projector: safetensors with the projector's two layers, in the names of transformers (``linear_1``) or of LLaVA
            (``mm_projector.0``). None: random weights, to be trained.
        folder: where the checkpoint goes.
        choices: further fields of ``config.json`` (``frame``, ``budget``, ``vision_feature_layer``, …).

    Raises:
        ModelError: parts that are damaged or do not fit each other.
        StoreError: the folder cannot be written.
    """
    seen, spoken = fetch(vision).folder, fetch(language).folder
    tower = read_json(seen, _CONFIG)
    if tower.get("model_type") not in _VISION_KINDS:
        raise ModelError(
            f"{seen}: model_type is {tower.get('model_type')!r}; expected one of {', '.join(_VISION_KINDS)}."
        )
    text = read_json(spoken, _CONFIG)
    refuse_foreign_code(text, str(spoken / _CONFIG))
    content = {"model_type": MODEL_TYPE, "vision_config": tower.get("vision_config"), "text_config": text, **choices}
    config = LlavaNaflexConfig.from_dict(content, f"{seen} with {spoken}")
    module = LlavaNaflex(config, _language_model(config, read_state_dict(spoken), spoken))
    state = _under("vision_model.", read_state_dict(seen))
    used = module.vision.state_dict()
    if projector is None:
        state |= {name: value for name, value in used.items() if name.startswith("linear_")}
    else:
        state |= _read_projector(projector)
    load_strict(module.vision, {name: value for name, value in state.items() if name in used}, "the vision tower")
    return save(folder, module, read_tokenizer(spoken))


def save(folder: Path, module: LlavaNaflex, tokenizer: Tokenizer) -> Path:
    """Write a checkpoint, the weights in the module's own precision; tied weights once.

    Raises:
        StoreError: the folder cannot be written.
    """
    seen: set[int] = set()
    state = {}
    for name, value in module.state_dict().items():
        if value.data_ptr() not in seen:
            state[name] = value.detach().cpu().contiguous()
        seen.add(value.data_ptr())
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{WEIGHTS}.tmp"
    try:
        save_file(state, temporary, metadata={"format": "pt"})
        temporary.replace(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise StoreError(f"{folder / WEIGHTS}: cannot be written ({error}).") from error
    write_atomic(folder / _TOKENIZER, tokenizer.to_str().encode())
    write_atomic(folder / _CONFIG, json.dumps(module.config.to_dict(), indent=2, default=str).encode())
    return folder


def read_tokenizer(folder: Path) -> Tokenizer:
    """Read ``tokenizer.json``; literal special tokens in a text stay text.

    Raises:
        ModelError: missing or damaged.
    """
    path = folder / _TOKENIZER
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more specific
        raise ModelError(f"{path}: expected a tokenizer, but {error}. Download the model again.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def _language_model(config: LlavaNaflexConfig, state: dict[str, Tensor], folder: Path) -> Any:
    """The language model with its weights, in float32."""
    if not state:
        raise ModelError(f"{folder}: there are no weights of the language model ({_LANGUAGE}…).")
    try:
        with quiet():
            model, report = MODEL_FOR_CAUSAL_LM_MAPPING[type(config.text)].from_pretrained(
                None, config=config.text, state_dict=state, dtype=torch.float32, output_loading_info=True
            )
    except Exception as error:  # configurations that do not fit fail in any of the library's ways
        raise ModelError(f"{folder}: transformers cannot build the language model of text_config: {error}") from error
    problems = {key: sorted(map(str, report[key])) for key in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    if any(problems.values()):
        listed = "; ".join(f"{len(names)} {key}: {names[0]}" for key, names in problems.items() if names)
        raise ModelError(f"{folder}: the language model's weights do not fit text_config: {listed}.")
    return model


def _under(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _read_projector(path: Path) -> dict[str, Tensor]:
    found = {}
    for name, value in read_safetensors(path).items():
        match = re.search(r"(linear_[12]|mm_projector\.[02])\.(weight|bias)$", name)
        if match:
            found[f"{_PROJECTOR[match[1]]}.{match[2]}"] = value
    if len(found) != 4:
        raise ModelError(
            f"{path}: expected weight and bias of linear_1 and linear_2 (or mm_projector.0 and .2), but found "
            f"{', '.join(sorted(found)) or 'none of them'}."
        )
    return found
