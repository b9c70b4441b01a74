"""Disk space: said in words, and asked for before it is used."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from fgbench.errors import StoreError

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers of a full disk and of a used-up quota."""


def human_size(size: int) -> str:
    """A number of bytes with three digits and a decimal unit, as disks are sold: ``1.23 GB``."""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    digits = 0 if unit == "B" or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f} {unit}"


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Refuse before anything is written if the disk of ``folder`` has too little room.

    Args:
        folder: where something will be written; it need not exist yet.
        needed: bytes.
        purpose: what for, as the subject of the message.

    Raises:
        StoreError: fewer bytes are free.
    """
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed > free:
        raise StoreError(
            f"{purpose}: {human_size(needed)} needed, {human_size(free)} free on the disk of {folder}. "
            "Make room there, or choose a data root on another disk with --data-root."
        )
