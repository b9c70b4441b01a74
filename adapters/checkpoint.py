"""Reading checkpoints that come from outside: hub or folder, safetensors only, every parameter accounted for."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import huggingface_hub
import huggingface_hub.errors as hub_errors
import safetensors
import safetensors.torch
from torch import Tensor, nn

from fgbench.errors import ModelError, UsageError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

_WANTED = (
    "config.json",
    "model*.safetensors",
    INDEX,
    "tokenizer*",
    "special_tokens_map.json",
    "preprocessor_config.json",
    "vocab.*",
    "merges.txt",
)
_SHOWN = 5
"""How many parameters of each kind an error message lists."""


class Checkpoint(NamedTuple):
    """A checkpoint on disk.

    Attributes:
        folder: where its files lie.
        revision: the hub's commit, or None for a folder of the user's.
    """

    folder: Path
    revision: str | None


def fetch(target: str, revision: str | None = None, files: Iterable[str] = _WANTED) -> Checkpoint:
    """Find a checkpoint: a folder as it is, or a hub id, downloaded unless it is in the hub's cache.

    The hub's own settings (``HF_ENDPOINT``, ``HF_HUB_OFFLINE``, ``HF_HOME``, tokens) apply.

    Args:
        target: a folder, or ``owner/name``.
        revision: commit, branch or tag on the hub.
        files: patterns of the names to download.

    Raises:
        UsageError: no such folder, repository or revision.
        ModelError: the repository exists, but its files cannot be had.
    """
    folder = Path(target)
    if folder.is_dir():
        if revision is not None:
            raise UsageError(
                f"Model option revision={revision}: {target} is a folder, and only hub models have revisions."
            )
        return Checkpoint(folder, None)
    if folder.exists():
        raise UsageError(f"{target} is a file. Expected the folder that holds config.json and {WEIGHTS}.")
    where = f"{target!r} on the hub" + (f" (revision {revision!r})" if revision else "")
    try:
        path = huggingface_hub.snapshot_download(target, revision=revision, allow_patterns=list(files))
    except hub_errors.HFValidationError as error:
        raise UsageError(f"{target!r} is neither a folder that exists nor a hub id of the form owner/name.") from error
    except hub_errors.GatedRepoError as error:
        raise ModelError(
            f"{where} asks for an agreement. Accept it on the model's page, then log in with `hf auth login`."
        ) from error
    except hub_errors.RevisionNotFoundError as error:
        raise UsageError(f"{where} has no such revision. Look up its commits, branches and tags.") from error
    except hub_errors.RepositoryNotFoundError as error:
        raise UsageError(
            f"There is no model {where}, or it is private. Check the spelling; for a private one run `hf auth login`."
        ) from error
    except hub_errors.LocalEntryNotFoundError as error:
        raise ModelError(
            f"{where} is not (or not completely) in the local cache, and the hub cannot be reached. Connect and unset "
            "HF_HUB_OFFLINE, set HF_ENDPOINT to a mirror, or download the files elsewhere and name their folder."
        ) from error
    except Exception as error:  # network libraries below the hub's client have exceptions of their own
        raise ModelError(
            f"{where} could not be downloaded ({type(error).__name__}: {error}). Check the connection and the free "
            "disk space, then try again; what has arrived is kept."
        ) from error
    name = Path(path).name
    return Checkpoint(Path(path), name if re.fullmatch(r"[0-9a-f]{40}", name) else None)


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ModelError: missing, not JSON, not an object.
    """
    path = folder / name
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder}: there is no {name}. Expected a complete model folder; download it again."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: expected a JSON file, but {error}. Download it again.") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: expected a JSON object, but found {type(content).__name__}.")
    return content


def weight_files(folder: Path) -> tuple[str, ...]:
    """The names of the files that hold the weights: one file, or the shards that the index lists.

    Raises:
        ModelError: no safetensors weights, or an index that is broken or points out of the folder.
    """
    if (folder / WEIGHTS).exists():
        return (WEIGHTS,)
    if (folder / INDEX).exists():
        return tuple(sorted(set(_weight_map(folder).values())))
    pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
    found = (
        f"found {', '.join(pickles[:_SHOWN])}; pickles can run code and are never read" if pickles else "found neither"
    )
    raise ModelError(
        f"{folder}: expected {WEIGHTS} or {INDEX}; {found}. Use a revision with safetensors weights, or convert them "
        "with safetensors.torch.save_file in a place you trust."
    )


def read_state_dict(folder: Path) -> dict[str, Tensor]:
    """Read all weights of a folder, in the precision of the file, on the CPU.

    Raises:
        ModelError: weights that are missing, damaged, not safetensors, or not what the index says.
    """
    state: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    for name in weight_files(folder):
        for key, tensor in read_safetensors(folder / name).items():
            if key in state:
                raise ModelError(f"{folder}: {key} is both in {origin[key]} and in {name}. Download the files again.")
            state[key], origin[key] = tensor, name
    if not (folder / WEIGHTS).exists():
        for key, name in _weight_map(folder).items():
            if origin.get(key) != name:
                raise ModelError(
                    f"{folder / name}: {INDEX} places {key} here, but it is not. Download the files again."
                )
    return state


def load_strict(
    module: nn.Module, state: Mapping[str, Tensor], model: str = "the model that config.json describes"
) -> None:
    """Load weights by name, all of them and nothing else, in the module's own precision.

    The module may lie on the meta device: its parameters are replaced, not filled.

    Args:
        module: takes the weights.
        state: the weights by name.
        model: what ``module`` is, for messages.

    Raises:
        ModelError: parameters that are missing, unexpected, of another shape, or not floating point.
    """
    expected = module.state_dict()
    problems = [
        *_list("missing", [f"{name} {_shape(value)}" for name, value in expected.items() if name not in state]),
        *_list("unexpected", [f"{name} {_shape(value)}" for name, value in state.items() if name not in expected]),
        *_list(
            "of another shape",
            [
                f"{name} {_shape(state[name])} instead of {_shape(value)}"
                for name, value in expected.items()
                if name in state and state[name].shape != value.shape
            ],
        ),
        *_list(
            "not floating point",
            [
                f"{name} {state[name].dtype}"
                for name in expected
                if name in state and not state[name].is_floating_point()
            ],
        ),
    ]
    if problems:
        raise ModelError(
            f"The weights do not fit {model}: {'; '.join(problems)}. Expected a "
            "checkpoint of this very architecture, in full or half precision, not quantised. Check that all files are "
            "of one revision."
        )
    # Copies, because safetensors maps the file: the weights must not change or vanish with it.
    copies = {name: state[name].to(dtype=value.dtype, copy=True) for name, value in expected.items()}
    module.load_state_dict(copies, strict=True, assign=True)


def file_digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of files, in hexadecimal, by name.

    Raises:
        ModelError: a file cannot be read.
    """
    digests = {}
    for name in names:
        digest = hashlib.sha256()
        try:
            with (folder / name).open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise ModelError(f"{folder / name} cannot be read: {error.strerror or error}.") from error
        digests[name] = digest.hexdigest()
    return digests


def _weight_map(folder: Path) -> dict[str, str]:
    files = read_json(folder, INDEX).get("weight_map")
    if not isinstance(files, dict) or not files or not all(isinstance(name, str) for name in files.values()):
        raise ModelError(f"{folder / INDEX}: expected weight_map, a table from parameter to file. Download it again.")
    for name in files.values():
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.safetensors", name):
            raise ModelError(
                f"{folder / INDEX}: weight_map names {name!r}; expected the name of a .safetensors file in the same "
                "folder. Do not use this checkpoint unless you trust where it comes from."
            )
    return files


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors of one file, in its precision, on the CPU.

    Raises:
        ModelError: missing, damaged, or something else.
    """
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load_file(path)
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing. Download the model's files again, all of them.") from error
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: expected safetensors weights, but {_diagnose(path, error)}") from error
    return tensors


def not_weights(path: Path) -> str | None:
    """What a file is that holds no weights at all, and what to do, in one sentence; None if it may hold some."""
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})."
    if not head:
        return "the file is empty. Download it again."
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "the file is a web page, not what the page links to. Download it again, with the hub's client."
    if head.startswith(b"version https://git-lfs"):
        return "the file is a Git LFS pointer. Fetch the content with `git lfs pull`."
    return None


def _diagnose(path: Path, error: Exception) -> str:
    """What a file that is not safetensors is instead, and what to do, in one sentence."""
    if found := not_weights(path):
        return found
    with path.open("rb") as stream:
        if stream.read(4).startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x04")):
            return "the file is a pickle, which is never read. Use a revision with safetensors weights, or convert it."
    return f"the file ({path.stat().st_size:,} bytes) is truncated or damaged ({error}). Download it again."


def _list(kind: str, entries: list[str]) -> list[str]:
    if not entries:
        return []
    more = f", … ({len(entries) - _SHOWN} more)" if len(entries) > _SHOWN else ""
    return [f"{len(entries)} {kind}: {', '.join(entries[:_SHOWN])}{more}"]


def _shape(tensor: Tensor) -> str:
    return f"[{', '.join(map(str, tensor.shape))}]"
