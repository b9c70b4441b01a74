"""Detection results as JSON, in the form that COCO's and LVIS's evaluators read: for interchange only.

A list of objects with ``image_id``, ``category_id``, ``bbox`` [x, y, width, height] in pixels of the original picture,
and ``score``. The usual evaluators pass over several kinds of broken entries, or count them as errors; here each
kind is either refused or dropped and counted.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fgbench.data.annotations import box as get_box
from fgbench.data.annotations import field as get
from fgbench.data.annotations import read_json_array
from fgbench.data.atomic import replacing
from fgbench.data.proposal_arrays import Int64, Proposals, from_rows
from fgbench.errors import DataError

_BLOCK = 1 << 14
"""Characters read at a time: entries have about a hundred, and each costs a copy of the rest of the block."""

_ENTRY = '{"image_id": %d, "category_id": %d, "bbox": [%.9g, %.9g, %.9g, %.9g], "score": %.9g}'
"""Nine significant digits bring every float32 back."""


@dataclass(frozen=True)
class ImportReport:
    """What became of the entries of a result file.

    Attributes:
        entries: in the file.
        kept: of them.
        dropped: the others by reason: ``empty_box`` (width or height not above 0), ``outside_image``, ``repeated`` (an
            entry with the same picture, box, category and score stands before it, as after a distributed run that
            padded its share).
        clipped: kept entries whose box stuck out of the picture.
        images: pictures of the dataset.
        images_without: pictures for which the file has nothing.
    """

    entries: int
    kept: int
    dropped: Mapping[str, int]
    clipped: int
    images: int
    images_without: int

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The same in words."""
        words = {
            "empty_box": "width or height not above 0",
            "outside_image": "box wholly outside the picture",
            "repeated": "repeats of an earlier entry",
        }
        return [
            f"{self.kept:,} of {self.entries:,} entries kept",
            *(f"{count:,} dropped: {words[reason]}" for reason, count in self.dropped.items()),
            *([f"{self.clipped:,} boxes clipped to the picture"] if self.clipped else []),
            *([f"{self.images_without:,} of {self.images:,} pictures have no entry"] if self.images_without else []),
        ]


def read_results(
    path: Path, image_ids: Sequence[int] | Int64, sizes: npt.NDArray[Any], category_ids: Sequence[int] | Int64
) -> tuple[Proposals, ImportReport]:
    """Read a result file, entry by entry; all pictures of the dataset count as processed.

    Args:
        path: JSON file.
        image_ids: the pictures of the dataset.
        sizes: [I, 2]; width and height of each.
        category_ids: its categories.

    Raises:
        DataError: not a list of results; an unknown picture or category; a score or coordinate that is no finite
            number. The message names the entry, counted from 0.
    """
    image, category, score, box = _columns(path)
    _refuse(path, ~np.isfinite(score), lambda row: f"image {image[row]}: score {score[row]} is not a finite number")
    _refuse(
        path,
        np.isfinite(box).sum(axis=1) < 4,
        lambda row: f"image {image[row]}: bbox {box[row].tolist()} should be four finite numbers",
    )
    ids = np.asarray(image_ids, dtype=np.int64)
    ascending = np.argsort(ids, kind="stable")
    ids, size = ids[ascending], np.asarray(sizes, dtype=np.float64)[ascending]
    _refuse(
        path,
        ~np.isin(image, ids),
        lambda row: f"image_id {image[row]} is not in the dataset. Import the file for the dataset it was made for",
    )
    known = np.asarray(category_ids, dtype=np.int64)
    _refuse(
        path,
        ~np.isin(category, known),
        lambda row: f"category_id {category[row]} is not in the dataset, whose ids are {known.min()} to {known.max()}",
    )
    place = np.searchsorted(ids, image)
    corners = np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1)
    limit = np.tile(size[place], 2)
    clipped = np.clip(corners, 0, limit).astype(np.float32)
    empty = (box[:, 2:] <= 0).any(axis=1)
    gone = ~empty & ((corners[:, :2] >= limit[:, :2]) | (corners[:, 2:] <= 0)).any(axis=1)
    # Thinner than float32 can tell apart there.
    empty |= ~gone & (clipped[:, 2:] <= clipped[:, :2]).any(axis=1)
    good = np.flatnonzero(~empty & ~gone)
    rows = good[_first_of_equal(place[good], category[good], score[good].astype(np.float32), clipped[good])]
    dropped = {"empty_box": empty.sum(), "outside_image": gone.sum(), "repeated": len(good) - len(rows)}
    report = ImportReport(
        entries=len(image),
        kept=len(rows),
        dropped={reason: int(count) for reason, count in dropped.items() if count},
        clipped=int((clipped[rows] != corners[rows].astype(np.float32)).any(axis=1).sum()),
        images=len(ids),
        images_without=len(ids) - len(np.unique(place)),
    )
    metadata = {"source": f"results file {path.name}", "import": report.as_json()}
    found = from_rows(ids, place[rows], clipped[rows], category[rows], score[rows].astype(np.float32), metadata)
    return found, report


def write_results(path: Path, proposals: Proposals) -> int:
    """Write a result file: ascending image id, then descending score.

    Returns:
        The number of entries.

    Raises:
        StoreError: it cannot be written.
    """
    with replacing(path) as file:
        file.write(b"[")
        for number, entry in enumerate(_entries(proposals)):
            file.write((",\n" if number else "\n").encode() + entry.encode())
        file.write(b"\n]\n")
    return len(proposals)


def _entries(proposals: Proposals) -> Iterator[str]:
    starts = np.searchsorted(proposals.det_image, np.arange(len(proposals.image_ids) + 1))
    for image, start, stop in zip(proposals.image_ids.tolist(), starts[:-1], starts[1:], strict=True):
        rows = start + np.argsort(-proposals.det_score[start:stop], kind="stable")
        corners = proposals.box[proposals.det_box[rows]].astype(np.float64)
        corners[:, 2:] -= corners[:, :2]
        columns = (proposals.det_category[rows].tolist(), corners.tolist(), proposals.det_score[rows].tolist())
        for category, box, score in zip(*columns, strict=True):
            yield _ENTRY % (image, category, *box, score)


def _columns(path: Path) -> tuple[Int64, Int64, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The entries' image ids, category ids, scores, boxes."""
    image, category, score, box = array("q"), array("q"), array("d"), array("d")
    for where, row in read_json_array(path, _BLOCK):
        image.append(get(row, "image_id", int, where))
        category.append(get(row, "category_id", int, where))
        score.append(get(row, "score", float, where))
        box.extend(get_box(row, where))
    return (
        np.array(image, dtype=np.int64),
        np.array(category, dtype=np.int64),
        np.array(score, dtype=np.float64),
        np.array(box, dtype=np.float64).reshape(-1, 4),
    )


def _refuse(path: Path, bad: npt.NDArray[np.bool_], reason: Callable[[int], str]) -> None:
    if bad.any():
        count = int(bad.sum())
        more = f" {count - 1:,} more entries have the same problem." if count > 1 else ""
        row = int(bad.argmax())
        raise DataError(f"{path}: row {row}: {reason(row)}.{more}")


def _first_of_equal(*columns: npt.NDArray[Any]) -> Int64:
    """Numbers, ascending, of the rows that equal no row before them."""
    keys = [each for column in columns for each in (column.T if column.ndim == 2 else [column])]
    order = np.lexsort(keys[::-1])
    new = np.ones(len(order), dtype=bool)
    if len(order):
        new[1:] = np.any([key[order[1:]] != key[order[:-1]] for key in keys], axis=0)
    return np.sort(order[new])
