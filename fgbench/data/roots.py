"""Data roots: a folder of the user's, or the generated miniature suite."""

from __future__ import annotations

import os
from pathlib import Path

from fgbench.errors import UsageError


def cache_folder() -> Path:
    """Where fgbench keeps what it can make again: ``$FGBENCH_CACHE``, else ``$XDG_CACHE_HOME/fgbench``, else
    ``~/.cache/fgbench``.
    """
    own = os.environ.get("FGBENCH_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fgbench"


def resolve_root(root: str | Path) -> Path:
    """Folder of a data root; ``mini`` is written to the cache when it is first used.

    Raises:
        UsageError: there is no such folder.
    """
    if str(root) == "mini":
        from fgbench.data.mini import mini_root

        return mini_root(cache_folder())
    path = Path(root).expanduser()
    if not path.is_dir():
        raise UsageError(
            f"Data root {path} does not exist. Pass --data-root DIR with the folder that holds your datasets "
            "('fgbench show <dataset>' tells what belongs there), or --data-root mini to try generated pictures."
        )
    return path
