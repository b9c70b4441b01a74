"""Reading labelled boxes from annotation files in COCO's format and its relatives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fgbench.data.annotations import box
from fgbench.data.annotations import field as get
from fgbench.data.files import DatasetFiles
from fgbench.errors import DataError
from fgbench.requests import ImageRef

from .coco_format import CocoFile, read_coco
from .lvis import has_train, picture_name


@dataclass(frozen=True)
class LabelledBoxes:
    """Boxes with their classes.

    Attributes:
        ids: int64 [n]; annotation ids.
        images: the distinct pictures.
        image_index: int64 [n].
        boxes: float64 [n, 4]; x, y, width, height in pixels.
        label: int64 [n]; index into ``classes``.
        subsets: bool [n] by name.
        classes: names as used in prompts.
        size: number of annotations considered, rejected ones included, by subset.
        rejected: annotations without an item, by reason.
        frequency: LVIS: ``r``, ``c`` or ``f`` of each class; else empty.
        notes: for the reader of the result.
    """

    ids: npt.NDArray[np.int64]
    images: list[ImageRef]
    image_index: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    label: npt.NDArray[np.int64]
    subsets: Mapping[str, npt.NDArray[np.bool_]]
    classes: list[str]
    size: Mapping[str, int]
    rejected: Counter[str] = field(default_factory=Counter)
    frequency: Sequence[str] = ()
    notes: tuple[str, ...] = ()


def read_coco_boxes(files: DatasetFiles, limit: int | None) -> LabelledBoxes:
    """COCO instances: all boxes, and those that are no crowd regions."""
    coco = read_coco(files.annotation("annotations"), categories=True)
    root = files.image_root()

    def image(row: Mapping[str, object], where: str) -> ImageRef:
        return root.image(get(row, "file_name", str, where), where)

    rows = _collect(coco, image, limit)
    crowd = np.array([bool(row.annotation.get("iscrowd", 0)) for row in rows.kept], dtype=bool)
    subsets = {"all": np.ones(len(crowd), dtype=bool), "non-crowd": ~crowd}
    return _boxes(coco, rows, subsets, "all", list(coco.categories.values()))


def read_lvis_boxes(files: DatasetFiles, limit: int | None) -> LabelledBoxes:
    """LVIS v1: all pictures, and those in COCO's val2017.

    The file names pictures by ``coco_url``, whose last two parts are the path. Without a train2017 folder (or archive)
    three quarters of the pictures cannot be there: then only the subset val2017 is read, and a note says so.
    """
    coco = read_coco(files.annotation("annotations"), categories=True)
    root = files.image_root()
    train = has_train(files, root)
    in_val: set[ImageRef] = set()

    def image(row: Mapping[str, object], where: str) -> ImageRef | None:
        path = picture_name(row, where)
        if not path.startswith("val2017/"):
            return root.image(path, where) if train else None
        ref = root.image(path, where)
        in_val.add(ref)
        return ref

    rows = _collect(coco, image, limit)
    val = np.array([rows.refs[row.image] in in_val for row in rows.kept], dtype=bool)
    subsets = {"full": np.ones(len(val), dtype=bool), "val2017": val} if train else {"val2017": val}
    notes: tuple[str, ...] = ()
    if rows.passed_over:
        notes = (
            f"{root.place} has no train2017: only the subset val2017 was evaluated; {rows.passed_over:,} boxes on "
            f"{rows.images_passed_over:,} train2017 pictures were left out.",
        )
    classes = [name.replace("_", " ") for name in coco.categories.values()]
    return _boxes(coco, rows, subsets, "full" if train else "val2017", classes, notes)


def read_boxclass_cn(files: DatasetFiles, limit: int | None) -> LabelledBoxes:
    """BoxClass-CN. The official script takes ``category_id - 1`` as position in the list; ids must agree with that.

    Raises:
        DataError: they do not.
    """
    path = files.annotation("annotations")
    coco = read_coco(path, categories=True)
    if list(coco.categories) != list(range(1, len(coco.categories) + 1)) or not coco.categories_sorted:
        raise DataError(
            f"{path}: category ids should be 1 to {len(coco.categories)} in ascending order, because the official "
            "script uses category_id - 1 as a position in the list. With this file its labels would be wrong."
        )
    root = files.image_root()

    def image(row: Mapping[str, object], where: str) -> ImageRef:
        return root.image(get(row, "file_name", str, where), where, anywhere=True)

    rows = _collect(coco, image, limit)
    subsets = {"all": np.ones(len(rows.kept), dtype=bool)}
    return _boxes(coco, rows, subsets, "all", list(coco.categories.values()))


@dataclass(frozen=True)
class _Row:
    number: int
    image: int
    box: tuple[float, float, float, float]
    category: int
    annotation: Mapping[str, object]


@dataclass
class _Rows:
    """Annotations in evaluation order (ascending image id, then file order)."""

    kept: list[_Row]
    refs: list[ImageRef]
    rejected: Counter[str]
    considered: int
    passed_over: int
    images_passed_over: int = 0


def _collect(coco: CocoFile, image: Callable[[Mapping[str, object], str], ImageRef | None], limit: int | None) -> _Rows:
    """Walk through the annotations; ``image`` says which picture a row is, or None to pass it over."""
    rows = _Rows([], [], Counter(), 0, 0)
    refs: dict[ImageRef, int] = {}
    located: dict[int, ImageRef | None] = {}
    for number, where, annotation in coco.by_image():
        if rows.considered == limit:
            break
        if number in coco.images and number not in located:
            located[number] = image(coco.images[number], f"{coco.path}: image {number}")
        ref = located.get(number)
        if number in coco.images and ref is None:
            rows.passed_over += 1
            continue
        rows.considered += 1
        category = get(annotation, "category_id", int, where)
        if ref is None:
            rows.rejected["unknown_image"] += 1
        elif category not in coco.categories:
            rows.rejected["unknown_category"] += 1
        else:
            index = refs.setdefault(ref, len(refs))
            row_id = get(annotation, "id", int, where, rows.considered)
            rows.kept.append(_Row(row_id, index, box(annotation, where), category, annotation))
    rows.refs = list(refs)
    rows.images_passed_over = sum(ref is None for ref in located.values())
    return rows


def _boxes(
    coco: CocoFile,
    rows: _Rows,
    subsets: Mapping[str, npt.NDArray[np.bool_]],
    whole: str,
    classes: list[str],
    notes: tuple[str, ...] = (),
) -> LabelledBoxes:
    position = {category: index for index, category in enumerate(coco.categories)}
    return LabelledBoxes(
        ids=np.array([row.number for row in rows.kept], dtype=np.int64),
        images=rows.refs,
        image_index=np.array([row.image for row in rows.kept], dtype=np.int64),
        boxes=np.array([row.box for row in rows.kept], dtype=np.float64).reshape(-1, 4),
        label=np.array([position[row.category] for row in rows.kept], dtype=np.int64),
        subsets=subsets,
        classes=classes,
        size={whole: rows.considered},
        rejected=rows.rejected,
        frequency=[coco.frequencies[category] for category in coco.categories] if coco.frequencies else (),
        notes=notes,
    )
