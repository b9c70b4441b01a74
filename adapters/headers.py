"""What a weights file says of itself: the names of its tensors, found without torch and without running anything.

Used to recognise the kind of model that a folder or file holds before any of its weights are loaded.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

_LIMIT = 64 << 20
"""The names of the largest checkpoints take a few megabytes; more than this is no header."""

_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04")


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """The folder's configuration file, or an empty one."""
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def read_header(path: Path) -> bytes:
    """The bytes in which the tensors of a file, or of a folder with safetensors weights, are named.

    For safetensors that is the header, for torch files the pickle that describes them. Names stand in both as plain
    text, so ``b"visual.proj" in read_header(path)`` answers whether there is such a tensor (or a longer name). The
    pickle is searched, never executed. Anything else gives nothing.
    """
    if path.is_dir():
        index = path / "model.safetensors.index.json"
        path = path / "model.safetensors"
        if not path.exists() and index.exists():
            path = index
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
            if path.suffix == ".json" or head.startswith(_PICKLES):
                return head + stream.read(_LIMIT)
            if path.suffix == ".safetensors":
                length = int.from_bytes(head, "little")
                return stream.read(length) if length <= _LIMIT else b""
        if not zipfile.is_zipfile(path):
            return b""
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if not names:
                return b""
            with archive.open(names[0]) as pickle:
                return pickle.read(_LIMIT)
    except (OSError, ValueError, NotImplementedError, RuntimeError, EOFError, zipfile.BadZipFile):
        return b""


def names_all(path: Path, *names: str) -> bool:
    """Does a file or folder name tensors of all these names (or longer ones that contain them)?"""
    header = read_header(path)
    return all(name.encode() in header for name in names)
