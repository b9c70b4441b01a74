"""Configurations that would have transformers fetch and run code.

``trust_remote_code=False`` covers modelling code only. An attention or expert implementation of the form
``owner/name`` names compiled kernels on the hub, and transformers fetches them where the package ``kernels`` is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fgbench.errors import ModelError

_KEYS = ("attn_implementation", "experts_implementation")


def refuse_foreign_code(config: Mapping[str, Any], where: str) -> None:
    """Refuse a configuration that names kernels, at any depth.

    Args:
        config: the content of ``config.json``.
        where: its path, for messages.

    Raises:
        ModelError: it does.
    """
    todo: list[tuple[str, Any]] = [("", dict(config))]
    while todo:
        key, value = todo.pop()
        if isinstance(value, Mapping):
            # The implementation may be given by part: {"text_config": "owner/name"}.
            todo += [(key if key.endswith(_KEYS) else str(name), each) for name, each in value.items()]
        elif isinstance(value, list):
            todo += [(key, each) for each in value]
        elif key.endswith(_KEYS) and isinstance(value, str) and "/" in value:
            raise ModelError(
                f"{where}: {key} is {value!r}, code on the hub, and code that comes with a checkpoint is never run. "
                "Remove the field if you trust the rest of the files."
            )
