"""Tasks and datasets by name: the built-in ones, found by walking ``fgbench.tasks``, and those of other packages."""

from __future__ import annotations

import pkgutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from fgbench.errors import UsageError
from fgbench.registry import Registry, resolve
from fgbench.spec import DatasetSpec
from fgbench.task import Task


@lru_cache
def tasks() -> Registry[Task]:
    """All tasks. Other packages add theirs through the entry-point group ``fgbench.tasks`` (value: a task object)."""
    registry: Registry[Task] = Registry("task", entry_point_group="fgbench.tasks")
    package = resolve("fgbench.tasks")
    found = [
        getattr(resolve(f"fgbench.tasks.{module.name}"), "TASK", None)
        for module in pkgutil.iter_modules(package.__path__)
    ]
    for task in sorted((task for task in found if task is not None), key=lambda task: task.position):
        registry.add(task.id, task, origin=type(task).__module__)
    return registry


@lru_cache
def datasets() -> Registry[tuple[Task, DatasetSpec]]:
    """All datasets with the task that evaluates each, in task order."""
    registry: Registry[tuple[Task, DatasetSpec]] = Registry("dataset")
    for name in tasks():
        try:
            task = tasks().get(name)
        except UsageError as error:
            warnings.warn(f"Left out: {error}", stacklevel=2)
            continue
        if not isinstance(task, Task):
            warnings.warn(f"Left out: {name!r} of {tasks().origin(name)} lacks members of a task.", stacklevel=2)
            continue
        for spec in task.datasets:
            registry.add(spec.id, (task, spec), origin=f"task {name}")
    return registry


def select(task: str | Sequence[str] | None, dataset: str | Sequence[str] | None) -> list[tuple[Task, DatasetSpec]]:
    """The datasets that a user asked for, in registry order, each once.

    Args:
        task: task ids, as a sequence or separated by commas; ``all`` or None for every one.
        dataset: dataset ids, likewise; narrows the choice. Optional datasets are chosen only when named here.

    Raises:
        UsageError: unknown id, or a dataset that belongs to none of the tasks.
    """
    task_ids, dataset_ids = _names(task), _names(dataset)
    for name in task_ids or ():
        tasks().get(name)
    chosen = []
    for name in datasets():
        owner, spec = datasets().get(name)
        wanted = spec.id in dataset_ids if dataset_ids is not None else not spec.optional
        if wanted and (task_ids is None or owner.id in task_ids):
            chosen.append((owner, spec))
    for name in dataset_ids or ():
        owner, spec = datasets().get(name)
        if task_ids is not None and owner.id not in task_ids:
            raise UsageError(
                f"Dataset {name!r} belongs to task {owner.id!r}, which is not among {', '.join(task_ids)}."
            )
    return chosen


def choose(selected: Sequence[tuple[Task, DatasetSpec]], choices: Mapping[str, str]) -> list[tuple[Task, DatasetSpec]]:
    """Datasets with the parts of their protocols that the user chose.

    Args:
        selected: as from :func:`select`.
        choices: value by name; each holds for all datasets that have such a choice.

    Raises:
        UsageError: a choice that none of the datasets has, or a value that it does not allow.
    """
    for name, value in choices.items():
        having = {spec.id: spec.protocol.choices[name] for _, spec in selected if name in spec.protocol.choices}
        if not having:
            known = sorted({each for _, spec in selected for each in spec.protocol.choices})
            raise UsageError(
                f"--protocol {name}={value}: the selected datasets leave open: {', '.join(known) or 'nothing'}."
            )
        for dataset, choice in having.items():
            if not choice.allows(value):
                allowed = ", ".join(choice.allowed or ("a number from 0 to 1",))
                raise UsageError(
                    f"--protocol {name}={value}: {dataset} allows: {allowed}. Name the datasets meant with --dataset."
                )
    chosen = []
    for task, spec in selected:
        own = {name: value for name, value in choices.items() if name in spec.protocol.choices}
        own = {name: spec.protocol.choices[name].canonical(value) for name, value in own.items()}
        differing = {name: value for name, value in own.items() if value != spec.protocol.choices[name].default}
        chosen.append((task, replace(spec, protocol=replace(spec.protocol, chosen=differing))))
    return chosen


def _names(value: str | Sequence[str] | None) -> list[str] | None:
    if value is None:
        return None
    names = value.split(",") if isinstance(value, str) else list(value)
    names = [name.strip() for name in names if name.strip()]
    if not names:
        raise UsageError("An empty list of tasks or datasets was given; type 'all' or at least one id.")
    return None if "all" in names else names
