"""Reading LVIS v1 as ground truth for detection: objects, federated lists, categories with their frequency.

The minival split (MDETR's name; 4,809 pictures) is the part of LVIS v1 val that lies in COCO's val2017. It is read from
a file of its own or out of the complete one: by ``coco_url`` in both cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fgbench.data.files import DatasetFiles, ImageRoot
from fgbench.data.json_tables import Lists
from fgbench.detector import DetectionPictures
from fgbench.errors import DataError
from fgbench.metrics.lvis_ap import GroundTruth

from .coco_format import BoxFile, position, read_boxes

CATEGORIES = 1203
IMAGES = {"minival": 4809, "val": 19_809}
VAL_2017 = "val2017/"

Int64 = npt.NDArray[np.int64]


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
    file = read_boxes(path)
    frequency = _frequencies(file)
    root = files.image_root()
    train = has_train(files, root)
    urls = file.images.need("coco_url")
    names = [picture_path(urls[row]) for row in file.image_rows.tolist()]
    inside = [place for place, name in enumerate(names) if name.startswith(VAL_2017) or (train and not minival)]
    taken = np.array(inside[:limit], dtype=np.int64)
    sizes = _sizes(file)
    pictures = DetectionPictures(
        image_ids=file.image_ids[taken],
        images=[root.image(names[place], file.images.where(file.image_rows[place])) for place in taken.tolist()],
        sizes=sizes[taken],
        category_ids=np.arange(1, len(frequency) + 1),
        names=file.category_names,
    )
    return LvisSplit(
        pictures,
        _ground_truth(file, taken, frequency),
        known_ids=file.image_ids,
        known_sizes=sizes,
        notes=tuple(_notes(names, len(inside), minival, root, len(frequency))),
    )


def picture_path(url: str) -> str:
    """``val2017/000000000139.jpg`` or ``train2017/…``: the last two parts of ``coco_url``. A ``file_name``, which some
    editions add, is not used.
    """
    return "/".join(url.rsplit("/", 2)[-2:])


def has_train(files: DatasetFiles, root: ImageRoot) -> bool:
    """Is there a folder or archive of COCO's train2017?"""
    return bool({"train2017", "train2017.zip", "train2017.tar"} & files.folders.names(str(root.place)))


def _frequencies(file: BoxFile) -> npt.NDArray[np.str_]:
    """``r``, ``c`` or ``f`` of each category; checked, as are the ids."""
    ids = file.category_ids.tolist()
    if not ids or ids != list(range(1, len(ids) + 1)):
        raise DataError(
            f"{file.path}: category ids should be 1 to {len(ids)} without gaps, as in LVIS v1; found "
            f"{', '.join(map(str, ids[:5])) or 'none'}, …. Is this another dataset's file?"
        )
    column = file.categories.need("frequency")
    for row, found in enumerate(column):
        if found not in ("r", "c", "f"):
            where = file.categories.where(row)
            raise DataError(f"{where}: field 'frequency' should be 'r', 'c' or 'f', found {found!r:.60}.")
    return np.array([column[row] for row in file.category_rows.tolist()])


def _sizes(file: BoxFile) -> Int64:
    """Width and height by ascending image id: int64 [n, 2]."""
    table = np.stack([file.images.need("width"), file.images.need("height")], axis=1)
    wrong = (table < 1).any(axis=1)
    if wrong.any():
        where = file.images.where(int(wrong.argmax()))
        raise DataError(f"{where}: 'width' and 'height' should be at least 1.")
    sizes: Int64 = table[file.image_rows]
    return sizes


def _ground_truth(file: BoxFile, taken: Int64, frequency: npt.NDArray[np.str_]) -> GroundTruth:
    """Objects and lists of the pictures ``taken`` (places in ``file.image_ids``, ascending)."""
    objects = file.annotations
    objects.unique_ids()
    owner = file.image_of()
    category = position(file.category_ids, objects.need("category_id"))
    box, area = objects.need("bbox"), objects.need("area")
    unknown = (owner < 0) | (category < 0)
    if unknown.any():
        row = int(unknown.argmax())
        named = f"image_id {objects.need('image_id')[row]} or category_id {objects.need('category_id')[row]}"
        raise DataError(f"{objects.where(row)}: {named} is not in the file.")
    if objects.need("iscrowd").any():
        where = objects.where(int(objects.need("iscrowd").argmax()))
        raise DataError(f"{where}: 'iscrowd' is set. LVIS has no crowd regions: is this COCO's file?")
    place = position(taken, owner)
    kept = np.flatnonzero(place >= 0)
    finite = np.isfinite(box[kept]).all(axis=1) & np.isfinite(area[kept])
    if not finite.all():
        where = objects.where(int(kept[finite.argmin()]))
        raise DataError(f"{where}: 'bbox' and 'area' should be finite numbers.")
    return GroundTruth(
        images=len(taken),
        frequency=frequency,
        image=place[kept],
        category=category[kept],
        box=box[kept],
        area=area[kept],
        ignore=objects.need("ignore")[kept],
        negative=_listed("neg_category_ids", file, taken),
        not_exhaustive=_listed("not_exhaustive_category_ids", file, taken),
    )


def _listed(name: str, file: BoxFile, taken: Int64) -> Int64:
    """A federated list as (picture, category) pairs: int64 [n, 2]."""
    lists: Lists = file.images.need(name)
    rows = file.image_rows[taken].tolist()
    of_picture = [lists[row] for row in rows]
    picture = np.repeat(np.arange(len(rows)), [len(each) for each in of_picture])
    ids = np.concatenate([np.zeros(0, dtype=np.int64), *of_picture])
    category = position(file.category_ids, ids)
    if (category < 0).any():
        wrong = int((category < 0).argmax())
        where = file.images.where(rows[picture[wrong]])
        raise DataError(f"{where}: field {name!r} holds {ids[wrong]}, which is no category of the file.")
    return np.stack([picture, category], axis=1)


def _notes(names: Sequence[str], inside: int, minival: bool, root: ImageRoot, categories: int) -> list[str]:
    notes = []
    left_out = sum(not name.startswith(VAL_2017) for name in names) if not minival else 0
    if left_out and inside < len(names):
        notes.append(f"{root.place} has no train2017: {left_out:,} pictures of it were left out, so this is minival.")
    elif left_out:
        notes.append(
            f"{left_out:,} of the {len(names):,} pictures are from COCO train2017, on which LLMDet and other detectors "
            "were trained (with other annotations); minival has no such overlap."
        )
    expected = IMAGES["minival" if minival else "val"]
    if inside != expected and not (left_out and inside < len(names)):
        notes.append(f"The annotation file has {inside:,} pictures of this split instead of {expected:,}.")
    if categories != CATEGORIES:
        notes.append(f"The annotation file has {categories:,} categories instead of {CATEGORIES:,}.")
    return notes
