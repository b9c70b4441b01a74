"""Datasets as data: a :class:`DatasetSpec` is the one place that says everything about a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from fgbench.requests import TextKind


class MetricKey(NamedTuple):
    """Names one number of a dataset. ``subset`` is ``*`` where a dataset has only one."""

    subset: str
    metric: str


class PublishedCell(NamedTuple):
    """Where the paper prints a number.

    Attributes:
        table: of the ICML text.
        dataset, metric: labels as in ``leaderboards/paper``.
        protocol: the paper's protocol where it is not the dataset's own: such a number never stands in the column
            beside a result of another protocol.
        method, backbone: how the row is called there; ``{}`` stands for the model's own.
    """

    table: str
    dataset: str
    metric: str
    protocol: str | None = None
    method: str = "{}"
    backbone: str = "{}"


@dataclass(frozen=True)
class TextProtocol:
    """How the texts of a dataset are prepared.

    Attributes:
        kind: text path asked for.
        lowercase: Python's Unicode ``lower()`` on the complete string, templates filled first.
        templates: name of a template list in ``tasks/data`` (``templates_80``), or None for the bare text.
        classes: name of a list of class names in ``tasks/data``, where the dataset has none of its own.
    """

    kind: TextKind
    lowercase: bool
    templates: str | None = None
    classes: str | None = None

    def prepare(self, text: str) -> str:
        """Apply the casing rule to one text."""
        return text.lower() if self.lowercase else text


@dataclass(frozen=True)
class Choice:
    """A part of a protocol that the user may choose; what was chosen stands in every result.

    Attributes:
        default: used unless the user chooses.
        allowed: the values there are, or None for any number in [0, 1].
        help: one line.
        scoring: only scoring depends on it; whatever a model computed is used again (``fgbench sweep``).
    """

    default: str
    allowed: tuple[str, ...] | None
    help: str
    scoring: bool = False

    def canonical(self, value: str) -> str:
        """One spelling per value: ``0.5`` for ``0.50``."""
        return value if self.allowed is not None else f"{float(value):g}"

    def allows(self, value: str) -> bool:
        """May this be chosen?"""
        if self.allowed is not None:
            return value in self.allowed
        try:
            return 0.0 <= float(value) <= 1.0
        except ValueError:
            return False


@dataclass(frozen=True)
class EvaluationProtocol:
    """What has to be equal for two numbers to be comparable.

    Attributes:
        id: name used in results, e.g. ``paper``.
        text: text preparation.
        budget: patch budget for variable-resolution models; None = the model's dynamic rule per image.
        details: further rules in words, shown by ``fgbench show`` and stored in results.
        choices: parts that the user may choose (``--protocol KEY=VALUE``).
        chosen: what was chosen, where it is not the default.
    """

    id: str
    text: TextProtocol
    budget: int | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, Choice] = field(default_factory=dict)
    chosen: Mapping[str, str] = field(default_factory=dict)

    def choice(self, name: str) -> str:
        """What holds: chosen, or the default."""
        return self.chosen.get(name, self.choices[name].default)


@dataclass(frozen=True)
class HubSource:
    """Files of a dataset on the Hugging Face hub.

    Attributes:
        repo: id of the dataset repository.
        files: patterns of the files needed (``*`` and ``?`` as in the shell).
        folder: where they go, relative to the data root.
        unpack: patterns of archives that have to be unpacked there (others are read in place).
        sha256: known digests by file name.
        gated: the owner asks for a form to be filled in first.
        moved_to: another id of the same files, asked if there is no ``repo`` (any more).
    """

    repo: str
    files: tuple[str, ...]
    folder: str
    unpack: tuple[str, ...] = ()
    sha256: Mapping[str, str] = field(default_factory=dict)
    gated: bool = False
    moved_to: str = ""

    @property
    def repos(self) -> tuple[str, ...]:
        """All ids, in the order in which they are asked."""
        return (self.repo, self.moved_to) if self.moved_to else (self.repo,)


@dataclass(frozen=True)
class DatasetSpec:
    """Everything about one dataset.

    Attributes:
        id: unique name on the command line.
        task: id of the task that evaluates it.
        title: as printed in tables.
        language: BCP 47 tag of its texts.
        homepage, licence, citation: for people.
        files: places to look for each role (``annotations``, ``images``, …), relative to the data root, best first.
        how_to_get: one or two sentences for somebody who lacks the files; what the hub does not have, and where.
        hub: what ``fgbench data get`` can download.
        published_items: items the published dataset has, by subset; results on fewer are marked incomplete.
        protocol: how it is evaluated.
        main: the number that stands for the dataset.
        metrics: names of the metrics, in table order.
        shown: numbers that the result table shows, if not all; the record has every one.
        published: where the paper prints which number.
        optional: not one of the paper's datasets: evaluated only when it is named.
        same_pictures_as: dataset in the other language with the same pictures, or pictures of the same kind; results of
            the two are shown side by side (``fgbench bilingual``).
        notes: traps worth knowing (docs/protocols.md has the whole list).
    """

    id: str
    task: str
    title: str
    language: str
    homepage: str
    licence: str
    citation: str
    files: Mapping[str, tuple[str, ...]]
    how_to_get: str
    published_items: Mapping[str, int]
    protocol: EvaluationProtocol
    main: tuple[MetricKey, ...]
    metrics: tuple[str, ...]
    shown: tuple[MetricKey, ...] = ()
    published: Mapping[MetricKey, PublishedCell] = field(default_factory=dict)
    hub: tuple[HubSource, ...] = ()
    optional: bool = False
    same_pictures_as: str = ""
    notes: tuple[str, ...] = ()
