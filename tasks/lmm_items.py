"""Questions to generative models, and what their readers share."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fgbench.data.embedded import TABLES
from fgbench.data.files import DatasetFiles
from fgbench.errors import DataError, DataMissingError
from fgbench.requests import ImageRef

MAX_LITERAL = 20_000
"""Characters of a list written as text; published ones have a tenth."""


@dataclass(frozen=True)
class Question:
    """One question; fields that a dataset does not have stay empty.

    Attributes:
        id: unique in the dataset; how files of predictions call it.
        subset: of the dataset.
        text: the question, or the expression that refers to a region; without instructions.
        images: its pictures, in the order of ``image_numbers``.
        answers: what counts as right, in words; empty where the publisher withholds it.
        options: text by letter, in the order shown; empty for a free answer.
        hint: text to be shown before the question.
        tokens: words that an OCR system read in the picture; None if its file is not there.
        image_numbers: number of each picture in the markers ``<image 1>`` of the text.
        box: x1, y1, x2, y2 in pixels of the region meant.
        size: (width, height) of the picture in pixels, where the box needs it.
        groups: finer classes that it belongs to, by kind (``domain``: ``Science``).
        aliases: other names of it in files of predictions.
        picture: name of its picture, where ``images`` does not show that several questions share one (a table with the
            picture in every row).
    """

    id: str
    subset: str
    text: str
    images: tuple[ImageRef, ...]
    answers: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    hint: str = ""
    tokens: tuple[str, ...] | None = None
    image_numbers: tuple[int, ...] = ()
    box: tuple[float, float, float, float] | None = None
    size: tuple[int, int] | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    picture: str = ""


@dataclass(frozen=True)
class Questions:
    """The questions of a dataset, subset by subset.

    Attributes:
        rows: every question that is asked.
        size: items to be judged, by subset; those in ``rejected`` included.
        rejected: items that are not among ``rows``, by reason.
        withheld: subsets whose answers are not published: asked, never scored.
        notes: what a reader of the result has to know about these files.
    """

    rows: Sequence[Question]
    size: Mapping[str, int]
    rejected: Counter[str] = field(default_factory=Counter)
    withheld: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[Question], subsets: Sequence[str], limit: int | None) -> Questions:
        """Questions each of which is an item: the first ``limit`` of every subset, in the order of ``subsets``.

        Raises:
            DataError: two have the same id.
        """
        by_subset: dict[str, list[Question]] = {subset: [] for subset in subsets}
        for row in unique(rows):
            by_subset[row.subset].append(row)
        kept = {subset: rows[:limit] for subset, rows in by_subset.items() if rows}
        size = {subset: len(rows) for subset, rows in kept.items()}
        return cls([row for rows in kept.values() for row in rows], size)


def unique(rows: Iterable[Question]) -> Iterator[Question]:
    """The same questions.

    Raises:
        DataError: ids that come twice, with their number.
    """
    counted: Counter[str] = Counter()
    for row in rows:
        counted[row.id] += 1
        yield row
    twice = [name for name, count in counted.items() if count > 1]
    if twice:
        raise DataError(
            f"{len(twice)} question ids come more than once, the first is {twice[0]!r}. Answers could not be "
            "told apart; take the published files as they are, each split once."
        )


def existing(files: DatasetFiles, role: str) -> Path | None:
    """The place of a role that may be absent."""
    return next((place for place in files.places(role) if place.exists()), None)


def shards(files: DatasetFiles, role: str, prefixes: Sequence[str], suffixes: Sequence[str] = TABLES) -> list[Path]:
    """The annotation files of a role: the file itself, or those in its folder that belong to one of some splits.

    The hub cuts a split into ``validation-00000-of-00003.parquet`` and so on. Each file is noted as read, so that its
    hash stands in the result.

    Args:
        files: of the dataset.
        role: a file or a folder, which is searched with all folders in it.
        prefixes: names of files start with one of these, followed by ``-``, ``_`` or ``.``; case does not matter.
        suffixes: and end with one of these; of several forms of the same annotations, the first one counts.

    Raises:
        DataMissingError: no such place, or no such file in it.
    """
    place = files.annotation(role)
    if place.is_file():
        return [place]
    files.read.remove(place)
    starts = tuple(f"{prefix}{mark}".lower() for prefix in prefixes for mark in "-_.")
    named = sorted(path for path in place.rglob("*") if path.name.lower().startswith(starts) and path.is_file())
    by_suffix = ([path for path in named if path.suffix.lower() == suffix] for suffix in suffixes)
    found = next(filter(None, by_suffix), [])
    if not found:
        raise DataMissingError(
            f"{files.spec.id}: {place} has no file called {' or '.join(prefixes)} that ends in {', '.join(suffixes)}.\n"
            f"{files.spec.how_to_get}"
        )
    files.read.extend(path for path in found if path not in files.read)
    return found


def literal_strings(text: str, where: str) -> list[str]:
    """A list of strings written as Python does (``"['cat', 'dog']"``), read without running anything.

    Raises:
        DataError: anything else.
    """
    problem = f"{where}: expected a list of strings such as ['cat', 'dog'], found {text:.60}."
    bare = text.strip()
    if len(bare) > MAX_LITERAL or not (bare.startswith("[") and bare.endswith("]")):
        raise DataError(problem)
    try:
        values = ast.literal_eval(bare)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise DataError(problem) from error
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise DataError(problem)
    return values


def picture_of(row: Mapping[str, Any], name: str, where: str) -> ImageRef:
    """The picture in a cell of a table.

    Raises:
        DataError: there is none.
    """
    found = row.get(name)
    if not isinstance(found, ImageRef):
        raise DataError(f"{where}: column {name!r} should hold a picture, found {found!r:.60}.")
    return found
