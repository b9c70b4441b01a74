"""Pictures inside zip and tar archives, read in place.

A zip file is random access by nature. An uncompressed tar file becomes so once its headers have been read; a compressed
one never does and has to be unpacked.
"""

from __future__ import annotations

import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

from fgbench.errors import DataError
from fgbench.requests import ImageRef

ARCHIVES = (".zip", ".tar")

_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, ValueError)
"""What the standard library raises on damaged archives, each part of it in its own way."""


def is_archive(path: Path) -> bool:
    """Is this a file whose members can be read in place (judged by its name)?"""
    return path.suffix.lower() in ARCHIVES and path.is_file()


def members(path: Path) -> dict[str, ImageRef]:
    """Every regular file in an archive, by its name inside.

    Raises:
        DataError: not an archive, or damaged.
    """
    return _members(path, stamp(path))


@lru_cache(maxsize=64)
def _members(path: Path, version: tuple[int, int]) -> dict[str, ImageRef]:
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                return {
                    info.filename: ImageRef(str(path), info.filename)
                    for info in archive.infolist()
                    if info.filename and not info.is_dir()
                }
        with tarfile.open(path, mode="r:") as archive:
            return {
                info.name.removeprefix("./"): ImageRef(str(path), info.name, (info.offset_data, info.size))
                for info in archive
                if info.isreg()
            }
    except (*_BROKEN, OSError, NotImplementedError) as error:
        raise DataError(f"{path}: not a readable archive ({error}). Download it again.") from error


def read_member(ref: ImageRef, limit: int) -> bytes:
    """Bytes of one member, at most ``limit + 1`` of them.

    Raises:
        DataError: damaged archive or member.
    """
    try:
        if ref.span:
            offset, size = ref.span
            with open(ref.path, "rb") as file:  # noqa: PTH123 - a Path per picture is slow at 10^5 pictures
                file.seek(offset)
                data = file.read(min(size, limit + 1))
            if len(data) < min(size, limit + 1):
                raise DataError(f"{ref}: the archive is cut off. Download it again.")
            return data
        with _zip(ref.path, stamp(ref.path), os.getpid()).open(ref.member) as member:
            return member.read(limit + 1)
    except (*_BROKEN, OSError, KeyError, RuntimeError, EOFError, NotImplementedError) as error:
        raise DataError(f"{ref}: cannot be read from its archive ({error}).") from error


@lru_cache(maxsize=8)
def _zip(path: str, version: tuple[int, int], process: int) -> zipfile.ZipFile:
    """An open zip file per process: forked workers must not share one file position."""
    return zipfile.ZipFile(path)


def stamp(path: str | Path) -> tuple[int, int]:
    """Changes when an archive is replaced, so that nothing remembered of the old one is used (notebooks live long)."""
    try:
        found = os.stat(path)  # noqa: PTH116 - once per picture
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
