"""Unpacking archives that strangers made: nothing leaves the folder, nothing grows without bound, all or nothing.

Only regular files are unpacked. Links and devices are refused: no dataset needs them, and a link is how an archive
reaches out of its folder.
"""

from __future__ import annotations

import bz2
import filecmp
import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import uuid
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from fgbench.data.space import FULL, human_size, require_space
from fgbench.errors import DataError, StoreError

_OPENERS: dict[str, Callable[..., Any]] = {
    ".tar": open,
    ".tar.gz": gzip.open,
    ".tgz": gzip.open,
    ".tar.bz2": bz2.open,
    ".tar.xz": lzma.open,
}
_BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, struct.error, EOFError,
    ValueError,
)  # fmt: skip
_BLOCK = 1 << 20
_HEADERS = 4 << 20
"""Bytes that the headers between two members of a tar file may take; tarfile keeps them in memory."""


@dataclass(frozen=True)
class Limits:
    """What an archive may grow to.

    Attributes:
        members: number of files in it.
        size: bytes, unpacked.
        ratio: bytes unpacked per byte of the archive, beyond the first 64 MiB. Pictures hardly shrink and JSON shrinks
            20-fold; archives made to fill a disk reach 1000 and more.
    """

    members: int = 2_000_000
    size: int = 1 << 40
    ratio: int = 200

    def bytes_for(self, packed: int) -> int:
        """Bytes that an archive of ``packed`` bytes may unpack to."""
        return min(self.size, self.ratio * packed + (64 << 20))


@dataclass(frozen=True)
class Unpacked:
    """What came out of an archive.

    Attributes:
        members: number of files.
        size: their bytes.
        top: names directly in the folder that they were unpacked to.
    """

    members: int
    size: int
    top: tuple[str, ...]


def unpack(archive: Path, folder: Path, limits: Limits | None = None) -> Unpacked:
    """Unpack a zip or tar file into a folder: completely, or not at all.

    Everything is written to a hidden folder beside its final place and then renamed. A file that is already there with
    the same content is left alone.

    Args:
        archive: zip, tar, tar.gz, tar.bz2 or tar.xz.
        folder: made if it does not exist.
        limits: what the archive may grow to.

    Raises:
        DataError: damaged archive, a member that would leave the folder, a link, more than the limits, or a file that
            is already there with other content.
        StoreError: no space, or the folder cannot be written.
    """
    temporary = folder / f".{archive.name}.{uuid.uuid4().hex[:8]}.unpacking"
    try:
        temporary.mkdir(parents=True)
        budget = _Budget(archive, temporary, limits or Limits())
        if archive.name.lower().endswith(".zip"):
            _unpack_zip(archive, budget)
        else:
            _unpack_tar(archive, budget)
        top = tuple(sorted(child.name for child in temporary.iterdir()))
        moves = list(_moves(temporary, folder, archive))
        for source, target in moves:
            source.rename(target)
        return Unpacked(budget.members, budget.size, top)
    except _BROKEN as error:
        raise DataError(f"{archive}: damaged or not complete ({error}). Delete it and download it again.") from error
    except (NotImplementedError, RuntimeError) as error:
        raise DataError(f"{archive}: cannot be unpacked here ({error}). Unpack it by hand in {folder}.") from error
    except OSError as error:
        if error.errno is None:  # bz2 says so when its stream is damaged
            raise DataError(f"{archive}: damaged ({error}). Delete it and download it again.") from error
        what = "no space left on the disk" if error.errno in FULL else error.strerror
        raise StoreError(f"{archive}: cannot be unpacked in {folder} ({what}). Nothing was left behind.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Budget:
    """Judges every member before a byte of it is written, and writes it."""

    def __init__(self, archive: Path, folder: Path, limits: Limits) -> None:
        self.members = 0
        self.size = 0
        self._archive = archive
        self._folder = folder
        self._most = limits.members
        self._limit = limits.bytes_for(archive.stat().st_size)

    def admit(self, name: str, size: int, *, regular: bool) -> Path:
        """Where a member goes.

        Raises:
            DataError: it may not be unpacked.
        """
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts or "\\" in name or ":" in parts[0] or "\0" in name:
            raise self.refused(f"its member {name!r} would leave the folder")
        if not regular:
            raise self.refused(f"its member {name!r} is a link or a device; expected files and folders only")
        self.members += 1
        self.size += size
        if self.members > self._most:
            raise self.refused(f"it has more than {self._most:,} members")
        if self.size > self._limit:
            packed = self._archive.stat().st_size
            raise self.refused(
                f"it unpacks to more than {human_size(self._limit)}, but is only {human_size(packed)} itself; "
                "such an archive is made to fill a disk"
            )
        return self._folder.joinpath(*parts)

    def write(self, name: str, source: IO[bytes], target: Path, size: int) -> None:
        """Write one admitted member.

        Raises:
            DataError: its name is used twice, or it is cut off.
        """
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            file = target.open("xb")
        except (FileExistsError, NotADirectoryError) as error:
            raise self.refused(f"its member {name!r} occurs twice, or is a file and a folder at once") from error
        with file:
            left = size
            while left and (block := source.read(min(_BLOCK, left))):
                file.write(block)
                left -= len(block)
        if left:
            raise EOFError(f"{name!r} is cut off")

    def refused(self, why: str) -> DataError:
        return DataError(f"{self._archive}: not unpacked: {why}. Check where the archive comes from.")


def _unpack_zip(archive: Path, budget: _Budget) -> None:
    with zipfile.ZipFile(archive) as opened:
        admitted = []
        for info in opened.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if not info.is_dir():
                regular = kind in (0, stat.S_IFREG)
                admitted.append((info, budget.admit(info.filename, info.file_size, regular=regular)))
        require_space(archive.parent, budget.size, f"Unpacking {archive.name}")
        for info, target in admitted:
            with opened.open(info) as source:
                budget.write(info.filename, source, target, info.file_size)
                source.read(1)  # at the end the checksum is compared


def _unpack_tar(archive: Path, budget: _Budget) -> None:
    suffix = next((each for each in _OPENERS if archive.name.lower().endswith(each)), None)
    if suffix is None:
        raise NotImplementedError(f"expected .zip, {', '.join(_OPENERS)}")
    with _OPENERS[suffix](archive, "rb") as packed:
        metered = _Metered(packed, _HEADERS)
        with tarfile.open(fileobj=cast(IO[bytes], metered), mode="r|") as opened:
            for member in opened:
                if member.isdir():
                    continue
                target = budget.admit(member.name, member.size, regular=member.isreg())
                source = opened.extractfile(member)
                if source is None:
                    raise tarfile.ReadError(f"{member.name!r} has no content")
                metered.allowance = member.size + _HEADERS
                budget.write(member.name, source, target, member.size)
                metered.allowance = _HEADERS
        metered.allowance = _HEADERS
        while metered.read(_BLOCK):  # to the checksum at the end of the compressed file
            pass


class _Metered:
    """A stream that may be read only so far: a header that claims to be gigabytes long is not read into memory."""

    def __init__(self, source: IO[bytes], allowance: int) -> None:
        self.allowance = allowance
        self._source = source

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self.allowance -= len(data)
        if self.allowance < 0:
            raise tarfile.ReadError(f"more than {human_size(_HEADERS)} of headers between two members")
        return data


def _moves(source: Path, target: Path, archive: Path) -> list[tuple[Path, Path]]:
    """Renames that bring what was unpacked to its place; all conflicts are found before the first is made."""
    found: list[tuple[Path, Path]] = []
    for child in sorted(source.iterdir()):
        place = target / child.name
        if child.is_dir() and place.is_dir():
            found += _moves(child, place, archive)
        elif not os.path.lexists(place):
            found.append((child, place))
        elif child.is_dir() or not place.is_file() or not filecmp.cmp(child, place, shallow=False):
            raise DataError(
                f"{place} is already there and differs from what {archive.name} holds. "
                "Nothing was overwritten: move it away and run the same command again."
            )
    return found
