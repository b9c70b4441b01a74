"""``fgbench.toml`` in the current folder: where this computer keeps its datasets, so that no command has to say it.

.. code-block:: toml

    data_root = "/data/fgbench"

    [files]
    "lit-cn.annotations" = "/data/LIT-CN/image_caption_long_cn.txt"

What a command or a call says itself goes first.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fgbench.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME = "fgbench.toml"
DEFAULT_ROOT = "data"


@dataclass(frozen=True)
class Config:
    """Content of ``fgbench.toml``.

    Attributes:
        data_root: folder that holds the datasets.
        files: places of files, by ``<dataset>.<role>``.
    """

    data_root: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)


def read_config(folder: Path | None = None) -> Config:
    """Read ``fgbench.toml``; empty if there is none.

    Args:
        folder: where to look; the current folder if None. Relative paths in the file start there.

    Raises:
        UsageError: not TOML, an unknown key, or a value of another type.
    """
    folder = folder or Path()
    path = folder / NAME
    if not path.is_file():
        return Config()
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: not TOML ({error}). Strings need quotes, and so do keys with a dot: "
            '"coco.images" = "/data/val2017".'
        ) from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}).") from error
    for key in content:
        if key not in ("data_root", "files"):
            close = difflib.get_close_matches(key, ("data_root", "files"), n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"{path}: unknown key {key!r}; expected data_root and [files].{hint}")
    root, files = content.get("data_root"), content.get("files", {})
    if root is not None and not isinstance(root, str):
        raise UsageError(f"{path}: data_root should be a string, found {root!r}.")
    if not isinstance(files, dict):
        raise UsageError(f"{path}: files should be a table [files], found {files!r:.80}.")
    for key, place in files.items():
        if isinstance(place, dict):
            raise UsageError(
                f'{path}: [files] {key}: put the whole key in quotes: "{key}.{next(iter(place), "role")}".'
            )
        if not isinstance(place, str):
            raise UsageError(f"{path}: [files] {key!r} should be a string, found {place!r:.80}.")
    return Config(
        _from(folder, root) if root not in (None, "mini") else root,
        {key: _from(folder, place) for key, place in files.items()},
    )


def data_places(
    data_root: str | Path | None, files: Mapping[str, str | Path] | None
) -> tuple[str | Path, dict[str, str | Path]]:
    """Data root and places of files: as given, else as ``fgbench.toml`` says, else the folder ``data``.

    The generated datasets (``mini``) are complete as they are: nothing of the file is mixed into them.

    Raises:
        UsageError: ``fgbench.toml`` is not usable.
    """
    given = dict(files or {})
    if str(data_root) == "mini":
        return "mini", given
    config = read_config()
    root = data_root if data_root is not None else config.data_root or DEFAULT_ROOT
    return root, given if str(root) == "mini" else {**config.files, **given}


def _from(folder: Path, place: str) -> str:
    return str(folder / Path(place).expanduser())
