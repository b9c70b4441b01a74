"""Files beside a record: pictures that show what a model did, answers to be kept or sent."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from fgbench.data.atomic import write_atomic
from fgbench.results.folder import neutral, slug, stem
from fgbench.runner.engine import Engine
from fgbench.runner.run import Outcome
from fgbench.task import DrawsPictures, Scores, WritesFiles


def save_pictures(outcome: Outcome, engine: Engine, folder: Path, count: int, limit: int | None) -> list[Path]:
    """Write up to ``count`` PNG files to ``<folder>/<dataset>.visuals``, if the task can draw.

    Raises:
        StoreError: they cannot be written.
    """
    planned = outcome.planned
    if not count or not isinstance(planned.task, DrawsPictures) or planned.loaded is None:
        return []
    answers = engine.answers(planned.spec.id).answers
    written = []
    for name, picture in planned.task.pictures(planned.spec, planned.loaded, answers, count):
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG")
        path = folder / f"{stem(planned.spec.id, limit)}.visuals" / f"{slug(name)}.png"
        write_atomic(path, buffer.getvalue())
        written.append(path)
    return written


def save_tables(scores: Scores, dataset: str, folder: Path, limit: int | None) -> list[Path]:
    """Write the task's tables to ``<dataset>.<table>.csv``; a number that is not defined is an empty cell.

    Raises:
        StoreError: they cannot be written.
    """
    written = []
    for name, columns in scores.tables.items():
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow("" if value != value else neutral(value) for value in row)
        path = folder / f"{stem(dataset, limit)}.{slug(name)}.csv"
        write_atomic(path, buffer.getvalue().encode())
        written.append(path)
    return written


def save_answers(outcome: Outcome, engine: Engine, folder: Path, limit: int | None) -> list[Path]:
    """Write the files that the task makes of the answers, if it makes any; also where nothing could be judged.

    Raises:
        StoreError: they cannot be written.
    """
    planned = outcome.planned
    if not isinstance(planned.task, WritesFiles) or planned.loaded is None:
        return []
    answers = engine.answers(planned.spec.id).answers
    written = []
    for name, content in planned.task.submission(planned.spec, planned.loaded, answers):
        path = folder / slug(name.replace(planned.spec.id, stem(planned.spec.id, limit), 1))
        write_atomic(path, content)
        written.append(path)
    return written
