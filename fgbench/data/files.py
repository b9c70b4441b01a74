"""Finding the files of a dataset on the user's disk.

A dataset names *roles* (``annotations``, ``images``, …) and for each role the places, relative to the data root, where
published layouts put it. The first that exists is taken. A user whose files lie elsewhere overrides a role.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

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
    """

    spec: DatasetSpec
    root: Path
    overrides: Mapping[str, Path] = field(default_factory=dict)
    read: list[Path] = field(default_factory=list)

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
        """The folder that image names of the annotations are relative to.

        Raises:
            DataMissingError: it is in none of the places.
        """
        return ImageRoot(self._find(role), self.spec.id)

    def _find(self, role: str) -> Path:
        if role in self.overrides:
            candidates = [self.overrides[role]]
        else:
            candidates = [self.root / place for place in self.spec.files[role]]
        for candidate in candidates:
            if candidate.exists():
                return candidate
        looked = "\n  ".join(str(candidate) for candidate in candidates)
        raise DataMissingError(f"{self.spec.id}: no {role} found. Looked for:\n  {looked}\n{self.spec.how_to_get}")


@dataclass(frozen=True)
class ImageRoot:
    """A folder of pictures; joins names from annotation files safely.

    Attributes:
        folder: the folder.
        dataset: whose names are joined; for messages.
    """

    folder: Path
    dataset: str

    def image(self, name: str, where: str) -> ImageRef:
        """The picture called ``name`` (posix, relative).

        Names come from files that strangers wrote, so one that would leave the folder is refused. Symbolic links
        *below* the folder belong to the user and are followed.

        Args:
            name: as written in the annotation file.
            where: file and line or field, for the message.

        Raises:
            DataError: the name is absolute, empty or climbs out of the folder.
        """
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0] or "\0" in name:
            raise DataError(
                f"{where}: image name {name!r} would leave the image folder {self.folder}. "
                "Expected a relative path such as 'val2017/000000000139.jpg'."
            )
        return ImageRef(os.path.join(self.folder, *parts))  # noqa: PTH118 - a Path per picture is slow at 10^5 pictures
