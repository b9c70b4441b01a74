"""SHA-256 of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fgbench.errors import DataError


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; of a folder: over the names and digests of the files in it, sorted.

    Raises:
        DataError: it cannot be read.
    """
    hasher = hashlib.sha256()
    if path.is_dir():
        for child in sorted(child for child in path.iterdir() if child.is_file()):
            hasher.update(f"{child.name} {file_sha256(child)}\n".encode())
        return hasher.hexdigest()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                hasher.update(block)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    return hasher.hexdigest()
