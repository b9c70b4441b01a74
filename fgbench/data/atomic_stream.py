"""Writing files that are too large to be in memory, complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fgbench.errors import StoreError


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
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = "no space left on the disk; make room or choose another place" if full else error.strerror
            raise StoreError(f"{path}: cannot be written ({reason}).") from error
        raise
