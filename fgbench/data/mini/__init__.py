"""A few generated pictures in the real on-disk layouts, to try fgbench without downloading anything.

The pictures show coloured shapes; no number measured on them says anything about a model's quality in the real world.
"""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from fgbench.data.mini.layouts import write_layouts
from fgbench.data.mini.scenes import make_scenes

VERSION = 2
"""Part of the folder's name: to be raised with every change of what is written."""

SEED = 20251010
SCENES = 24


def write_mini(root: Path) -> None:
    """Write the miniature datasets below ``root``: the same bytes every time."""
    write_layouts(make_scenes(SCENES, SEED), root)


def mini_root(cache: Path) -> Path:
    """Folder of the miniature datasets in the cache; written when it is not there yet.

    It is written beside its final place and renamed, so that an interrupted writer leaves nothing half done and two
    writers do not disturb each other.
    """
    folder = cache / f"mini-{VERSION}"
    if folder.is_dir():
        return folder
    temporary = cache / f".mini-{uuid.uuid4().hex[:12]}"
    temporary.mkdir(parents=True)
    try:
        write_mini(temporary)
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder
