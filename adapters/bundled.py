"""The small trained models that come with fgbench: folders of ``weights``, loaded like any other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from importlib.resources import as_file, files
from typing import Any, TypeVar

from fgbench.errors import UsageError

_Model = TypeVar("_Model", bound=Any)


def load_bundled(target: str, load: Callable[..., _Model], **options: Any) -> _Model:
    """Load one of them; needs no network.

    Args:
        target: its name.
        load: the loader of its family; gets the folder and ``options``.
        options: of the loader.

    Raises:
        UsageError: there is none of this name.
    """
    weights = files("fgbench.adapters").joinpath("weights")
    known = sorted(entry.name for entry in weights.iterdir())
    if target not in known:
        raise UsageError(f"No model {target!r} comes with fgbench. There are {', '.join(known)}.")
    with as_file(weights.joinpath(target)) as folder:
        model = load(str(folder), **options)
    model.info = dataclasses.replace(model.info, name=target, source=f"bundled with fgbench: {target}")
    return model
