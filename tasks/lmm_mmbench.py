"""Reading MMBench: multiple-choice questions in English and Chinese, every rotation of the options a row of its own.

Source: Liu et al., MMBench, ECCV 2024; the TSV files of OpenCompass and their copies on the hub.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fgbench.data.embedded import read_table
from fgbench.data.files import DatasetFiles
from fgbench.errors import DataError, DataMissingError
from fgbench.metrics.circular import ROTATION, circular
from fgbench.requests import ImageRef

from .lmm_items import Question, Questions, shards, unique

SUBSETS = ("dev", "test")
LETTERS = "ABCD"

_COLUMNS = ("index", "question", "hint", *LETTERS, "answer", "category", "l2-category", "L2-category")
_PREFIXES = {"dev": ("dev", "validation", "mmbench_dev"), "test": ("test", "mmbench_test")}
_LOST = ("na", "n/a", "null", "none", "nan")
"""Option texts that pandas, or LLaVA's script, takes for an absent option."""


@dataclass
class _Subset:
    """The rows of one subset.

    Attributes:
        rows: as asked; those of questions without all rotations left out.
        questions: how many there are, rejected ones included.
        incomplete: questions that lack a rotation.
        withheld: the answers are not published.
        notes: for the reader of the result.
    """

    rows: list[Question]
    questions: int
    incomplete: int
    withheld: bool
    notes: list[str] = field(default_factory=list)


def read_mmbench(files: DatasetFiles, limit: int | None) -> Questions:
    """The subsets dev and test, as far as their files are there; ``limit`` counts questions, not rows.

    Raises:
        DataMissingError: neither is there.
        DataError: dev without answers, a row that cannot be understood, a name of a picture that no row has.
    """
    found: dict[str, _Subset] = {}
    absent: dict[str, DataMissingError] = {}
    for name in SUBSETS:
        try:
            found[name] = _read(files, name, limit)
        except DataMissingError as error:
            absent[name] = error
    if not found:
        raise absent["dev"]
    open_ones = {name: subset for name, subset in found.items() if not subset.withheld}
    notes = [note for subset in found.values() for note in subset.notes]
    notes += [f"No file of {name}: not evaluated." for name in absent]
    rows = [row for subset in found.values() for row in subset.rows]
    if len({row.id for row in rows}) < len(rows):
        # Within a file they are unique; a file of predictions has to tell the two subsets apart.
        rows = [replace(row, id=f"{row.subset}/{row.id}") for row in rows]
        notes.append("Indexes of dev and test overlap: ids are dev/<index> and test/<index>.")
    return Questions(
        rows=rows,
        # Answers to withheld questions are made, not judged; they are items only where there is nothing else.
        size={name: subset.questions for name, subset in (open_ones or found).items()},
        rejected=Counter({"rotations_missing": n} if (n := sum(s.incomplete for s in open_ones.values())) else {}),
        withheld=frozenset(found) - frozenset(open_ones),
        notes=tuple(notes),
    )


def _read(files: DatasetFiles, subset: str, limit: int | None) -> _Subset:
    paths = shards(files, subset, _PREFIXES[subset])
    rows = list(unique(row for path in paths for row in _rows(path, subset)))
    if not rows:
        raise DataError(f"{paths[0]}: no questions in it. Download it again.")
    index = np.array([int(row.id) for row in rows], dtype=np.int64)
    options = np.array([len(row.options) for row in rows], dtype=np.int64)
    groups = circular(np.ones(len(rows), dtype=bool), index, options)
    order = dict.fromkeys(int(row.id) % ROTATION for row in rows)
    kept = set(list(order)[:limit])
    complete = {int(number) for number in groups.question[groups.complete]} & kept
    unanswered = sum(not row.answers for row in rows)
    if unanswered and subset == "dev":
        raise DataError(
            f"{paths[0]}: {unanswered:,} of {len(rows):,} rows have no answer in column 'answer'; those of dev are "
            "published. Download it again."
        )
    notes = [f"{subset}: {', '.join(path.name for path in paths)}, {len(rows):,} rows, {len(order):,} questions."]
    odd = sorted({text for row in rows for text in row.options.values() if text.lower() in _LOST})
    if odd:
        notes.append(f"{subset}: option texts that other toolkits lose: {', '.join(odd)}.")
    if unanswered:
        partly = f" in {unanswered:,} of {len(rows):,} rows" if unanswered < len(rows) else ""
        notes.append(f"{subset}: not scored, labels withheld{partly}; the file for the server holds the answers.")
    return _Subset(
        rows=[row for row in rows if int(row.id) % ROTATION in complete],
        questions=len(kept),
        incomplete=len(kept) - len(complete),
        withheld=bool(unanswered),
        notes=notes,
    )


def index_of(name: str) -> int:
    """The published index of a row, from its id: that of its question, plus a million per rotation."""
    return int(name.rpartition("/")[2])


def _rows(path: Path, subset: str) -> list[Question]:
    """The rows of a table; a picture cell that names another row stands for the picture of that row."""
    rows = [_question(row, where, subset) for where, row in read_table(path, _COLUMNS, ("image",))]
    pictures = {row.id: image for row, image in rows if isinstance(image, ImageRef)}
    found = []
    for row, image in rows:
        picture = pictures.get(image) if isinstance(image, str) else image
        if picture is None:
            raise DataError(
                f"{path}: index {row.id}: column 'image' names row {image!r:.70}, and no row of that index holds a "
                "picture."
            )
        found.append(replace(row, images=(picture,)))
    return found


def _question(row: Mapping[str, Any], where: str, subset: str) -> tuple[Question, str | ImageRef]:
    """A question without its picture, and the picture or the index of the row that has it."""
    index, image = _cell(row, "index"), row.get("image")
    if not (index.isascii() and index.isdigit() and len(index) < 12):
        raise DataError(f"{where}: column 'index' should be a whole number, found {index!r:.60}.")
    if image is None:
        raise DataError(f"{where}: column 'image' is empty.")
    present: dict[str, str] = {}
    for letter in LETTERS:
        if not (text := _cell(row, letter)):
            break
        present[letter] = text
    answer, question = _cell(row, "answer"), _cell(row, "question")
    if len(present) < 2 or not question:
        raise DataError(f"{where}: expected a question with at least the options A and B, found {question!r:.60}.")
    if answer and answer not in present:
        raise DataError(f"{where}: column 'answer' should be one of {', '.join(present)}, found {answer!r:.60}.")
    broad, fine = _cell(row, "l2-category") or _cell(row, "L2-category"), _cell(row, "category")
    groups = {"l2-category": broad, "category": fine}
    return (
        Question(
            id=str(int(index)),
            subset=subset,
            text=question,
            images=(),
            answers=(answer,) if answer else (),
            options=present,
            hint=_cell(row, "hint"),
            groups={kind: name for kind, name in groups.items() if name},
        ),
        image,
    )


def _cell(row: Mapping[str, Any], name: str) -> str:
    """A cell as text; empty if it is absent: nothing, or pandas' ``nan``."""
    value = row.get(name)
    text = "" if value is None or value != value else str(value)
    return "" if text == "nan" else text
