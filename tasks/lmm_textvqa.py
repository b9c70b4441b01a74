"""Reading TextVQA: questions about text in pictures, ten answers each (Singh et al., CVPR 2019, version 0.5.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from fgbench.data.annotations import field, read_json, strings
from fgbench.data.embedded import read_table
from fgbench.data.files import DatasetFiles
from fgbench.errors import DataError
from fgbench.requests import ImageRef

from .lmm_items import Question, Questions, existing, picture_of, shards

PEOPLE = 10
"""Answers to each question."""

_COLUMNS = ("question_id", "image_id", "question", "answers", "ocr_tokens")
_SPLITS = ("validation", "val", "TextVQA_0.5.1_val")


def read_textvqa(files: DatasetFiles, limit: int | None) -> Questions:
    """The validation questions: the published JSON with the file of OCR tokens, or the hub's parquet files."""
    tokens = _read_tokens(files)
    root = files.image_root()

    def image(row: Mapping[str, Any], name: str, where: str) -> ImageRef:
        if "image" in row:
            return picture_of(row, "image", where)
        return root.image(f"{name}.jpg", where, anywhere=True)

    questions = Questions.of((_question(row, where, image, tokens) for where, row in _rows(files)), ["all"], limit)
    lacking = 0 if tokens is None else sum(row.aliases[0].split("\0")[0] not in tokens for row in questions.rows)
    if not lacking:
        return questions
    note = f"The OCR file lacks the pictures of {lacking:,} questions; their prompts name no token."
    return replace(questions, notes=(note,))


def alias(image_id: str, question: str) -> str:
    """How LLaVA's files call a question: by its picture and its text in lower case."""
    return f"{image_id}\0{question.strip().lower()}"


def _rows(files: DatasetFiles) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path in shards(files, "annotations", _SPLITS, (".json", ".parquet")):
        if path.suffix.lower() == ".parquet":
            yield from read_table(path, _COLUMNS, ("image",))
            continue
        content = read_json(path)
        where = f"{path}: field 'data'"
        for number, row in enumerate(field(content if isinstance(content, dict) else {}, "data", list, str(path))):
            if not isinstance(row, dict):
                raise DataError(f"{where}[{number}]: expected an object, found {row!r:.60}.")
            yield f"{where}[{number}]", row


def _question(
    row: Mapping[str, Any],
    where: str,
    image: Callable[[Mapping[str, Any], str, str], ImageRef],
    tokens: Mapping[str, tuple[str, ...]] | None,
) -> Question:
    answers = strings(row, "answers", where)
    if len(answers) != PEOPLE:
        raise DataError(
            f"{where}: {len(answers)} answers, expected {PEOPLE}: those of the validation split. The answers to the "
            "test split are withheld."
        )
    image_id, text = field(row, "image_id", str, where), field(row, "question", str, where)
    own = tuple(strings(row, "ocr_tokens", where)) if "ocr_tokens" in row else None
    return Question(
        id=str(field(row, "question_id", int, where)),
        subset="all",
        text=text,
        images=(image(row, image_id, where),),
        answers=tuple(answers),
        tokens=own if tokens is None else tokens.get(image_id, ()),
        aliases=(alias(image_id, text),),
        picture=image_id,
    )


def _read_tokens(files: DatasetFiles) -> dict[str, tuple[str, ...]] | None:
    """OCR tokens by picture; None if there is no such file."""
    if existing(files, "ocr") is None:
        return None
    path = files.annotation("ocr")
    content = read_json(path)
    found = {}
    for number, row in enumerate(field(content if isinstance(content, dict) else {}, "data", list, str(path))):
        where = f"{path}: field 'data'[{number}]"
        if not isinstance(row, dict):
            raise DataError(f"{where}: expected an object, found {row!r:.60}.")
        found[field(row, "image_id", str, where)] = tuple(strings(row, "ocr_tokens", where))
    return found
