"""What fgbench knows: tasks, datasets and models as plain rows, for tables and JSON alike."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fgbench import models as model_names
from fgbench import selection
from fgbench.detector import detectors as detector_names
from fgbench.errors import UsageError
from fgbench.models import ModelEntry
from fgbench.registry import unknown_name
from fgbench.spec import DatasetSpec

Row = dict[str, Any]


def tasks() -> list[Row]:
    """One row per task: id, title, datasets."""
    registry = selection.datasets()  # those of a plug-in that cannot be loaded have been left out
    found = {task.id: task for task, _ in map(registry.get, registry)}
    return [
        {"id": name, "title": task.title, "datasets": [spec.id for spec in task.datasets]}
        for name, task in found.items()
    ]


def datasets() -> list[Row]:
    """One row per dataset: id, task, title, language, items, metrics."""
    registry = selection.datasets()
    rows = []
    for name in registry:
        _, spec = registry.get(name)
        rows.append(
            {
                "id": spec.id,
                "task": spec.task,
                "title": spec.title,
                "language": spec.language,
                "items": sum(spec.published_items.values()),
                "main": [f"{key.subset}/{key.metric}" if key.subset != "*" else key.metric for key in spec.main],
            }
        )
    return rows


def models() -> list[Row]:
    """One row per alias, scheme and third-party name; nothing is loaded."""
    registry = model_names.registry()
    known = {
        name: entry
        for family in model_names.families()
        for name, entry in [
            *((model.id, ModelEntry(family, model)) for model in family.models),
            (f"{family.scheme}:…", ModelEntry(family, None)),
        ]
    }
    rows = []
    for name, (family, model) in known.items():
        rows.append(
            {
                "id": name,
                "family": family.scheme,
                "kind": family.kind,
                "title": model.title if model else family.title,
                "source": model.target if model else f"e.g. {family.example}",
                "languages": list(model.languages) if model else [],
                "licence": model.licence if model else "",
                "aliases": list(model.aliases) if model else [],
            }
        )
    built_in = {name for family in model_names.families() for name in (family.scheme, *_aliases(family.models))}
    for name in registry:
        if name not in built_in:
            rows.append(
                {"id": name, "family": "plug-in", "kind": "", "title": f"from {registry.origin(name)}", "source": "",
                 "languages": [], "licence": "", "aliases": []}
            )  # fmt: skip
    return rows


def detectors() -> list[Row]:
    """One row per declared detector and scheme; nothing is loaded."""
    return [
        {"id": name, "title": entry.model.title if entry.model else entry.family.title,
         "source": entry.model.target if entry.model else f"e.g. {entry.family.example}",
         "licence": entry.model.licence if entry.model else ""}
        for name, entry in _detector_entries().items()
    ]  # fmt: skip


def _detector_entries() -> dict[str, ModelEntry]:
    registry = detector_names()
    found = {name: registry.get(name) for name in registry}
    return {name: entry for name, entry in found.items() if isinstance(entry, ModelEntry)}


def facts(name: str) -> Row:
    """Everything declared about a dataset or a model.

    Raises:
        UsageError: neither is called so.
    """
    if name in selection.datasets():
        _, spec = selection.datasets().get(name)
        return _dataset(spec)
    if name in _detector_entries():
        entry = _detector_entries()[name]
        declared = asdict(entry.model) if entry.model else {"id": name, "example": entry.family.example}
        return {"kind": "detector", **declared, "family": entry.family.scheme, "loaded by": entry.family.factory}
    models = model_names.registry()
    name = name.removesuffix(":…")  # as `list models` prints schemes
    if name not in models:
        raise UsageError(unknown_name("dataset or model", name, [*selection.datasets(), *models]))
    entry = models.get(name)
    if not isinstance(entry, ModelEntry):
        return {"kind": "model", "id": name, "from": models.origin(name)}
    family, model = entry
    declared = asdict(model) if model else {"id": f"{family.scheme}:…", "example": family.example}
    return {
        "kind": "model",
        **declared,
        "family": family.scheme,
        "loaded by": family.factory,
        "model options": dict(family.options),
    }


def _dataset(spec: DatasetSpec) -> Row:
    content = asdict(spec)
    for name in ("main", "shown"):
        content[name] = [f"{subset}/{metric}" for subset, metric in content[name]]
    for choice in content["protocol"]["choices"].values():
        choice["allowed"] = choice["allowed"] or "any number from 0 to 1"
    content["published"] = {
        f"{key.subset}/{key.metric}": f"table {cell.table}, {cell.dataset}, {cell.metric}"
        + (f" (protocol {cell.protocol}: not comparable)" if cell.protocol else "")
        for key, cell in spec.published.items()
    }
    return {"kind": "dataset", **content}


def _aliases(models: tuple[model_names.ModelSpec, ...]) -> list[str]:
    return [name for model in models for name in (model.id, *model.aliases)]
