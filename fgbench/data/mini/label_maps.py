"""The layouts of the segmentation datasets, each with a label encoding of its own."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fgbench.data.mini.files import scenes, write_bytes, write_pictures, write_text
from fgbench.data.mini.world import LABELS, Scene, label_map
from fgbench.data.mini.world.classes import ADE20K, PASCAL_CONTEXT, PASCAL_CONTEXT_459, VOC
from fgbench.registry import resolve

VOC2010_SCENES = (400, 24)
VOC2012_SCENES = (424, 24)
ADE_SCENES = (448, 24)

_VOID = 255
_UNKNOWN = "unknown"
"""Class of PASCAL-Context-459 for everything without a name."""

Labels = npt.NDArray[np.int64]


def write_label_maps(root: Path) -> None:
    """Write six datasets: ADE20K with 150 and 847 classes and VOC as downloaded, PASCAL-Context as prepared."""
    _voc(scenes(*VOC2012_SCENES), root / "VOCdevkit/VOC2012")
    _pascal_context(scenes(*VOC2010_SCENES), root / "VOCdevkit/VOC2010")
    _ade150(scenes(*ADE_SCENES), root / "ADEChallengeData2016")
    _ade847(scenes(*ADE_SCENES), root / "ADE20K_2021_17_01/images/ADE/validation")


def _numbered(names: Sequence[str], called: Mapping[str, str], other: int) -> Callable[[Scene], Labels]:
    """Label maps in a dataset's numbers.

    Args:
        names: its classes.
        called: class name by label of the world.
        other: number of everything else.
    """
    table = np.array([names.index(called[label]) if label in called else other for label in LABELS])
    return lambda picture: table[label_map(picture)]


def _lines(name: str) -> Sequence[str]:
    lines: Any = resolve("fgbench.tasks.resources:lines")
    found: Sequence[str] = lines(name)
    return found


def _voc(pictures: Sequence[Scene], folder: Path) -> None:
    """Palette images: 0 background, 1 to 20, and 255 along the edges of things."""
    numbered = _numbered(_lines("voc20_classnames"), VOC, -1)
    write_pictures(pictures, folder / "JPEGImages", lambda each: f"{_voc_name(each)}.jpg")
    for each in pictures:
        labels = numbered(each) + 1
        labels[_edges(labels)] = _VOID
        image = Image.fromarray(labels.astype(np.uint8)).convert("P")
        image.putpalette([value for index in range(256) for value in (index, 37 * index % 256, 91 * index % 256)])
        _save(image, folder / f"SegmentationClass/{_voc_name(each)}.png")
    write_text(folder / "ImageSets/Segmentation/val.txt", "".join(f"{_voc_name(each)}\n" for each in pictures))


def _edges(labels: Labels) -> npt.NDArray[np.bool_]:
    """Pixels whose right or lower neighbour has another label, where one of the two is a thing."""
    edges = np.zeros(labels.shape, dtype=bool)
    edges[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edges[:-1] |= labels[:-1] != labels[1:]
    return edges


def _voc_name(picture: Scene) -> str:
    return f"2010_{picture.number:06d}"


def _pascal_context(pictures: Sequence[Scene], folder: Path) -> None:
    """As prepared for CAT-Seg: 8 bits for 59 classes, 16 for 459."""
    few = _numbered(_lines("pc59_classnames"), PASCAL_CONTEXT, _VOID)
    all_names = _lines("pc459_classnames")
    many = _numbered(all_names, PASCAL_CONTEXT_459, all_names.index(_UNKNOWN))
    write_pictures(pictures, folder / "JPEGImages", lambda each: f"{_voc_name(each)}.jpg")
    prepared = folder / "annotations_detectron2"
    for each in pictures:
        _save(Image.fromarray(few(each).astype(np.uint8)), prepared / f"pc59_val/{_voc_name(each)}.png")
        _save(Image.fromarray(many(each).astype(np.uint16)), prepared / f"pc459_val/{_voc_name(each)}.tif")


def _ade150(pictures: Sequence[Scene], folder: Path) -> None:
    """8 bits: 0 other, 1 to 150."""
    numbered = _numbered(_lines("ade150_classnames"), ADE20K, -1)
    write_pictures(pictures, folder / "images/validation", lambda each: f"{_ade_name(each)}.jpg")
    for each in pictures:
        labels = (numbered(each) + 1).astype(np.uint8)
        _save(Image.fromarray(labels), folder / f"annotations/validation/{_ade_name(each)}.png")


def _ade847(pictures: Sequence[Scene], folder: Path) -> None:
    """RGB: object id = floor(R / 10) * 256 + G, B counts the things of the picture; 0 is no object."""
    table: Any = resolve("fgbench.tasks.resources:table")
    rows = table("ade847_dataset_ids")
    ids = {row["name"].split(", ")[0]: int(row["dataset_id"]) for row in reversed(rows)}
    numbers = np.array([ids[ADE20K[label]] if label in ADE20K else 0 for label in LABELS])
    for each in pictures:
        place = folder / "generated" / each.lower
        write_pictures([each], place, lambda one: f"{_ade_name(one)}.jpg")
        world = label_map(each)
        found = numbers[world]
        rgb = np.stack([found // 256 * 10, found % 256, np.where(found, world + 1, 0)], axis=-1)
        _save(Image.fromarray(rgb.astype(np.uint8)), place / f"{_ade_name(each)}_seg.png")


def _ade_name(picture: Scene) -> str:
    return f"ADE_val_{picture.number:08d}"


def _save(image: Image.Image, path: Path) -> None:
    buffer = io.BytesIO()
    image.save(buffer, format="TIFF" if path.suffix == ".tif" else "PNG")
    write_bytes(path, buffer.getvalue())
