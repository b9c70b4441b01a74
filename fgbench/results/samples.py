"""From a record's outcomes back to what its scores are functions of.

``load(path)`` gives, for a record on disk, the :class:`~fgbench.metrics.sample.Sample` of each score. Its ``value()``
is the score, :func:`fgbench.metrics.resampling.interval` makes its interval, :func:`fgbench.metrics.pairing.compare`
compares it with another model's.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fgbench import selection
from fgbench.errors import DataError, DataMissingError
from fgbench.metrics.sample import Sample
from fgbench.results.record import Record, read_record
from fgbench.spec import MetricKey
from fgbench.task import HasSamples

MAX_BYTES = 1 << 30
"""Of the arrays of one file; the largest of a real dataset have a tenth."""


def load(path: Path) -> Mapping[MetricKey, Sample]:
    """The items behind each score of a record on disk; empty if its task cannot say.

    Args:
        path: of the record; its outcomes lie beside it (``<stem>.items.npz``).

    Raises:
        DataError: no readable record or outcomes, or they do not fit each other.
        DataMissingError: no outcomes.
        UsageError: a dataset that this installation does not have.
    """
    return of_record(read_record(path), read_outcomes(outcomes_path(path)), str(outcomes_path(path)))


def of_record(
    record: Record, outcomes: Mapping[str, npt.NDArray[Any]], where: str = "outcomes"
) -> Mapping[MetricKey, Sample]:
    """Likewise, from a record and its outcomes.

    Args:
        record: as read.
        outcomes: as read by :func:`read_outcomes`.
        where: name of the outcomes in messages.

    Raises:
        DataError: arrays are missing or do not fit together.
        UsageError: a dataset that this installation does not have.
    """
    task, spec = selection.datasets().get(record["dataset"])
    if not isinstance(task, HasSamples):
        return {}
    try:
        return task.samples(spec, outcomes)
    except KeyError as error:
        raise DataError(
            f"{where}: array {error} is not in it. It was written by an older version of fgbench, or by something "
            "else. Evaluate again with the same command: stored embeddings are used."
        ) from error
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise DataError(f"{where}: its arrays do not fit together ({error}).") from error


def outcomes_path(record_path: Path) -> Path:
    """Where the outcomes of a record lie."""
    return record_path.with_name(f"{record_path.name.removesuffix('.json')}.items.npz")


def read_outcomes(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays of an ``.items.npz`` file; never a pickled object.

    Raises:
        DataMissingError: it is not there.
        DataError: it is damaged, too large, or holds objects.
    """
    if not path.is_file():
        raise DataMissingError(
            f"{path}: there are no outcomes of single items. They lie beside the record of every evaluation; copy the "
            "file together with the record, or evaluate again."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_BYTES:
            raise DataError(f"{path}: its arrays would take {size:,} bytes; at most {MAX_BYTES:,} are read.")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(f"{path}: not a readable file of outcomes ({error}).") from error
