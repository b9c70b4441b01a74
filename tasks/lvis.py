"""Reading LVIS v1 as ground truth for detection: objects, federated lists, categories with their frequency.

The minival split (MDETR's name; 4,809 pictures) is the part of LVIS v1 val that lies in COCO's val2017. It is read from
a file of its own or out of the complete one: by ``coco_url`` in both cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fgbench.data.annotations import box, read_json
from fgbench.data.annotations import field as get
from fgbench.data.files import DatasetFiles, ImageRoot
from fgbench.detector import DetectionPictures
from fgbench.errors import DataError
from fgbench.metrics.lvis_ap import GroundTruth

from .coco_format import rows_by_id

CATEGORIES = 1203
IMAGES = {"minival": 4809, "val": 19_809}
VAL_2017 = "val2017/"

Int64 = npt.NDArray[np.int64]
Rows = Mapping[int, Mapping[str, Any]]


@dataclass(frozen=True)
class LvisSplit:
    """One split of LVIS; positions of pictures and categories are those of ``pictures``.

    Attributes:
        pictures: what is evaluated, by ascending id, with all categories.
        truth: objects and federated lists.
        known_ids: int64 [K]; every picture in the annotation file, ascending.
        known_sizes: int64 [K, 2]; their width and height.
        notes: for the reader of the result.
    """

    pictures: DetectionPictures
    truth: GroundTruth
    known_ids: Int64
    known_sizes: Int64
    notes: tuple[str, ...]


def read_lvis(files: DatasetFiles, *, minival: bool, limit: int | None = None) -> LvisSplit:
    """Read the ground truth of a split.

    Without a train2017 folder (or archive) three quarters of val cannot be there: then only the pictures in val2017 are
    evaluated, and a note says so.

    Args:
        files: with roles ``annotations`` and ``images``.
        minival: only the pictures in val2017.
        limit: the first so many pictures, by id.

    Raises:
        DataMissingError: no annotation file.
        DataError: it cannot be understood, or is not LVIS: category ids that are not 1, 2, 3, …, a category without
            frequency, crowd regions.
    """
    path = files.annotation("annotations")
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object with 'images', 'annotations' and 'categories', as in LVIS.")
    images = dict(sorted(rows_by_id(content, "images", path).items()))
    categories = _categories(rows_by_id(content, "categories", path), path)
    root = files.image_root()
    train = has_train(files, root)
    names = {number: picture_name(row, f"{path}: image {number}") for number, row in images.items()}
    inside = [number for number, name in names.items() if name.startswith(VAL_2017) or (train and not minival)]
    ids = inside[:limit]
    pictures = DetectionPictures(
        image_ids=np.array(ids, dtype=np.int64),
        images=[root.image(names[number], f"{path}: image {number}") for number in ids],
        sizes=_sizes({number: images[number] for number in ids}, path),
        category_ids=np.arange(1, len(categories) + 1),
        names=[get(row, "name", str, f"{path}: category {number}") for number, row in categories.items()],
    )
    return LvisSplit(
        pictures,
        _ground_truth(content, images, pictures, categories, path),
        known_ids=np.array(list(images), dtype=np.int64),
        known_sizes=_sizes(images, path),
        notes=tuple(_notes(names, inside, minival, root, len(categories))),
    )


def picture_name(row: Mapping[str, Any], where: str) -> str:
    """``val2017/000000000139.jpg`` or ``train2017/…``: the last two parts of ``coco_url``. A ``file_name``, which some
    editions add, is not used.

    Raises:
        DataError: the row has no ``coco_url``.
    """
    return "/".join(get(row, "coco_url", str, where).split("/")[-2:])


def has_train(files: DatasetFiles, root: ImageRoot) -> bool:
    """Is there a folder or archive of COCO's train2017?"""
    return bool({"train2017", "train2017.zip", "train2017.tar"} & files.folders.names(str(root.place)))


def _categories(rows: Rows, path: Path) -> Rows:
    """By ascending id, checked."""
    ordered = dict(sorted(rows.items()))
    if not ordered or list(ordered) != list(range(1, len(ordered) + 1)):
        raise DataError(
            f"{path}: category ids should be 1 to {len(ordered)} without gaps, as in LVIS v1; found "
            f"{', '.join(map(str, list(ordered)[:5])) or 'none'}, …. Is this another dataset's file?"
        )
    for number, row in ordered.items():
        where = f"{path}: category {number}"
        if (found := get(row, "frequency", str, where)) not in ("r", "c", "f"):
            raise DataError(f"{where}: field 'frequency' should be 'r', 'c' or 'f', found {found!r:.60}.")
    return ordered


def _sizes(images: Rows, path: Path) -> Int64:
    """Width and height: int64 [n, 2]."""
    sizes = [
        [get(row, name, int, f"{path}: image {number}") for name in ("width", "height")]
        for number, row in images.items()
    ]
    table = np.array(sizes, dtype=np.int64).reshape(-1, 2)
    if (table < 1).any():
        number = list(images)[int((table < 1).any(axis=1).argmax())]
        raise DataError(f"{path}: image {number}: 'width' and 'height' should be at least 1.")
    return table


def _ground_truth(
    content: Mapping[str, Any], images: Rows, pictures: DetectionPictures, categories: Rows, path: Path
) -> GroundTruth:
    place = {number: index for index, number in enumerate(pictures.image_ids.tolist())}
    image, category, boxes, area, ignore = [], [], [], [], []
    seen: set[int] = set()
    for index, row in enumerate(get(content, "annotations", list, str(path))):
        where = f"{path}: annotations[{index}]"
        if not isinstance(row, dict):
            raise DataError(f"{where} should be an object, found {row!r:.60}.")
        number, owner, label = (get(row, name, int, where) for name in ("id", "image_id", "category_id"))
        if number in seen:
            raise DataError(f"{where}: id {number} occurs twice; each object needs an id of its own.")
        seen.add(number)
        if owner not in images or label not in categories:
            raise DataError(f"{where}: image_id {owner} or category_id {label} is not in the file.")
        if row.get("iscrowd"):
            raise DataError(f"{where}: 'iscrowd' is set. LVIS has no crowd regions: is this COCO's file?")
        if owner in place:
            image.append(place[owner])
            category.append(label - 1)
            boxes.append(box(row, where))
            area.append(get(row, "area", float, where))
            ignore.append(bool(row.get("ignore")))
            if not np.isfinite([*boxes[-1], area[-1]]).all():
                raise DataError(f"{where}: 'bbox' and 'area' should be finite numbers.")
    return GroundTruth(
        images=len(place),
        frequency=np.array([row["frequency"] for row in categories.values()]),
        image=np.array(image, dtype=np.int64),
        category=np.array(category, dtype=np.int64),
        box=np.array(boxes, dtype=np.float64).reshape(-1, 4),
        area=np.array(area, dtype=np.float64),
        ignore=np.array(ignore, dtype=bool),
        negative=_listed("neg_category_ids", images, place, categories, path),
        not_exhaustive=_listed("not_exhaustive_category_ids", images, place, categories, path),
    )


def _listed(name: str, images: Rows, place: Mapping[int, int], categories: Rows, path: Path) -> Int64:
    """A federated list as (picture, category) pairs: int64 [n, 2]."""
    pairs = []
    for number, index in place.items():
        where = f"{path}: image {number}"
        for category in get(images[number], name, list, where):
            if not isinstance(category, int) or category not in categories:
                raise DataError(f"{where}: field {name!r} holds {category!r:.60}, which is no category of the file.")
            pairs.append((index, category - 1))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _notes(names: Mapping[int, str], inside: list[int], minival: bool, root: ImageRoot, categories: int) -> list[str]:
    notes = []
    left_out = sum(not name.startswith(VAL_2017) for name in names.values()) if not minival else 0
    if left_out and len(inside) < len(names):
        notes.append(f"{root.place} has no train2017: {left_out:,} pictures of it were left out, so this is minival.")
    elif left_out:
        notes.append(
            f"{left_out:,} of the {len(names):,} pictures are from COCO train2017, on which LLMDet and other detectors "
            "were trained (with other annotations); minival has no such overlap."
        )
    expected = IMAGES["minival" if minival else "val"]
    if len(inside) != expected and not (left_out and len(inside) < len(names)):
        notes.append(f"The annotation file has {len(inside):,} pictures of this split instead of {expected:,}.")
    if categories != CATEGORIES:
        notes.append(f"The annotation file has {categories:,} categories instead of {CATEGORIES:,}.")
    return notes
