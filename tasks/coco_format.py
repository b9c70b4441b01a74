"""Reading annotation files in COCO's JSON format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fgbench.data.annotations import field, read_json
from fgbench.data.json_tables import Table, Wanted, read_tables
from fgbench.errors import DataError

BOX_FIELDS: Wanted = {
    "images": {
        "id": "integer",
        "file_name": "text",
        "coco_url": "text",
        "width": "integer",
        "height": "integer",
        "neg_category_ids": "integers",
        "not_exhaustive_category_ids": "integers",
    },
    "annotations": {
        "id": "integer",
        "image_id": "integer",
        "category_id": "integer",
        "bbox": "box",
        "area": "number",
        "iscrowd": "flag",
        "ignore": "flag",
    },
    "categories": {"id": "integer", "name": "text", "frequency": "text"},
}
"""Everything that some reader asks of a file with boxes: all of them share what is kept of it."""


@dataclass(frozen=True)
class BoxFile:
    """A COCO or LVIS file with boxes, as columns.

    Attributes:
        path: the file.
        images, annotations, categories: its lists, in file order.
        image_ids: int64 [K]; ascending.
        image_rows: int64 [K]; the row of each in ``images``.
        category_ids: int64 [C]; ascending.
        category_rows: int64 [C]; the row of each in ``categories``.
    """

    path: Path
    images: Table
    annotations: Table
    categories: Table
    image_ids: npt.NDArray[np.int64]
    image_rows: npt.NDArray[np.int64]
    category_ids: npt.NDArray[np.int64]
    category_rows: npt.NDArray[np.int64]

    @property
    def category_names(self) -> list[str]:
        """By ascending id.

        Raises:
            DataError: a category has none.
        """
        names = self.categories.need("name")
        return [names[row] for row in self.category_rows.tolist()]

    @property
    def frequencies(self) -> list[str]:
        """LVIS: ``r``, ``c`` or ``f`` by ascending category id; empty unless every category has one."""
        letters = self.categories.columns.get("frequency", ())
        known = bool(letters) and set(letters) <= {"r", "c", "f"}
        return [letters[row] for row in self.category_rows.tolist()] if known else []

    def image_of(self) -> npt.NDArray[np.int64]:
        """The picture of each annotation: int64, an index into ``image_ids``, or -1 if it is not listed.

        Raises:
            DataError: an annotation names no picture.
        """
        return position(self.image_ids, self.annotations.need("image_id"))


def read_boxes(path: Path) -> BoxFile:
    """Read a file with boxes.

    Raises:
        DataError: not JSON, not of this form, or pictures or categories without ids of their own.
    """
    tables = read_tables(path, BOX_FIELDS)
    images, annotations, categories = tables["images"], tables["annotations"], tables["categories"]
    image_ids, category_ids = images.unique_ids(), categories.unique_ids()
    image_rows, category_rows = np.argsort(image_ids), np.argsort(category_ids)
    return BoxFile(
        path,
        images,
        annotations,
        categories,
        image_ids[image_rows],
        image_rows,
        category_ids[category_rows],
        category_rows,
    )


def position(ascending: npt.NDArray[np.int64], values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each value stands in ``ascending``; -1 if it does not."""
    if not len(ascending):
        return np.full(len(values), -1, dtype=np.int64)
    place = np.searchsorted(ascending, values).clip(max=len(ascending) - 1)
    return np.where(ascending[place] == values, place, -1)


@dataclass(frozen=True)
class CocoFile:
    """The parts of a COCO caption file that evaluation needs.

    Attributes:
        path: the file.
        images: image rows by id, in ascending order of id.
        annotations: annotation rows in file order.
    """

    path: Path
    images: dict[int, dict[str, Any]]
    annotations: list[dict[str, Any]]

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


def read_coco(path: Path) -> CocoFile:
    """Read a caption file.

    Raises:
        DataError: not JSON, or a field is missing or of another type.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object with 'images' and 'annotations', as in COCO's annotation files.")
    images = _rows_by_id(content, "images", path)
    annotations = field(content, "annotations", list, str(path))
    for index, row in enumerate(annotations):
        if not isinstance(row, dict):
            raise DataError(f"{path}: annotations[{index}] should be an object, found {row!r:.60}.")
    return CocoFile(path, dict(sorted(images.items())), annotations)


def _rows_by_id(content: dict[str, Any], name: str, path: Path) -> dict[int, dict[str, Any]]:
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
