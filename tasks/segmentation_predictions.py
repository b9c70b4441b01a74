"""Label maps that were predicted elsewhere, read as the answer to the task's request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from fgbench.data.annotations import field as get
from fgbench.data.annotations import read_json_array
from fgbench.data.label_images import SUFFIXES, label_size, read_labels
from fgbench.data.rle import decode_rle
from fgbench.errors import DataError, DataMissingError, UsageError
from fgbench.requests import ImageRef, PredictedMaps

from .label_encodings import FOLDS, Labels, resize_nearest
from .label_sources import GroundTruth

_OPTIONS: Mapping[str, tuple[str, ...] | None] = {"offset": None, "fold": tuple(FOLDS), "resize": ("nearest",)}

_NO_CLASS = PredictedMaps.NO_CLASS


@dataclass(frozen=True)
class _Map:
    """A predicted label map: where it is, (height, width), and how its values are read."""

    where: str
    size: Callable[[], tuple[int, int]]
    read: Callable[[], Labels]


def read_predictions(
    dataset: str, truth: GroundTruth, classes: int, fold: str | None, place: Path, options: Mapping[str, str]
) -> tuple[PredictedMaps, tuple[str, ...]]:
    """Read a folder of ``<picture>.png|.tif|.npy``, or detectron2's ``sem_seg_predictions.json``.

    A value is the class index minus ``offset``; what is then outside the set's classes is "no class".

    Args:
        dataset: its id.
        truth: the ground truth.
        classes: number of classes K. Files of 8 bits are refused where K is above 255.
        fold: the set's own rule for turning prompts into classes; only a set that has one can be folded.
        place: folder or JSON file.
        options: ``offset``: number of class 0 in the files (mmsegmentation writes 1 where it reduced the zero label);
            ``fold``: ``pas20b`` (59 prompts) or ``voc-native`` (0 = background), for VOC-21;
            ``resize``: ``nearest`` where a map has another size than the ground truth.

    Returns:
        The maps, in the order of the ground truth, and notes for the reader of the result.

    Raises:
        UsageError: an option that does not exist or does not apply.
        DataMissingError: predictions are not there; says how many.
        DataError: predictions that cannot be understood, or of another size than the ground truth.
    """
    lookup = _lookup(dataset, classes, fold, options)
    maps = _json_maps(place) if place.suffix.lower() == ".json" else _file_maps(place, wide=classes > 255)
    ids = [picture.id for picture in truth.pictures]
    lacking = [name for name in ids if name not in maps]
    if lacking:
        raise DataMissingError(
            f"{dataset}: {len(lacking)} of {len(ids)} predictions are not in {place}, the first is that of "
            f"{lacking[0]} (expected {lacking[0]}.png, .tif or .npy; or an entry with this file name in the JSON file)."
        )
    notes = [f"{len(maps) - len(set(ids))} predictions belong to no picture of the set"] if len(maps) > len(ids) else []
    differing = _differing_sizes(truth, [maps[name] for name in ids])
    if differing and options.get("resize") != "nearest":
        first = next(iter(differing))
        (height, width), (rows, columns) = differing[first]
        raise DataError(
            f"{dataset}: {len(differing)} of {len(ids)} predictions differ in size from the ground truth, the first is "
            f"{maps[ids[first]].where} with {columns}×{rows} pixels; {truth.pictures[first].label} is scored at "
            f"{width}×{height}. Predict at this size, or pass the option resize=nearest."
        )
    if differing:
        notes.append(f"{len(differing)} of {len(ids)} predictions were resized to the ground truth (nearest)")

    def read(row: int) -> Labels:
        values = lookup[maps[ids[row]].read()]
        return resize_nearest(values, differing[row][0]) if row in differing else values

    return PredictedMaps(read, len(ids)), tuple(notes)


def _lookup(dataset: str, classes: int, fold: str | None, options: Mapping[str, str]) -> Labels:
    """Stored value to class index or "no class": uint16 [65536]."""
    for name, value in options.items():
        if name not in _OPTIONS:
            raise UsageError(f"Label maps have no option {name!r}; they have: {', '.join(_OPTIONS)}.")
        allowed = _OPTIONS[name]
        if allowed and value not in allowed:
            raise UsageError(f"Option {name} is {value!r}; expected {' or '.join(allowed)}.")
    if "fold" in options and fold is None:
        raise UsageError(f"{dataset} has no background to fold predictions into; leave out the option fold.")
    try:
        offset = int(options.get("offset", "0"))
    except ValueError as error:
        raise UsageError(f"Option offset is {options['offset']!r}; expected an integer, for example 1.") from error
    table = np.full(65_536, _NO_CLASS, dtype=np.uint16)
    table[:classes] = np.arange(classes)
    if "fold" in options:
        table = FOLDS[options["fold"]]
    index = np.arange(65_536) - offset
    inside = (index >= 0) & (index < 65_536)
    return np.where(inside, table[np.where(inside, index, 0)], np.uint16(_NO_CLASS))


def _file_maps(folder: Path, *, wide: bool) -> dict[str, _Map]:
    """The label maps in a folder, by file stem."""
    if not folder.is_dir():
        raise DataMissingError(f"{folder}: no folder with predictions, and no .json file.")
    maps: dict[str, _Map] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in maps:
            raise DataError(f"{folder}: two predictions for {path.stem}: {maps[path.stem].where} and {path.name}.")
        ref = ImageRef(str(path))
        maps[path.stem] = _Map(str(path), _later(label_size, ref), _later(read_labels, ref, wide=wide))
    return maps


def _json_maps(path: Path) -> dict[str, _Map]:
    """The predictions in detectron2's file: rows {file_name, category_id, segmentation}, several for a picture.

    The category is the class index; pixels without a segment have no class.
    """
    if not path.is_file():
        raise DataMissingError(f"{path}: no such file.")
    segments: dict[str, list[tuple[str, int, dict[str, Any]]]] = {}
    for where, row in read_json_array(path):
        category = get(row, "category_id", int, where)
        if not 0 <= category < _NO_CLASS:
            raise DataError(f"{where}: field 'category_id' should be a class index, found {category}.")
        stem = PurePosixPath(get(row, "file_name", str, where)).stem
        segments.setdefault(stem, []).append((where, category, get(row, "segmentation", dict, where)))
    return {
        stem: _Map(rows[0][0], _later(_json_size, rows), _later(_json_map, rows)) for stem, rows in segments.items()
    }


def _json_size(rows: list[tuple[str, int, dict[str, Any]]]) -> tuple[int, int]:
    where, _, mask = rows[0]
    return decode_rle(mask, where).shape


def _json_map(rows: list[tuple[str, int, dict[str, Any]]]) -> Labels:
    values = np.full(_json_size(rows), _NO_CLASS, dtype=np.uint16)
    for where, category, mask in rows:
        values[decode_rle(mask, where, values.shape)] = category
    return values


def _later(function: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[[], Any]:
    return lambda: function(*arguments, **options)


def _differing_sizes(truth: GroundTruth, maps: list[_Map]) -> dict[int, tuple[tuple[int, int], tuple[int, int]]]:
    """(scored, predicted) size by row, where they differ; label maps without a size are left to the scoring."""
    differing = {}
    for row, found in enumerate(maps):
        try:
            wanted = truth.size(row)
        except DataError:
            continue
        if (size := found.size()) != wanted:
            differing[row] = wanted, size
    return differing
