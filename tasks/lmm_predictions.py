"""Files of answers: those that others made are read, ours are written for them and for servers."""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fgbench.data.annotations import field, read_json, read_json_lines
from fgbench.errors import DataError, DataMissingError, UsageError
from fgbench.requests import Replies

from .lmm_items import Question
from .lmm_mmbench import LETTERS, index_of
from .lmm_scoring import NOT_PREDICTED
from .lmm_textvqa import alias

MAX_FILE = 256 * 2**20
"""Bytes of a file of predictions; 62,000 answers of ordinary length have a twentieth."""

MAX_ANSWER = 100_000
"""Characters of one answer."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula."""


def read_predictions(
    place: Path, questions: Sequence[Question], optional: frozenset[str], options: Mapping[str, str]
) -> Replies:
    """Answers by question id: JSON lines with ``question_id`` and ``text``, or one JSON object ``{id: answer}``.

    Args:
        place: the file; one that ends in ``.json`` is read as one object.
        questions: what was asked.
        optional: subsets whose answers may be missing.
        options: ``allow-partial``: ``yes`` counts missing answers as wrong; by default they are refused.

    Raises:
        UsageError: unknown option.
        DataMissingError: no such file.
        DataError: not UTF-8, not JSON, ids that are unknown, missing, or have two different answers; with their number.
    """
    partial = _partial(options)
    rows: dict[str, list[int]] = {}
    for number, question in enumerate(questions):
        for name in (question.id, *question.aliases):
            rows.setdefault(name, []).append(number)
    answers: dict[int, str] = {}
    unknown: list[tuple[str, str]] = []
    conflicting: list[tuple[str, str]] = []
    for where, names, text in _entries(place):
        known = next((rows[name] for name in names if name in rows), None)
        if known is None:
            unknown.append((names[-1], where))
            continue
        if any(answers.get(number, text) != text for number in known):
            conflicting.append((names[-1], where))
        answers.update(dict.fromkeys(known, text))
    missing = [number for number, question in enumerate(questions) if number not in answers]
    needed = [questions[number].id for number in missing if questions[number].subset not in optional]
    problems = []
    if unknown:
        name, where = unknown[0]
        nearest = difflib.get_close_matches(name[:80], [question.id for question in questions[:20_000]], n=1, cutoff=0)
        known_one = f", the nearest known is {nearest[0]!r}" if nearest else ""
        problems.append(f"{len(unknown):,} unknown question ids, the first at {where}: {name!r:.80}{known_one}")
    if conflicting:
        name, where = conflicting[0]
        problems.append(f"{len(conflicting):,} second, different answers, the first at {where} to {name!r:.80}")
    if needed and not (partial and answers):
        problems.append(
            f"{len(needed):,} of {len(questions):,} questions have no answer, the first is {needed[0]!r} "
            "(allow-partial=yes counts missing answers as wrong)"
        )
    if problems:
        raise DataError(f"{place}: " + ";\n  ".join(problems) + ".")
    return Replies([answers.get(number, "") for number in range(len(questions))], dict.fromkeys(missing, NOT_PREDICTED))


def _partial(options: Mapping[str, str]) -> bool:
    unknown = set(options) - {"allow-partial"}
    if unknown or options.get("allow-partial", "no") not in ("yes", "no"):
        given = ", ".join(f"{name}={value}" for name, value in options.items())
        raise UsageError(f"Predictions of this task are read with the option allow-partial=yes|no; got {given}.")
    return options.get("allow-partial") == "yes"


def _entries(place: Path) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """(where, names that the question may go by, answer) of each entry."""
    if not place.is_file():
        raise DataMissingError(f"{place}: no such file of predictions.")
    if place.stat().st_size > MAX_FILE:
        raise DataError(f"{place}: larger than {MAX_FILE // 2**20} MiB; no file of predictions is. Not read.")
    if place.suffix.lower() == ".json":
        content = read_json(place)
        if not isinstance(content, dict):
            raise DataError(f"{place}: expected one object with question ids as keys, found {type(content).__name__}.")
        for name in content:
            yield f"{place}: {name!r:.80}", (name,), _answer(content, name, f"{place}")
        return
    for where, row in read_json_lines(place):
        name = _name(row, where)
        prompt = field(row, "prompt", str, where, default="")
        yield where, (alias(name, prompt.split("\n")[0]), name), _answer(row, "text", where)


def _name(row: Mapping[str, Any], where: str) -> str:
    """A question id; numbers and strings are the same."""
    if isinstance(row.get("question_id"), int):
        return str(field(row, "question_id", int, where))
    return field(row, "question_id", str, where)


def _answer(row: Mapping[str, Any], name: str, where: str) -> str:
    text = field(row, name, str, where)
    if len(text) > MAX_ANSWER:
        raise DataError(f"{where}: an answer of {len(text):,} characters; at most {MAX_ANSWER:,} are read.")
    return text.strip()


def predictions_file(questions: Sequence[Question], replies: Replies) -> bytes:
    """The answers as JSON lines, as :func:`read_predictions` reads them; questions without an answer are left out."""
    lines = (
        json.dumps({"question_id": question.id, "text": text}, ensure_ascii=False) + "\n"
        for number, (question, text) in enumerate(zip(questions, replies.texts, strict=True))
        if number not in replies.failed
    )
    return "".join(lines).encode("utf-8", "replace")


def server_file(questions: Sequence[Question], replies: Replies, subset: str) -> bytes:
    """The answers to a subset whose labels are withheld: a TSV table with the columns that MMBench's server expects.

    Cells that a spreadsheet would take for a formula start with an apostrophe.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, "excel-tab", lineterminator="\n")
    writer.writerow(("index", "question", *LETTERS, "prediction", "split"))
    for question, text in zip(questions, replies.texts, strict=True):
        if question.subset == subset:
            options = (question.options.get(letter, "") for letter in LETTERS)
            cells = (str(index_of(question.id)), question.text, *options, text.strip(), subset)
            writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return buffer.getvalue().encode("utf-8", "replace")
