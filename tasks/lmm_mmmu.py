"""Reading MMMU: college-level questions on 30 subjects, with up to seven pictures (Yue et al., CVPR 2024)."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from typing import Any

from fgbench.data.annotations import field
from fgbench.data.embedded import read_table
from fgbench.data.files import DatasetFiles
from fgbench.errors import DataError
from fgbench.requests import ImageRef

from .lmm_items import Question, Questions, literal_strings, shards

DOMAINS: Mapping[str, tuple[str, ...]] = {
    "Art & Design": ("Art", "Art_Theory", "Design", "Music"),
    "Business": ("Accounting", "Economics", "Finance", "Manage", "Marketing"),
    "Science": ("Biology", "Chemistry", "Geography", "Math", "Physics"),
    "Health & Medicine": (
        "Basic_Medical_Science",
        "Clinical_Medicine",
        "Diagnostics_and_Laboratory_Medicine",
        "Pharmacy",
        "Public_Health",
    ),
    "Humanities & Social Science": ("History", "Literature", "Psychology", "Sociology"),
    "Tech & Engineering": (
        "Agriculture",
        "Architecture_and_Engineering",
        "Computer_Science",
        "Electronics",
        "Energy_and_Power",
        "Materials",
        "Mechanical_Engineering",
    ),
}
"""The subjects, by domain."""

_PICTURES = tuple(f"image_{number}" for number in range(1, 8))
_COLUMNS = ("id", "question", "options", "answer", "question_type")
_ID = re.compile(r"validation_(?P<subject>\w+)_\d+")
_DOMAIN = {subject: domain for domain, subjects in DOMAINS.items() for subject in subjects}


def read_mmmu(files: DatasetFiles, limit: int | None) -> Questions:
    """The validation questions: one parquet file per subject, or all in one."""
    return Questions.of(_rows(files), ["all"], limit)


def _rows(files: DatasetFiles) -> Iterator[Question]:
    for path in shards(files, "annotations", ("validation",), (".parquet",)):
        for where, row in read_table(path, _COLUMNS, _PICTURES):
            yield _question(row, where)


def _question(row: Mapping[str, Any], where: str) -> Question:
    name = field(row, "id", str, where)
    match = _ID.fullmatch(name)
    if not match or match["subject"] not in _DOMAIN:
        raise DataError(
            f"{where}: field 'id' should be like 'validation_Math_7', with one of the 30 subjects: {name!r}."
        )
    kind, answer = field(row, "question_type", str, where), field(row, "answer", str, where)
    texts = literal_strings(field(row, "options", str, where), f"{where}: field 'options'")
    if kind == "open":
        options: dict[str, str] = {}
        answers = literal_strings(answer, f"{where}: field 'answer'") if answer.startswith("[") else [answer]
    elif kind == "multiple-choice" and 1 < len(texts) <= len(string.ascii_uppercase):
        options = dict(zip(string.ascii_uppercase, texts, strict=False))
        answers = [answer]
    else:
        raise DataError(
            f"{where}: expected question_type 'open', or 'multiple-choice' with 2 to 26 options; found {kind!r} with "
            f"{len(texts)}."
        )
    if not any(answers) or (options and answer not in options):
        among = f"one of {', '.join(options)}" if options else "a text"
        raise DataError(f"{where}: field 'answer' should be {among}, found {answer!r:.60}.")
    pictures = {n: row[key] for n, key in enumerate(_PICTURES, start=1) if isinstance(row.get(key), ImageRef)}
    return Question(
        id=name,
        subset="all",
        text=field(row, "question", str, where),
        images=tuple(pictures.values()),
        image_numbers=tuple(pictures),
        answers=tuple(answers),
        options=options,
        groups={"domain": _DOMAIN[match["subject"]], "subject": match["subject"]},
    )
