"""Miniature datasets of a procedural world in the real on-disk layouts, to try fgbench without downloading anything.

The pictures show coloured shapes and simple objects; no number measured on them says anything about a model's quality
in the real world (docs/miniature-suite.md).
"""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from fgbench.data.mini.boxes import write_boxes
from fgbench.data.mini.captions import write_captions
from fgbench.data.mini.chat import write_chat
from fgbench.data.mini.class_folders import write_class_folders
from fgbench.data.mini.detections import write_detections
from fgbench.data.mini.label_maps import write_label_maps
from fgbench.errors import StoreError, UsageError

VERSION = 4
"""Part of the folder's name: to be raised with every change of what is written."""


def write_mini(root: Path) -> None:
    """Write the miniature datasets below ``root``: the same bytes every time."""
    write_boxes(root)
    write_captions(root)
    write_class_folders(root)
    write_detections(root)
    write_chat(root)
    write_label_maps(root)


def mini_root(cache: Path) -> Path:
    """Folder of the miniature datasets in the cache; written when it is not there yet."""
    folder = cache / f"mini-{VERSION}"
    if not folder.is_dir():
        _write_whole(folder)
    return folder


def write_copy(folder: Path) -> None:
    """Write the miniature datasets to a folder of the user's choice.

    Raises:
        UsageError: the folder holds something already.
        StoreError: it cannot be written.
    """
    try:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        if not folder.exists():
            _write_whole(folder)
            return
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror}). Name another folder.") from error
    raise UsageError(f"{folder} is there already and not an empty folder. Name a new one; nothing was written.")


def _write_whole(folder: Path) -> None:
    """Write beside the final place and rename: an interrupted writer leaves nothing half done, two do not disturb each
    other.
    """
    temporary = folder.parent / f".mini-{uuid.uuid4().hex[:12]}"
    temporary.mkdir(parents=True)
    try:
        write_mini(temporary)
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
