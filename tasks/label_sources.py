"""Finding the label maps of a segmentation set on disk, in any of its published forms.

The forms of a set are tried in order, and the first that is there is read: masks that were prepared for CAT-Seg or
detectron2 before the raw download. Which one it was stands in the result.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from fgbench.data.annotations import field as get
from fgbench.data.annotations import read_lines
from fgbench.data.files import DatasetFiles
from fgbench.data.json_stream import read_json_arrays
from fgbench.data.label_images import SUFFIXES, label_size, read_labels, read_rgb_labels
from fgbench.errors import DataError, DataMissingError
from fgbench.requests import ImageRef
from fgbench.runner.windows import target_size

from .label_encodings import IGNORE, Encoding, Labels, object_ids, paint, resize_nearest
from .resources import lines

_PICTURES = (".jpg", ".jpeg", ".png")
_ADE_MASK = re.compile(r"ADE_val_(\d{8})_seg\.png")


@dataclass(frozen=True)
class Picture:
    """A picture and its label map.

    Attributes:
        id: file stem of the picture.
        image: the picture.
        label: where the label map is, for messages.
        read: reads its raw values, uint16 [H, W].
        size: reads its (height, width) only.
        there: does the label map exist?
    """

    id: str
    image: ImageRef
    label: str
    read: Callable[[], Labels]
    size: Callable[[], tuple[int, int]]
    there: bool = True


@dataclass(frozen=True)
class Form:
    """One way in which a set's ground truth is published.

    Attributes:
        role: of the set's files (:class:`fgbench.spec.DatasetSpec`).
        title: for results, beginning with ``prepared`` or ``raw``.
        encoding: what its values mean.
        find: the pictures of the split, sorted, from the folder or file of the role.
        short_side: label maps whose short side is longer are scaled down to it, as the preparation does.
    """

    role: str
    title: str
    encoding: Encoding
    find: Callable[[DatasetFiles, Path], Iterator[Picture]]
    short_side: int | None = None


@dataclass(frozen=True)
class GroundTruth:
    """The label maps of a set: read one at a time.

    Attributes:
        form: that was found.
        pictures: with a label map.
        lacking: label maps that are not there.
    """

    form: Form
    pictures: list[Picture]
    lacking: list[str]

    def raw(self, row: int) -> Labels:
        """Values of a label map as stored, at the size it is scored at.

        Raises:
            DataError: it cannot be read.
        """
        labels = self.pictures[row].read()
        return labels if labels.shape == (size := self._scored(labels.shape)) else resize_nearest(labels, size)

    def decode(self, raw: Labels, row: int) -> Labels:
        """Class indices, ``IGNORE`` where nothing is scored.

        Raises:
            DataError: it has values that this form does not have.
        """
        return self.form.encoding.decode(raw, self.pictures[row].label)

    def size(self, row: int) -> tuple[int, int]:
        """(height, width) at which a picture is scored, without reading its labels.

        Raises:
            DataError: the label map cannot be read.
        """
        return self._scored(self.pictures[row].size())

    def _scored(self, shape: tuple[int, ...]) -> tuple[int, int]:
        height, width = shape
        return target_size((width, height), self.form.short_side)[::-1]


def find_ground_truth(files: DatasetFiles, forms: tuple[Form, ...], limit: int | None) -> GroundTruth:
    """The first of the forms that is there; one for which the user named a place comes before all others.

    Raises:
        DataMissingError: there are no label maps in any of the places.
        DataError: files that define the split cannot be understood.
    """
    looked = []
    for form in sorted(forms, key=lambda each: each.role not in files.overrides):
        for place in files.places(form.role):
            pictures = list(itertools.islice(form.find(files, place), limit)) if place.exists() else []
            there = [picture for picture in pictures if picture.there]
            if there:
                return GroundTruth(form, there, [picture.label for picture in pictures if not picture.there])
            example = f", for example {Path(pictures[0].label).name}" if pictures else ""
            looked.append(f"{place}{f' (there, but without the expected label maps{example})' * place.exists()}")
    listed = "\n  ".join(looked)
    raise DataMissingError(f"{files.spec.id}: no label maps found. Looked for:\n  {listed}\n{files.spec.how_to_get}")


def in_folder(files: DatasetFiles, place: Path, *, wide: bool = False) -> Iterator[Picture]:
    """A folder of label maps that is the split: the picture of each is the one with its file stem.

    Args:
        files: of the set.
        place: the folder.
        wide: the labels need 16 bits.

    Raises:
        DataError: two label maps have the same stem.
    """
    images = _Images(files)
    seen: dict[str, str] = {}
    for name in sorted(files.folders.names(str(place))):
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 - no Path per file
        if suffix.lower() not in SUFFIXES or name.startswith("."):
            continue
        if stem in seen:
            raise DataError(f"{place}: two label maps for one picture: {seen[stem]} and {name}. Remove one.")
        seen[stem] = name
        yield _in_file(stem, images.named(stem), files.below(place, name, str(place)), wide=wide)


def pascal_context(files: DatasetFiles, place: Path, *, suffix: str) -> Iterator[Picture]:
    """Files named after the 5,104 pictures of PASCAL-Context's validation split (CAT-Seg's list)."""
    yield from _by_name(files, place, lines("pascal_context_val_ids"), suffix)


def voc(files: DatasetFiles, place: Path) -> Iterator[Picture]:
    """PNG files named in VOC's own split file (role ``split``)."""
    split = files.annotation("split")
    yield from _by_name(files, place, [line.strip() for _, line in read_lines(split) if line.strip()], ".png")


def ade_full(files: DatasetFiles, place: Path) -> Iterator[Picture]:
    """Every ``ADE_val_*_seg.png`` below a folder, by number; the picture lies beside it.

    The release's index is a pickle, which is neither trusted nor needed.
    """
    found = []
    for folder, inside, names in os.walk(place):
        # Folders named after a picture hold the masks of its instances: tens of thousands of small files.
        inside[:] = [name for name in inside if not name.startswith("ADE_val_")]
        found += [(match[1], folder) for name in names if (match := _ADE_MASK.fullmatch(name))]
    for number, folder in sorted(found):
        stem = f"ADE_val_{number}"
        label = files.below(Path(folder), f"{stem}_seg.png", folder)
        image = files.below(Path(folder), f"{stem}.jpg", folder)
        yield Picture(stem, image, str(label), partial(_object_ids, label), partial(label_size, label))


def pascal_context_json(files: DatasetFiles, _place: Path) -> Iterator[Picture]:
    """The pictures of phase ``val`` in ``trainval_merged.json`` (role ``json``), whose masks are painted in file order.

    The file is streamed; only the run lengths of the split are kept (a tenth of a gigabyte or two).

    Raises:
        DataError: a field is missing or of another type.
    """
    path = files.annotation("json")
    images: dict[int, dict[str, Any]] = {}
    masks: dict[int, list[tuple[int, dict[str, Any]]]] = {}
    wanted: dict[int, bool] = {}
    for name, where, row in read_json_arrays(path, ("images", "annos_segmentation")):
        number = get(row, "image_id", int, where)
        if name == "images":
            wanted[number] = get(row, "phase", str, where) == "val"
            if wanted[number]:
                images[number] = {
                    "stem": PurePath(get(row, "file_name", str, where)).stem,
                    "size": (get(row, "height", int, where), get(row, "width", int, where)),
                }
        elif wanted.get(number, True):
            category = get(row, "category_id", int, where)
            if not 0 <= category < IGNORE:
                raise DataError(f"{where}: field 'category_id' should be 0 to {IGNORE - 1}, found {category}.")
            mask = get(row, "segmentation", dict, where)
            masks.setdefault(number, []).append((category, {key: mask.get(key) for key in ("size", "counts")}))
    pictures = _Images(files)
    for number, image in sorted(images.items(), key=lambda item: str(item[1]["stem"])):
        where = f"{path}: image {number}"
        read = partial(paint, image["size"], masks.get(number, ()), where)
        yield Picture(image["stem"], pictures.named(image["stem"]), where, read, partial(tuple, image["size"]))


def _by_name(files: DatasetFiles, place: Path, stems: tuple[str, ...] | list[str], suffix: str) -> Iterator[Picture]:
    images = _Images(files)
    for stem in stems:
        label = files.below(place, f"{stem}{suffix}", str(place))
        yield _in_file(stem, images.named(stem), label, there=files.folders.has(label.path))


def _in_file(stem: str, image: ImageRef, label: ImageRef, *, wide: bool = False, there: bool = True) -> Picture:
    read = partial(read_labels, label, wide=wide)
    return Picture(stem, image, str(label), read, partial(label_size, label), there)


def _object_ids(label: ImageRef) -> Labels:
    return object_ids(read_rgb_labels(label))


class _Images:
    """Pictures by file stem."""

    def __init__(self, files: DatasetFiles) -> None:
        self._root = files.image_root()
        names = sorted(files.folders.names(str(self._root.place)), reverse=True)
        # Of two with one stem the JPEG comes last here and stays.
        self._names = {PurePath(name).stem: name for name in names if name.lower().endswith(_PICTURES)}

    def named(self, stem: str) -> ImageRef:
        """The picture, or the place where it should be."""
        return self._root.image(self._names.get(stem, f"{stem}.jpg"), str(self._root.place))
