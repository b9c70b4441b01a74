"""Writing files so that a reader, or the next run, never sees half of one."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from pathlib import Path

from fgbench.errors import StoreError


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``: complete, or not at all (temporary file beside it, fsync, rename).

    Raises:
        StoreError: no space, no permission, …; the old file, if any, is untouched.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"{path}: no space left on the disk ({len(data) / 2**20:.1f} MiB needed). What was finished is kept: "
                "make room, or choose another place with --output, and run the same command again."
            ) from error
        raise StoreError(f"{path}: cannot be written ({error.strerror}).") from error
