"""Reading annotation files in COCO's JSON format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as field_
from pathlib import Path
from typing import Any

from fgbench.data.annotations import field, read_json
from fgbench.errors import DataError


@dataclass(frozen=True)
class CocoFile:
    """The parts of a COCO annotation file that evaluation needs.

    Attributes:
        path: the file.
        images: image rows by id, in ascending order of id.
        annotations: annotation rows in file order.
        categories: class name by id, in ascending order of id; empty for caption files.
        categories_sorted: was that also their order in the file?
        frequencies: LVIS: ``r``, ``c`` or ``f`` by id; empty unless every category has one.
    """

    path: Path
    images: dict[int, dict[str, Any]]
    annotations: list[dict[str, Any]]
    categories: dict[int, str]
    categories_sorted: bool = True
    frequencies: Mapping[int, str] = field_(default_factory=dict)

    def by_image(self) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """(image id, where, annotation): by ascending image id, then in file order; images not listed come last.

        ``where`` names the annotation in messages.
        """
        last = max(self.images, default=0) + 1
        keyed = []
        for index, row in enumerate(self.annotations):
            where = f"{self.path}: annotations[{index}]"
            image = field(row, "image_id", int, where)
            keyed.append((image if image in self.images else last, index, image, where, row))
        keyed.sort(key=lambda entry: entry[:2])
        for _, _, image, where, row in keyed:
            yield image, where, row


def read_coco(path: Path, *, categories: bool = False) -> CocoFile:
    """Read a COCO file.

    Args:
        path: JSON file.
        categories: read the class list too; it is then required.

    Raises:
        DataError: not JSON, or a field is missing or of another type.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object with 'images' and 'annotations', as in COCO's annotation files.")
    images = rows_by_id(content, "images", path)
    classes = rows_by_id(content, "categories", path) if categories else {}
    names = {number: field(row, "name", str, f"{path}: category {number}") for number, row in sorted(classes.items())}
    annotations = field(content, "annotations", list, str(path))
    for index, row in enumerate(annotations):
        if not isinstance(row, dict):
            raise DataError(f"{path}: annotations[{index}] should be an object, found {row!r:.60}.")
    letters = {number: str(row.get("frequency")) for number, row in classes.items()}
    frequencies = letters if set(letters.values()) <= {"r", "c", "f"} else {}
    return CocoFile(
        path, dict(sorted(images.items())), annotations, names, list(classes) == sorted(classes), frequencies
    )


def rows_by_id(content: dict[str, Any], name: str, path: Path) -> dict[int, dict[str, Any]]:
    """The objects of a list by their ``id``, in file order.

    Raises:
        DataError: not a list of objects with different ids.
    """
    rows: dict[int, dict[str, Any]] = {}
    for index, row in enumerate(field(content, name, list, str(path))):
        where = f"{path}: {name}[{index}]"
        if not isinstance(row, dict):
            raise DataError(f"{where} should be an object, found {row!r:.60}.")
        number = field(row, "id", int, where)
        if number in rows:
            raise DataError(f"{where}: id {number} occurs twice; each of the {name} needs an id of its own.")
        rows[number] = row
    return rows
