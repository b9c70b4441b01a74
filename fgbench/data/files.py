"""Finding the files of a dataset on the user's disk.

A dataset names *roles* (``annotations``, ``images``, …) and for each role the places, relative to the data root, where
published layouts put it. The first that exists is taken. A user whose files lie elsewhere overrides a role.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from fgbench.data.archives import ARCHIVES, is_archive, members
from fgbench.errors import DataError, DataMissingError, UsageError
from fgbench.requests import ImageRef
from fgbench.spec import DatasetSpec


@dataclass
class DatasetFiles:
    """The files of one dataset under one data root.

    Attributes:
        spec: the dataset.
        root: the data root.
        overrides: a path for a role, instead of the places the specification names.
        read: annotation files handed out so far; they are hashed into the result.
        folders: directory listings, shared by the datasets of a plan.
    """

    spec: DatasetSpec
    root: Path
    overrides: Mapping[str, Path] = field(default_factory=dict)
    read: list[Path] = field(default_factory=list)
    folders: Folders = field(default_factory=lambda: Folders())

    def __post_init__(self) -> None:
        for role in self.overrides:
            if role not in self.spec.files:
                raise UsageError(
                    f"{self.spec.id} has no files called {role!r}; it has: {', '.join(sorted(self.spec.files))}."
                )

    def annotation(self, role: str) -> Path:
        """Path of an annotation file.

        Raises:
            DataMissingError: it is in none of the places.
        """
        path = self._find(role)
        if path not in self.read:
            self.read.append(path)
        return path

    def image_root(self, role: str = "images") -> ImageRoot:
        """Where the image names of the annotations are looked up.

        If none of the places exists the first is taken: its pictures are then reported as missing, with their number.
        """
        places = self.places(role)
        found = next((place for place in places if place.exists()), places[0])
        return ImageRoot(found, self.spec.id, self.folders)

    def below(self, folder: Path, name: str, where: str) -> ImageRef:
        """The file called ``name`` below some other folder, there or not; archives that lie there are not opened.

        Args:
            folder: for example the data root, for annotations whose image names start there.
            name: relative posix path, as written in the annotation file.
            where: file and line or field, for the message.

        Raises:
            DataError: the name is absolute, empty or climbs out of the folder.
        """
        return ImageRef(_prefix(folder) + _inside(name, where, folder, self.spec.id))

    def places(self, role: str) -> list[Path]:
        """Where a role is looked for, best first."""
        if role in self.overrides:
            return [self.overrides[role]]
        return [self.root / place for place in self.spec.files[role]]

    def _find(self, role: str) -> Path:
        places = self.places(role)
        for place in places:
            if place.exists():
                return place
        looked = "\n  ".join(map(str, places))
        raise DataMissingError(f"{self.spec.id}: no {role} found. Looked for:\n  {looked}\n{self.spec.how_to_get}")


class Folders:
    """Answers "is this file there?" with one directory listing per folder: a stat call per picture takes minutes on
    network disks.
    """

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str]] = {}

    def names(self, folder: str) -> frozenset[str]:
        """Names in a folder (the current one if it is empty); none if it does not exist."""
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(os.listdir(folder or "."))  # noqa: PTH208 - names only, no Path per file
            except OSError:
                self._names[folder] = frozenset()
        return self._names[folder]

    def has(self, path: str) -> bool:
        """Is there a file or folder of this name?"""
        folder, separator, name = path.rpartition(os.sep)
        folder = folder or separator
        return name in (self._names.get(folder) or self.names(folder))

    def lacking(self, images: Iterable[ImageRef]) -> frozenset[ImageRef]:
        """Those whose file is not there; neighbours are best told one after the other."""
        last, names, found = None, frozenset[str](), []
        for ref in images:
            folder, separator, name = ref.path.rpartition(os.sep)
            folder = folder or separator
            if folder != last:
                last, names = folder, self.names(folder)
            if name not in names:
                found.append(ref)
        return frozenset(found)


class ImageRoot:
    """A folder of pictures, an archive of pictures, or a folder with such archives.

    Names come from files that strangers wrote, so one that would leave the folder is refused. Symbolic links *below*
    the folder belong to the user and are followed.
    """

    def __init__(self, place: Path, dataset: str, folders: Folders) -> None:
        """
        Args:
            place: folder or archive.
            dataset: whose names are looked up; for messages.
            folders: shared directory listings.
        """
        self.place = place
        self._dataset = dataset
        self._folders = folders
        self._prefix = _prefix(place)

    def image(self, name: str, where: str, *, anywhere: bool = False) -> ImageRef:
        """The picture called ``name``: in the folder, else in an archive that lies there.

        Args:
            name: relative posix path, as written in the annotation file.
            where: file and line or field, for the message.
            anywhere: if the path is not found as written, the last part of the name is enough.

        Returns:
            The picture; if it is nowhere, the place where it should be.

        Raises:
            DataError: the name is absolute, empty or climbs out of the folder.
        """
        return self.find(name, where, anywhere=anywhere) or self.expected(name, where)

    def find(self, name: str, where: str, *, anywhere: bool = False) -> ImageRef | None:
        """The picture called ``name``, or None if it is nowhere; arguments and errors as for :meth:`image`."""
        expected = self.expected(name, where)
        if self._folders.has(expected.path):
            return expected
        if not (anywhere or self._archived):
            return None
        parts = expected.path.removeprefix(self._prefix).split("/")
        flat = self._prefix + parts[-1]
        if anywhere and self._folders.has(flat):
            return ImageRef(flat)
        for count in range(len(parts), 0, -1) if anywhere else (len(parts), len(parts) - 1):
            # An archive may or may not repeat the name of the folder that it stands for.
            member = self._archived.get("/".join(parts[-count:])) if count else None
            if member:
                return member
        return None

    def expected(self, name: str, where: str) -> ImageRef:
        """Where the picture called ``name`` lies if it is a file of its own; arguments as for :meth:`image`."""
        return ImageRef(self._prefix + _inside(name, where, self.place, self._dataset))

    def listing(self) -> dict[str, ImageRef]:
        """Every file one folder deep, by ``folder/name``, in sorted order: for sets whose labels are folder names.

        Members of archives count by the last two parts of their name. A file wins over an archive, and of two archives
        with the same member the one whose name sorts first.
        """
        found: dict[str, ImageRef] = {}
        for folder in self._folders.names(str(self.place)):
            inside = self._prefix + folder
            for name in self._folders.names(inside):
                found[f"{folder}/{name}"] = ImageRef(f"{inside}{os.sep}{name}")
        for archive in self._archives:
            for name, ref in members(archive).items():
                found.setdefault("/".join(name.split("/")[-2:]), ref)
        return dict(sorted(found.items()))

    @cached_property
    def _archives(self) -> list[Path]:
        """The archives in this folder, sorted; or the place itself, if it is one."""
        if self.place.is_file():
            if not is_archive(self.place):
                raise DataError(
                    f"{self.place}: not a folder, and not an archive whose pictures can be read in place "
                    f"({', '.join(ARCHIVES)}). Unpack it, and give the folder as images of {self._dataset}."
                )
            return [self.place]
        names = (name for name in self._folders.names(str(self.place)) if name.lower().endswith(ARCHIVES))
        return [place for name in sorted(names) if is_archive(place := self.place / name)]

    @cached_property
    def _archived(self) -> dict[str, ImageRef]:
        """Members of the archives here, by every suffix of their path down to the file name, if it is unambiguous."""
        found: dict[str, ImageRef] = {}
        ambiguous: set[str] = set()
        for archive in self._archives:
            for name, ref in members(archive).items():
                parts = name.split("/")
                for start in range(len(parts)):
                    suffix = "/".join(parts[start:])
                    if suffix in found:
                        ambiguous.add(suffix)
                    found[suffix] = ref
        return {name: ref for name, ref in found.items() if name not in ambiguous}


_PART = r"(?!\.{1,2}(?:/|\Z))[^/\\:\0]+"
_PLAIN = re.compile(f"{_PART}(?:/{_PART})*")
"""Nearly every name: nothing in it to be refused or left out."""


def _inside(name: str, where: str, place: Path, dataset: str) -> str:
    """A name that stays below ``place``, without empty parts. By hand: a Path per picture is slow at 10^5 pictures.

    Raises:
        DataError: it would not.
    """
    if _PLAIN.fullmatch(name):
        return name
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0] or "\0" in name:
        raise DataError(
            f"{where}: image name {name!r} would leave the image folder {place} of {dataset}. "
            "Expected a relative path such as 'val2017/000000000139.jpg'."
        )
    return "/".join(parts)


@lru_cache(maxsize=1024)
def _prefix(place: Path) -> str:
    return str(place).rstrip(os.sep) + os.sep
