"""Which model is this? A fingerprint over everything that its embeddings depend on."""

from __future__ import annotations

import hashlib
import inspect
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fgbench.adapter import Adapter
from fgbench.generator import Generator
from fgbench.segmenter import Segmenter

if TYPE_CHECKING:
    from torch import nn


class Identity(NamedTuple):
    """A loaded model.

    Attributes:
        weights_sha256: over names, types, shapes and values of all parameters and buffers.
        parameters: number of parameters.
        fingerprint: 32 hexadecimal digits; names the folder of the model's features.
    """

    weights_sha256: str
    parameters: int
    fingerprint: str


def identify(adapter: Adapter | Generator | Segmenter, precision: str) -> Identity:
    """Identify a loaded model.

    The fingerprint covers the weights, the adapter's declared facts (except its name), the source code of adapter and
    preprocessor (whoever develops an adapter must not be served features of yesterday's code), the precision and
    fgbench's version.
    """
    weights = weights_sha256(adapter.module)
    facts = asdict(adapter.info)
    for label in ("name", "notes", "paper", "licence", "source", "region_default"):
        facts.pop(label, None)
    code = [_code(type(adapter))]
    if isinstance(adapter, Adapter):
        code.append(_code(type(adapter.preprocessor)))
    everything = json.dumps([weights, facts, code, precision, version("fgbench")], sort_keys=True, default=str)
    return Identity(
        weights,
        sum(parameter.numel() for parameter in adapter.module.parameters()),
        hashlib.sha256(everything.encode()).hexdigest()[:32],
    )


def weights_sha256(module: nn.Module) -> str:
    """SHA-256 over names, types, shapes and values of all parameters and buffers."""
    import torch

    hasher = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        hasher.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        # Viewed as bytes: numpy has no bfloat16.
        hasher.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()


def _code(kind: type) -> str:
    """Digest of the source a class lives in: its module, or all modules of the package folder that holds it."""
    try:
        path = Path(inspect.getfile(kind))
    except (OSError, TypeError):
        return f"{kind.__module__}.{kind.__qualname__}"
    in_package = (path.parent / "__init__.py").is_file()
    hasher = hashlib.sha256()
    for source in sorted(path.parent.glob("*.py")) if in_package else [path]:
        hasher.update(f"{source.name}\n".encode())
        hasher.update(source.read_bytes() if source.is_file() else b"")
    return hasher.hexdigest()
