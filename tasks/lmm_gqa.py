"""Reading GQA: questions about scenes, answered in a word or two (Hudson and Manning, CVPR 2019)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fgbench.data.annotations import field, read_json
from fgbench.data.embedded import read_table
from fgbench.data.files import DatasetFiles
from fgbench.errors import DataError
from fgbench.requests import ImageRef

from .lmm_items import Question, Questions, picture_of, shards

_COLUMNS = ("id", "imageId", "question", "answer", "isBalanced", "types")
_SPLITS = ("testdev", "testdev_balanced", "testdev_balanced_questions")


def read_gqa(files: DatasetFiles, limit: int | None) -> Questions:
    """The balanced questions of testdev: the published JSON, or the hub's parquet files."""
    image = _images(files)
    questions = (
        _question(row, where, image)
        for where, row in _rows(files)
        if field(row, "isBalanced", bool, where, default=True)
    )
    return Questions.of(questions, ["all"], limit)


def _rows(files: DatasetFiles) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path in shards(files, "annotations", _SPLITS, (".json", ".parquet")):
        if path.suffix.lower() == ".parquet":
            yield from read_table(path, _COLUMNS)
        else:
            yield from _json_rows(path)


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected one object with question ids as keys, found {type(content).__name__}.")
    # Of equal keys a JSON parser keeps the last one and says nothing.
    twice = path.read_bytes().count(b'"imageId"') - len(content)
    if twice > 0:
        raise DataError(f"{path}: {twice} question ids come more than once. Take the published file as it is.")
    for number, row in content.items():
        where = f"{path}: question {number!r}"
        if not isinstance(row, dict):
            raise DataError(f"{where}: expected an object, found {row!r:.60}.")
        yield where, {**row, "id": number}


def _question(row: Mapping[str, Any], where: str, image: Callable[[str, str], ImageRef]) -> Question:
    structural = field(field(row, "types", dict, where, default={}), "structural", str, where, default="")
    return Question(
        id=field(row, "id", str, where),
        subset="all",
        text=field(row, "question", str, where),
        images=(image(field(row, "imageId", str, where), where),),
        answers=(field(row, "answer", str, where),),
        groups={"kind": "open" if structural == "query" else "binary"} if structural else {},
    )


def _images(files: DatasetFiles) -> Callable[[str, str], ImageRef]:
    """Where a picture is: in parquet tables if those lie in the place of pictures, else a file or archive member."""
    root = files.image_root()
    tables = [root.place] if root.place.suffix == ".parquet" else sorted(root.place.glob("*.parquet"))
    embedded = {
        field(row, "id", str, where): picture_of(row, "image", where)
        for table in tables
        for where, row in read_table(table, ("id",), ("image",))
    }

    def image(name: str, where: str) -> ImageRef:
        if embedded:
            return embedded.get(name) or root.expected(f"{name}.jpg", where)
        return root.image(f"{name}.jpg", where, anywhere=True)

    return image
