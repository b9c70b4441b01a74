"""Writing files so that a reader, or the next run, never sees half of one."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fgbench.errors import StoreError


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``: complete, or not at all (temporary file beside it, fsync, rename).

    Raises:
        StoreError: no space, no permission, …; the old file, if any, is untouched.
    """
    with replacing(path) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write to, which becomes ``path`` if the block ends without an error.

    Raises:
        StoreError: no space, no permission, …; the old file, if any, is untouched.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"{path}: no space left on the disk. What was finished is kept: make room, or choose another place "
                "with --output, and run the same command again."
            ) from error
        raise StoreError(f"{path}: cannot be written ({error.strerror}).") from error
    except Exception:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
