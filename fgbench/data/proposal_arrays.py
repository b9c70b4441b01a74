"""Detections as arrays: a detector's boxes with its class scores, chosen and joined by picture. Pure numpy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fgbench.errors import DataError

Int64: TypeAlias = npt.NDArray[np.int64]
Float32: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Proposals:
    """Detections of I pictures: M boxes, N pairs of a box and a class.

    Attributes:
        image_ids: int64 [I]; every picture processed, also those without a detection; ascending, unique.
        box: float32 [M, 4]; x1, y1, x2, y2 in pixels of the original picture, clipped to it, never empty; grouped by
            picture.
        box_image: int64 [M]; index into ``image_ids``; ascending.
        det_box: int64 [N]; index into ``box``; ascending.
        det_category: int64 [N]; category id (not a position).
        det_score: float32 [N]; the detector's score, finite.
        metadata: how they were made, as JSON.

    Raises:
        DataError: arrays that contradict this.
    """

    image_ids: Int64
    box: Float32
    box_image: Int64
    det_box: Int64
    det_category: Int64
    det_score: Float32
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shapes = {
            "image_ids": (len(self.image_ids),),
            "box": (len(self.box_image), 4),
            "box_image": (len(self.box_image),),
            "det_box": (len(self.det_box),),
            "det_category": (len(self.det_box),),
            "det_score": (len(self.det_box),),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            dtype = np.dtype(np.float32 if name in {"box", "det_score"} else np.int64)
            if array.shape != shape or array.dtype != dtype:
                raise DataError(
                    f"proposals: {name} should be {dtype} {list(shape)}, found {array.dtype} {list(array.shape)}."
                )
        if (np.diff(self.image_ids) <= 0).any():
            raise DataError("proposals: image_ids should be ascending, each id once.")
        _check_index("box_image", self.box_image, len(self.image_ids))
        _check_index("det_box", self.det_box, len(self.box))
        # Comparisons with NaN are false, so these say "not (good)".
        bad = ~((self.box[:, :2] >= 0).all(axis=1) & (self.box[:, 2:] > self.box[:, :2]).all(axis=1))
        bad |= ~np.isfinite(self.box).all(axis=1)
        if bad.any():
            row = int(bad.argmax())
            raise DataError(
                f"proposals: box {row} of image {self.image_ids[self.box_image[row]]} is {self.box[row].tolist()}; "
                "expected finite x1 < x2 and y1 < y2, from 0."
            )
        if not np.isfinite(self.det_score).all():
            row = int((~np.isfinite(self.det_score)).argmax())
            image = self.image_ids[self.box_image[self.det_box[row]]]
            raise DataError(f"proposals: score {row} (image {image}) is {self.det_score[row]}; expected a number.")

    def __len__(self) -> int:
        """Number of detections N."""
        return len(self.det_box)

    @property
    def det_image(self) -> Int64:
        """Picture of each detection, index into ``image_ids``: int64 [N], ascending."""
        return self.box_image[self.det_box]


def from_rows(
    image_ids: Int64, image: Int64, box: Float32, category: Int64, score: Float32, metadata: Mapping[str, Any]
) -> Proposals:
    """Find the unique boxes of a list of detections, as result files and detectors give it.

    A picture's boxes are in the order of their first appearance, the detections of a box in the order of the list, so
    that equal scores keep their order as far as the grouping by box allows.

    Args:
        image_ids: int64 [I]; every picture processed, ascending.
        image: int64 [N]; index into ``image_ids``, in any order.
        box: float32 [N, 4]; x1, y1, x2, y2.
        category: int64 [N].
        score: float32 [N].
        metadata: of the result.

    Raises:
        DataError: see :class:`Proposals`.
    """
    box = box + np.float32(0)  # -0 is the same place as 0
    order = np.lexsort((*box.T[::-1], image))  # stable: the first of equal rows is the first of the list
    differs = (box[order[1:]] != box[order[:-1]]).any(axis=1) | (image[order[1:]] != image[order[:-1]])
    starts = np.flatnonzero(np.concatenate([np.ones(min(len(order), 1), bool), differs]))
    first = order[starts]
    by_appearance = np.lexsort((first, image[first]))
    place = np.empty(len(first), dtype=np.int64)
    place[by_appearance] = np.arange(len(first))
    owner = np.empty(len(order), dtype=np.int64)
    owner[order] = np.repeat(place, np.diff(np.append(starts, len(order))))
    rows, unique = np.argsort(owner, kind="stable"), first[by_appearance]
    return Proposals(image_ids, box[unique], image[unique], owner[rows], category[rows], score[rows], metadata)


def merge(parts: Sequence[Proposals], metadata: Mapping[str, Any], names: Sequence[str]) -> Proposals:
    """Join shards by picture. A picture that two of them have, with exactly the same detections, counts once; how often
    that was so stands in the metadata as ``repeated_images``.

    Args:
        parts: what to join.
        metadata: of the result.
        names: of the parts, for messages.

    Raises:
        DataError: two parts disagree on a picture.
    """
    joined = _joined(parts)
    order = np.argsort(joined.image_ids, kind="stable")
    ids = joined.image_ids[order]
    again = np.flatnonzero(ids[1:] == ids[:-1])
    first, second = order[again], order[again + 1]
    if not _same(_pick(joined, first), _pick(joined, second)):
        pairs = zip(first, second, strict=True)
        one, two = next(pair for pair in pairs if not _same(*(_pick(joined, np.array([each])) for each in pair)))
        starts = np.cumsum([len(part.image_ids) for part in parts])
        files = [names[np.searchsorted(starts, each, side="right")] for each in (one, two)]
        raise DataError(
            f"{files[0]} and {files[1]} have different detections of image {joined.image_ids[one]}. Expected one "
            "record per picture: remove one of the two."
        )
    if len(again):
        metadata = {**metadata, "repeated_images": len(again)}
    return Proposals(*_pick(joined, np.delete(order, again + 1)), metadata)


def select(proposals: Proposals, image_ids: Sequence[int] | Int64) -> Proposals:
    """The proposals of some of the pictures, e.g. of minival out of val.

    Raises:
        DataError: a picture was not processed: its detections would silently be missing.
    """
    wanted = np.unique(np.asarray(image_ids, dtype=np.int64))
    missing = np.setdiff1d(wanted, proposals.image_ids)
    if len(missing):
        raise DataError(
            f"The proposals lack {len(missing):,} of {len(wanted):,} pictures, e.g. image {missing[0]}. Run the "
            "detector on all of them."
        )
    pictures = np.searchsorted(proposals.image_ids, wanted)
    return Proposals(*_pick(_joined([proposals]), pictures), proposals.metadata)


def best_per_image(proposals: Proposals, k: int) -> Proposals:
    """The k best-scored detections of each picture (of equal scores the first ones), and the boxes they need.

    Recorded in the metadata as ``best_per_image``.

    Raises:
        ValueError: k is below 1.
    """
    if k < 1:
        raise ValueError(f"Expected `k` to be at least 1, but got {k}.")
    image = proposals.det_image
    order = np.lexsort((-proposals.det_score, image))  # stable: ties stay in row order
    rank = np.arange(len(order)) - np.searchsorted(image, image)
    keep = np.sort(order[rank < k])
    used, det_box = np.unique(proposals.det_box[keep], return_inverse=True)
    return replace(
        proposals,
        box=proposals.box[used],
        box_image=proposals.box_image[used],
        det_box=det_box.reshape(-1).astype(np.int64, copy=False),
        det_category=proposals.det_category[keep],
        det_score=proposals.det_score[keep],
        metadata={**proposals.metadata, "best_per_image": k},
    )


class _Arrays(NamedTuple):
    """The arrays of :class:`Proposals`, with pictures in any order and perhaps more than once."""

    image_ids: Int64
    box: Float32
    box_image: Int64
    det_box: Int64
    det_category: Int64
    det_score: Float32


def _joined(parts: Sequence[Proposals]) -> _Arrays:
    """The parts one after the other."""
    images = np.cumsum([0, *(len(part.image_ids) for part in parts)])[:-1]
    boxes = np.cumsum([0, *(len(part.box) for part in parts)])[:-1]

    def join(arrays: Iterable[npt.NDArray[Any]], empty: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.concatenate([empty, *arrays])

    no_integer, no_number = np.zeros(0, np.int64), np.zeros(0, np.float32)
    return _Arrays(
        join((part.image_ids for part in parts), no_integer),
        join((part.box for part in parts), no_number.reshape(0, 4)),
        join((part.box_image + first for part, first in zip(parts, images, strict=True)), no_integer),
        join((part.det_box + first for part, first in zip(parts, boxes, strict=True)), no_integer),
        join((part.det_category for part in parts), no_integer),
        join((part.det_score for part in parts), no_number),
    )


def _pick(arrays: _Arrays, pictures: Int64) -> _Arrays:
    """Some pictures with their boxes and detections, in the order asked for."""
    boxes, box_image = _runs(arrays.box_image, pictures)
    detections, det_box = _runs(arrays.det_box, boxes)
    return _Arrays(
        arrays.image_ids[pictures],
        arrays.box[boxes],
        box_image,
        det_box,
        arrays.det_category[detections],
        arrays.det_score[detections],
    )


def _runs(owner: Int64, wanted: Int64) -> tuple[Int64, Int64]:
    """Rows of an ascending ``owner`` that belong to each of ``wanted``, and the position in ``wanted`` of each row."""
    start, stop = np.searchsorted(owner, wanted, side="left"), np.searchsorted(owner, wanted, side="right")
    count = stop - start
    position = np.repeat(np.arange(len(wanted)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(start, count) + within, position


def _same(one: _Arrays, two: _Arrays) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in _Arrays._fields)


def _check_index(name: str, index: Int64, size: int) -> None:
    if len(index) and ((np.diff(index) < 0).any() or index[0] < 0 or index[-1] >= size):
        raise DataError(f"proposals: {name} should be ascending, from 0 to at most {size - 1}.")
