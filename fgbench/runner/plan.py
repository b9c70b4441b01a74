"""The plan: what the selected datasets ask for, and how little of it has to be encoded.

A plan is made from annotation files and directory entries; no picture is opened and no model is loaded.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from fgbench.data.files import DatasetFiles, Folders
from fgbench.data.uncollected import without_collection
from fgbench.errors import CapabilityError, DataError, DataMissingError
from fgbench.requests import ClassPrompts, Generate, ImageRef, Images, LabelMaps, Regions, RegionScores, Request, Texts
from fgbench.spec import DatasetSpec
from fgbench.task import Loaded, Task

Status = Literal["ready", "incomplete", "missing", "broken"]


@dataclass(frozen=True)
class PlannedDataset:
    """One selected dataset.

    Attributes:
        spec, task: what it is and who evaluates it.
        files: where its files were found.
        loaded: its items, or None if the annotation files are missing or broken.
        requests: what has to be encoded, by the task's names.
        missing: pictures that the annotations name but the disk lacks.
        problem: why it cannot be evaluated as it stands.
    """

    spec: DatasetSpec
    task: Task
    files: DatasetFiles
    loaded: Loaded | None = None
    requests: Mapping[str, Request] = field(default_factory=dict)
    missing: frozenset[ImageRef] = frozenset()
    problem: Exception | None = None

    @property
    def status(self) -> Status:
        """Ready to be evaluated?"""
        if isinstance(self.problem, DataError):
            return "broken"
        if self.loaded is None or self.problem is not None:
            return "missing"
        return "incomplete" if self.missing else "ready"

    def images(self) -> Iterator[ImageRef]:
        """Every image asked for, by request; one image may come several times."""
        return itertools.chain.from_iterable(map(_images, self.requests.values()))

    @cached_property
    def distinct_images(self) -> frozenset[ImageRef]:
        """The different picture files among them."""
        return frozenset(self.images())

    @cached_property
    def distinct_texts(self) -> Mapping[str, Set[str]]:
        """The different texts asked for, by kind."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for request in self.requests.values():
            if isinstance(request, (LabelMaps, RegionScores)):
                request = request.classes
            if isinstance(request, (Texts, ClassPrompts)):
                found[request.kind].update(request.strings())
            elif isinstance(request, Generate):
                found["prompt"].update(prompt.text for prompt in request.prompts)
        return found


@dataclass(frozen=True)
class Plan:
    """All selected datasets, in order."""

    datasets: tuple[PlannedDataset, ...]

    def summary(self) -> dict[str, Any]:
        """Counts per dataset and in total (see :func:`counts`), plus status and problem of each dataset."""
        with without_collection():
            rows = {
                planned.spec.id: {
                    **counts([planned]),
                    "status": planned.status,
                    "problem": str(planned.problem) if planned.problem else None,
                }
                for planned in self.datasets
            }
            return {"total": counts(self.datasets), "datasets": rows}


def counts(datasets: Iterable[PlannedDataset]) -> dict[str, int]:
    """Count what a set of datasets asks for.

    Returns:
        ``items``: things to be judged (boxes, images with their captions, …); ``images``: image passes that an
        item-by-item script would make; ``distinct_images``: different picture files; ``regions``: boxes asked for;
        ``texts`` and ``distinct_texts``: texts asked for, and different (kind, text) pairs; ``missing``: pictures and
        annotation files that are not on disk.
    """
    planned = list(datasets)
    images = regions = texts = 0
    distinct_images: set[ImageRef] = set()
    distinct_texts: defaultdict[str, set[str]] = defaultdict(set)
    for dataset in planned:
        distinct_images |= dataset.distinct_images
        for request in dataset.requests.values():
            if isinstance(request, (LabelMaps, RegionScores)):
                texts += len(request.classes.names) * len(request.classes.templates)
            if isinstance(request, (Regions, RegionScores)):
                regions += len(request.boxes)
                images += len(request.boxes)
            elif isinstance(request, (Images, LabelMaps)):
                images += len(request.images)
            elif isinstance(request, Texts):
                texts += request.mentions or len(request.texts)
            elif isinstance(request, Generate):
                texts += len(request.prompts)
                images += sum(len(prompt.images) for prompt in request.prompts)
            else:
                texts += len(request.names) * len(request.templates)
        for kind, each in dataset.distinct_texts.items():
            distinct_texts[kind] |= each
    missing = frozenset[ImageRef]().union(*(dataset.missing for dataset in planned))
    return {
        "items": sum(sum(dataset.loaded.size.values()) for dataset in planned if dataset.loaded),
        "images": images,
        "distinct_images": len(distinct_images),
        "regions": regions,
        "texts": texts,
        "distinct_texts": sum(map(len, distinct_texts.values())),
        "missing": len(missing) + sum(isinstance(dataset.problem, DataMissingError) for dataset in planned),
    }


def make_plan(
    selection: Iterable[tuple[Task, DatasetSpec]],
    root: Path,
    *,
    overrides: Mapping[str, Mapping[str, Path]] | None = None,
    limit: int | None = None,
) -> Plan:
    """Read the annotations of the selected datasets.

    Args:
        selection: tasks with one of their datasets each.
        root: the data root.
        overrides: paths by dataset id and role.
        limit: keep the first so many items of each subset.
    """
    overrides = overrides or {}
    folders = Folders()
    with without_collection():
        return Plan(
            tuple(
                _planned(task, spec, DatasetFiles(spec, root, overrides.get(spec.id, {}), folders=folders), limit)
                for task, spec in selection
            )
        )


def _planned(task: Task, spec: DatasetSpec, files: DatasetFiles, limit: int | None) -> PlannedDataset:
    loaded = None
    try:
        loaded = task.load(spec, files, limit)
        requests = task.requests(spec, loaded)
    except (DataMissingError, DataError, CapabilityError) as problem:
        return PlannedDataset(spec, task, files, loaded, problem=problem)
    missing = files.folders.lacking(itertools.chain.from_iterable(map(_images, requests.values())))
    return PlannedDataset(spec, task, files, loaded, requests, missing)


def _images(request: Request) -> Iterable[ImageRef]:
    if isinstance(request, (Images, Regions, LabelMaps, RegionScores)):
        return request.images
    if isinstance(request, Generate):
        return itertools.chain.from_iterable(prompt.images for prompt in request.prompts)
    return ()
