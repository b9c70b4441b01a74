"""Reading labelled boxes from annotation files in COCO's format and its relatives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fgbench.data.files import DatasetFiles
from fgbench.errors import DataError
from fgbench.requests import ImageRef

from .coco_format import BoxFile, position, read_boxes
from .lvis import has_train, picture_path


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
    coco = read_boxes(files.annotation("annotations"))
    root = files.image_root()
    rows = _collect(coco, lambda row: root.image(coco.images.need("file_name")[row], coco.images.where(row)), limit)
    crowd = coco.annotations.need("iscrowd")[rows.kept]
    subsets = {"all": np.ones(len(crowd), dtype=bool), "non-crowd": ~crowd}
    return _boxes(coco, rows, subsets, "all", coco.category_names)


def read_lvis_boxes(files: DatasetFiles, limit: int | None) -> LabelledBoxes:
    """LVIS v1: all pictures, and those in COCO's val2017.

    The file names pictures by ``coco_url``, whose last two parts are the path. Without a train2017 folder (or archive)
    three quarters of the pictures cannot be there: then only the subset val2017 is read, and a note says so.
    """
    coco = read_boxes(files.annotation("annotations"))
    root = files.image_root()
    train = has_train(files, root)
    in_val: set[ImageRef] = set()

    def image(row: int) -> ImageRef | None:
        path = picture_path(coco.images.need("coco_url")[row])
        if not path.startswith("val2017/"):
            return root.image(path, coco.images.where(row)) if train else None
        ref = root.image(path, coco.images.where(row))
        in_val.add(ref)
        return ref

    rows = _collect(coco, image, limit)
    val = np.array([ref in in_val for ref in rows.refs], dtype=bool)[rows.image]
    subsets = {"full": np.ones(len(val), dtype=bool), "val2017": val} if train else {"val2017": val}
    notes: tuple[str, ...] = ()
    if rows.passed_over:
        notes = (
            f"{root.place} has no train2017: only the subset val2017 was evaluated; {rows.passed_over:,} boxes on "
            f"{rows.images_passed_over:,} train2017 pictures were left out.",
        )
    classes = [name.replace("_", " ") for name in coco.category_names]
    return _boxes(coco, rows, subsets, "full" if train else "val2017", classes, notes)


def read_boxclass_cn(files: DatasetFiles, limit: int | None) -> LabelledBoxes:
    """BoxClass-CN. The official script takes ``category_id - 1`` as position in the list; ids must agree with that.

    Raises:
        DataError: they do not.
    """
    path = files.annotation("annotations")
    coco = read_boxes(path)
    if coco.categories.need("id").tolist() != list(range(1, coco.categories.rows + 1)):
        raise DataError(
            f"{path}: category ids should be 1 to {coco.categories.rows} in ascending order, because the official "
            "script uses category_id - 1 as a position in the list. With this file its labels would be wrong."
        )
    root = files.image_root()
    names = coco.images.need("file_name")
    rows = _collect(coco, lambda row: root.image(names[row], coco.images.where(row), anywhere=True), limit)
    subsets = {"all": np.ones(len(rows.kept), dtype=bool)}
    return _boxes(coco, rows, subsets, "all", coco.category_names)


@dataclass(frozen=True)
class _Rows:
    """Annotations in evaluation order (ascending image id, then file order).

    Attributes:
        kept: int64 [n]; rows of the file.
        number: int64 [n]; place among those considered, from 1.
        image: int64 [n]; index into ``refs``.
        label: int64 [n]; index of the category by ascending id.
        refs: the distinct pictures.
        rejected: annotations without an item, by reason.
        considered: how many were looked at.
        passed_over, images_passed_over: annotations on pictures that are left out, and how many those are.
    """

    kept: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]
    image: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    refs: list[ImageRef]
    rejected: Counter[str]
    considered: int
    passed_over: int
    images_passed_over: int


def _collect(coco: BoxFile, image: Callable[[int], ImageRef | None], limit: int | None) -> _Rows:
    """Put the annotations in order; ``image`` says which picture a row of images is, or None to pass it over."""
    owner = coco.image_of()
    label = position(coco.category_ids, coco.annotations.need("category_id"))
    located = {number: image(int(coco.image_rows[number])) for number in np.unique(owner[owner >= 0]).tolist()}
    left_out = np.isin(owner, [number for number, ref in located.items() if ref is None])
    # Annotations whose picture is not listed come last.
    order = np.argsort(np.where(owner < 0, len(coco.image_ids), owner), kind="stable")
    considered = np.cumsum(~left_out[order])
    if limit is not None:
        order = order[: int(np.searchsorted(considered, limit)) + 1]
    passed_over = order[left_out[order]]
    order = order[~left_out[order]]
    known, named = owner[order] >= 0, label[order] >= 0
    reasons = {"unknown_image": int((~known).sum()), "unknown_category": int((known & ~named).sum())}
    kept = order[known & named]
    refs: dict[ImageRef, int] = {}
    index = np.zeros(len(coco.image_ids), dtype=np.int64)
    for number in np.unique(owner[kept]).tolist():
        if (ref := located[number]) is not None:
            index[number] = refs.setdefault(ref, len(refs))
    return _Rows(
        kept=kept,
        number=np.flatnonzero(known & named) + 1,
        image=index[owner[kept]],
        label=label[kept],
        refs=list(refs),
        rejected=Counter({reason: count for reason, count in reasons.items() if count}),
        considered=len(order),
        passed_over=len(passed_over),
        images_passed_over=len(np.unique(owner[passed_over])),
    )


def _boxes(
    coco: BoxFile,
    rows: _Rows,
    subsets: Mapping[str, npt.NDArray[np.bool_]],
    whole: str,
    classes: list[str],
    notes: tuple[str, ...] = (),
) -> LabelledBoxes:
    ids = coco.annotations.maybe("id")
    return LabelledBoxes(
        ids=rows.number if ids is None else ids[rows.kept],
        images=rows.refs,
        image_index=rows.image,
        boxes=coco.annotations.need("bbox")[rows.kept],
        label=rows.label,
        subsets=subsets,
        classes=classes,
        size={whole: rows.considered},
        rejected=rows.rejected,
        frequency=coco.frequencies,
        notes=notes,
    )
