"""What a task is: the code shared by the datasets of one kind.

It reads annotations, says what is needed, and turns features into metrics. What else a task can do (score predictions,
write files, draw, say what its scores are functions of) are protocols of their own, which it may follow or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy.typing as npt

from fgbench.requests import Request
from fgbench.spec import DatasetSpec, MetricKey

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

    from fgbench.data.files import DatasetFiles
    from fgbench.metrics.sample import Sample


@dataclass(frozen=True)
class Loaded:
    """What a task read from the annotation files of a dataset; no pixels.

    Attributes:
        items: the task's own records.
        size: number of items, by subset; rejected ones included.
        rejected: items that cannot be evaluated whatever the model, by reason (``unknown_category``, …).
        notes: what a reader of the result has to know about these files.
    """

    items: Any
    size: Mapping[str, int]
    rejected: Counter[str] = field(default_factory=Counter)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Score:
    """One number: a fraction in [0, 1] over ``n`` queries."""

    subset: str
    metric: str
    value: float
    n: int


@dataclass(frozen=True)
class Scores:
    """Result of a task on one dataset.

    Attributes:
        scores: the numbers, in table order.
        evaluated: items that were evaluated.
        skipped: items that were not, by reason; together with ``evaluated`` they make up the size of the dataset.
        outcomes: one array per query set, for pairwise comparison of models (ids and ranks).
        ties: queries whose result was decided by the tie rule, by score.
        examples: what exactly was wrong with the first item skipped for a reason.
        tables: for people, by name: columns of equal length; written as CSV beside the record.
    """

    scores: Sequence[Score]
    evaluated: int
    skipped: Counter[str]
    outcomes: Mapping[str, npt.NDArray[Any]]
    ties: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, npt.NDArray[Any]]] = field(default_factory=dict)


@runtime_checkable
class Task(Protocol):
    """The code shared by datasets of one kind.

    Attributes:
        id: name on the command line.
        title: as printed in tables; a task may have ``title_zh`` for Chinese pages.
        position: place in tables; the built-in tasks follow the paper and leave gaps for others.
        datasets: what it evaluates, in table order.
    """

    id: str
    title: str
    position: int
    datasets: tuple[DatasetSpec, ...]

    def load(self, spec: DatasetSpec, files: DatasetFiles, limit: int | None) -> Loaded:
        """Read annotation files.

        Args:
            spec: one of ``datasets``.
            files: finds and reads the files of the dataset.
            limit: keep the first so many items of each subset.

        Raises:
            DataMissingError: a file is not there.
            DataError: a file cannot be understood.
        """

    def requests(self, spec: DatasetSpec, loaded: Loaded) -> Mapping[str, Request]:
        """What has to be encoded."""

    def score(self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Any]) -> Scores:
        """Metrics from the answers to the requests (:data:`fgbench.requests.Answer`, by request name): no model.

        Pure, except that ground truth too large to be loaded beforehand (label maps) is read here.
        """


class Predictions(NamedTuple):
    """Predictions that were made elsewhere.

    Attributes:
        answers: to the task's requests, by name.
        notes: what a reader of the result has to know about them.
    """

    answers: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@runtime_checkable
class ScoresPredictions(Protocol):
    """A task that can also score what was predicted elsewhere (``fgbench score``)."""

    def predictions(self, spec: DatasetSpec, loaded: Loaded, place: Path, options: Mapping[str, str]) -> Predictions:
        """Read predictions as the answers to the task's requests.

        Args:
            spec: one of the task's datasets.
            loaded: its items.
            place: file or folder with the predictions.
            options: how they are to be read; the task documents its own.

        Raises:
            UsageError: an unknown option.
            DataMissingError: predictions are not there.
            DataError: predictions that cannot be understood; names the file and the entry.
        """


@runtime_checkable
class WritesFiles(Protocol):
    """A task whose answers are worth a file of their own: to be scored again, or to be sent to a server."""

    def submission(self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
        """File names, and what is in them."""


@runtime_checkable
class DrawsPictures(Protocol):
    """A task that can show what a model did (``fgbench eval --save-visuals N``)."""

    def pictures(
        self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Any], count: int
    ) -> Iterator[tuple[str, Image]]:
        """Up to ``count`` pictures with a file name (without suffix) each."""


@runtime_checkable
class HasSamples(Protocol):
    """A task that can say what its scores are functions of: for intervals, paired comparison and recomputation."""

    def samples(self, spec: DatasetSpec, outcomes: Mapping[str, npt.NDArray[Any]]) -> Mapping[MetricKey, Sample]:
        """The items behind each score, whose :meth:`~fgbench.metrics.sample.Sample.value` is the score.

        Args:
            spec: one of the task's datasets.
            outcomes: as in :attr:`Scores.outcomes`, or read back from a file (docs/records.md).

        Returns:
            By score, in the order of the scores; scores that the outcomes do not determine are left out.

        Raises:
            KeyError, ValueError: arrays are not there or do not fit together.
        """
