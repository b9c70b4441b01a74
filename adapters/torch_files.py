"""Weights in one file, as other projects publish them: safetensors, or torch files that hold nothing but tensors."""

from __future__ import annotations

import argparse
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fgbench.errors import ModelError, UsageError

from .checkpoint import fetch, not_weights, read_safetensors

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")

_WRAPPERS = ("state_dict", "model", "module")
_HEAD_WIDTH = 64
_MESSAGE_LENGTH = 500


class WeightsFile(NamedTuple):
    """A file with weights.

    Attributes:
        path: where it lies.
        revision: the hub's commit, or None for a file of the user's.
    """

    path: Path
    revision: str | None


def locate(target: str, advice: str, revision: str | None = None) -> WeightsFile:
    """Find a weights file: one of the user's, or ``owner/name/file`` on the hub, downloaded unless it is in its cache.

    Args:
        target: path, or hub id and file name.
        advice: where such weights can be had; ends the message if there is no such file.
        revision: commit, branch or tag on the hub.

    Raises:
        UsageError: a folder, or a revision for a file of the user's.
        ModelError: no such file, or one that cannot be downloaded.
    """
    path = Path(target)
    if path.is_dir():
        found = sorted(each.name for each in path.iterdir() if each.suffix in SUFFIXES)
        raise UsageError(f"{target} is a folder; expected a weights file. It holds {', '.join(found) or 'none'}.")
    if path.is_file():
        if revision is not None:
            raise UsageError(f"Model option revision={revision}: {target} is a file; only hub models have revisions.")
        return WeightsFile(path, None)
    owner, _, rest = target.partition("/")
    name, _, file = rest.partition("/")
    if owner not in ("", ".", "..") and name and file and "/" not in file and path.suffix in SUFFIXES:
        folder, commit = fetch(f"{owner}/{name}", revision, (file,))
        if (folder / file).is_file():
            return WeightsFile(folder / file, commit)
        raise ModelError(f"The hub model {owner}/{name} has no file {file}. {advice}")
    raise ModelError(f"There is no weights file {target}. {advice}")


@dataclass(frozen=True, eq=False)
class Weights:
    """The tensors of a file; asking for what it lacks is an error that names the file.

    Attributes:
        path: of the file.
        kind: what it is expected to hold, for messages.
        state: the tensors by name.
    """

    path: Path
    kind: str
    state: Mapping[str, Tensor]

    def size(self, name: str, *, rank: int) -> tuple[int, ...]:
        """The shape of a tensor of ``rank`` dimensions.

        Raises:
            ModelError: no such tensor, or one of another rank.
        """
        if name not in self.state:
            raise self.error(f"there is no tensor {name!r}")
        shape = tuple(self.state[name].shape)
        if len(shape) != rank:
            raise self.error(f"{name} has the shape {list(shape)} instead of {rank} dimensions")
        return shape

    def count(self, prefix: str) -> int:
        """How many layers there are, whose names are the prefix and a number."""
        rest = (name.removeprefix(prefix) for name in self.state if name.startswith(prefix))
        layers = len({number for number in (each.partition(".")[0] for each in rest) if number.isdigit()})
        if not layers:
            raise self.error(f"there is no layer {prefix}0")
        return layers

    def heads(self, width: int) -> int:
        """Attention heads of a tower: shapes do not tell, but in all CLIPs of these families a head is 64 wide."""
        if width % _HEAD_WIDTH:
            raise self.error(f"a tower is {width} wide, which is no multiple of a head's {_HEAD_WIDTH}")
        return width // _HEAD_WIDTH

    def side(self, positions: int) -> int:
        """Rows of a square grid of patches, given its positions and one for the class token."""
        side = math.isqrt(max(positions - 1, 0))
        if side * side + 1 != positions:
            raise self.error(f"{positions} image positions are not a square grid and a class token")
        return side

    def error(self, problem: str) -> ModelError:
        """A complaint about the file."""
        return ModelError(f"{self.path}: {problem}. Expected the weights of {self.kind}; download them again.")


def read_tensors(path: Path, kind: str) -> Weights:
    """Read the tensors of a file, in the precision of the file, on the CPU.

    A file with optimiser and settings beside the weights (under ``state_dict``, ``model`` or ``module``) gives the
    weights; ``module.``, which distributed training puts before all names, is taken off. Pickled code is never run:
    only tensors and plain containers are read, and ``argparse.Namespace``, where training scripts keep their settings.

    Args:
        path: the file.
        kind: what it is expected to hold, for messages.

    Raises:
        ModelError: missing, damaged, something else, or nothing without running code.
    """
    content: Any = read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise ModelError(f"{path}: expected tensors by name, but found {type(content).__name__}.")
    state = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not state:
        found = ", ".join(sorted(map(str, content))[:5]) or "nothing"
        raise ModelError(f"{path}: expected tensors by name, but found {found}. Expected the weights of {kind}.")
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): value for name, value in state.items()}
    return Weights(path, kind, state)


def _read_torch(path: Path) -> Any:
    if problem := not_weights(path):
        raise ModelError(f"{path}: expected weights, but {problem}")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # a damaged or hostile file fails in any of the reader's ways
        text = " ".join(str(error).split()) or type(error).__name__
        text = text if len(text) <= _MESSAGE_LENGTH else f"{text[:_MESSAGE_LENGTH]} …"
        raise ModelError(
            f"{path}: the weights cannot be read safely: {text} Expected safetensors, or a torch file with nothing but "
            "tensors. Download it again, or convert it with safetensors.torch.save_file where you trust it."
        ) from error
