"""Reading RefCOCO, UNC split: expressions that refer to one region of a picture (Yu et al., ECCV 2016).

The published file is a pickle, which can run any program while it is read; it is not read here. The forms read are
conversions of it: hub tables, and JSON lines with one expression each.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fgbench.data.annotations import box, field, read_json_lines
from fgbench.data.embedded import read_table
from fgbench.data.files import DatasetFiles, ImageRoot
from fgbench.errors import DataError
from fgbench.requests import ImageRef

from .lmm_items import Question, Questions, shards

SUBSETS = ("val", "testA", "testB")

WRONG_VAL = (8811, 23962)
"""Objects, and expressions, of the val split in ``lmms-lab/RefCOCO``."""

_FILES = {"val": "val", "validation": "val", "test": "testA", "testA": "testA", "testB": "testB"}
_PREFIXES = (*_FILES, *(f"refcoco_{subset}" for subset in SUBSETS))
_COLUMNS = ("split", "sentences", "bbox", "raw_anns", "raw_image_info")


def read_refcoco(files: DatasetFiles, limit: int | None) -> Questions:
    """The expressions of val, testA and testB, as far as their files are there."""
    paths = shards(files, "annotations", _PREFIXES, (".parquet", ".jsonl"))
    questions = Questions.of((row for path in paths for row in _rows(path, files.image_root())), SUBSETS, limit)
    lacking = [subset for subset in SUBSETS if subset not in questions.size]
    if not lacking:
        return questions
    note = f"No file of {', '.join(lacking)}: not evaluated."
    return Questions(questions.rows, questions.size, notes=(note,))


def _rows(path: Path, root: ImageRoot) -> Iterator[Question]:
    if path.suffix == ".jsonl":
        yield from _line_rows(path, root)
        return
    rows = list(read_table(path, _COLUMNS))
    _refuse_wrong_val(path, _FILES.get(path.name.split("-")[0], ""), len(rows))
    for where, row in rows:
        if "sentences" not in row:
            raise DataError(
                f"{where}: no column 'sentences'. Copies like lmms-lab/RefCOCO lack the size of the pictures, "
                "which the padded frame needs. Take the tables of jxu124/refcoco."
            )
        if field(row, "split", str, where) in SUBSETS:
            yield from _object(row, where, root)


def _object(row: Mapping[str, Any], where: str, root: ImageRoot) -> Iterator[Question]:
    """One object of ``jxu124/refcoco``, with all its expressions; its pictures are COCO's train2014."""
    picture = _json(row, "raw_image_info", where)
    region = box(_json(row, "raw_anns", where), f"{where}: field 'raw_anns'")
    corners = _corners(region)
    given = field(row, "bbox", list, where)
    if not any(_close(given, each) for each in (region, corners)):
        raise DataError(
            f"{where}: field 'bbox' {given} is neither the box {list(region)} of 'raw_anns' (x, y, width, height) nor "
            "its corners. Which of the two is right cannot be known."
        )
    name = field(picture, "file_name", str, f"{where}: field 'raw_image_info'")
    ref = root.image(name, where, anywhere=True)
    for sentence in field(row, "sentences", list, where):
        if not isinstance(sentence, dict):
            raise DataError(f"{where}: field 'sentences' should hold objects, found {sentence!r:.60}.")
        yield _question(
            str(field(sentence, "sent_id", int, where)),
            field(row, "split", str, where),
            field(sentence, "sent", str, where),
            ref,
            corners,
            picture,
            where,
        )


def _line_rows(path: Path, root: ImageRoot) -> Iterator[Question]:
    """JSON lines as InternVL and Qwen-VL use them: one expression a line, box by its corners."""
    subset = _FILES.get(path.stem.split("_")[-1], "")
    if not subset:
        raise DataError(f"{path}: expected a name that ends in _val, _testA or _testB.")
    rows = list(read_json_lines(path))
    _refuse_wrong_val(path, subset, len(rows))
    for number, (where, row) in enumerate(rows, start=1):
        picture = root.image(field(row, "image", str, where), where, anywhere=True)
        text = field(row, "sent", str, where)
        yield _question(f"{subset}_{number}", subset, text, picture, box(row, where), row, where)


def _refuse_wrong_val(path: Path, subset: str, count: int) -> None:
    if subset == "val" and count in WRONG_VAL:
        raise DataError(
            f"{path}: {count:,} rows, as in the val split of lmms-lab/RefCOCO: it mixes the val splits of UNC (3,811 "
            "objects) and Google (5,000). Numbers on it compare with nothing. Take the tables of jxu124/refcoco."
        )


def _question(
    name: str,
    subset: str,
    text: str,
    picture: ImageRef,
    corners: tuple[float, float, float, float],
    size: Mapping[str, Any],
    where: str,
) -> Question:
    x1, y1, x2, y2 = corners
    width, height = field(size, "width", int, where), field(size, "height", int, where)
    if not (x2 > x1 and y2 > y1 and all(map(math.isfinite, corners)) and min(width, height) > 0):
        raise DataError(
            f"{where}: the box with corners {list(corners)} in a picture of {width}×{height} pixels has no area."
        )
    return Question(id=name, subset=subset, text=text.lower(), images=(picture,), box=corners, size=(width, height))


def _json(row: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    """A field that holds an object as JSON text."""
    text = field(row, name, str, where)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: field {name!r} should be JSON, found {text:.60}.") from error
    if not isinstance(value, dict):
        raise DataError(f"{where}: field {name!r} should be a JSON object, found {text:.60}.")
    return value


def _corners(region: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x, y, width, height = region
    return x, y, x + width, y + height


def _close(given: Sequence[Any], expected: Sequence[float]) -> bool:
    """Equal within a hundredth of a pixel: some copies are rounded."""
    return len(given) == 4 and all(
        isinstance(a, (int, float)) and abs(a - b) <= 0.01 for a, b in zip(given, expected, strict=True)
    )
