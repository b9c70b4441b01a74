"""Results folders as a run would write them, without a run."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fgbench import selection
from fgbench.results.folder import slug, stem
from fgbench.spec import DatasetSpec

HOSTILE = (
    "<script>window.hacked=1</script>",
    '"><img src=x onerror="window.hacked=1">',
    "{{7*7}}{% raise %}",
    "\u202egnp.exe",
    "</script><script>window.hacked=1</script>",
    "'-alert(1)-'&amp;<!--",
    "模型🦊👩‍👩‍👧",
    "x" * 5000,
    "a\x00b\x1b[31mc\ud800",
    "$\\frac{1}{0}$ javascript:window.hacked=1",
)
"""Names and notes that must be shown as what they are."""


def spec(dataset: str) -> DatasetSpec:
    return selection.datasets().get(dataset)[1]


def record(dataset: str, name: str = "model", /, *, interval: bool = True, **changes: Any) -> dict[str, Any]:
    """A record of a complete run under the dataset's own protocol; mappings in ``changes`` are put over it by field."""
    own = spec(dataset)
    published = sum(own.published_items.values())
    scores = [score(f"{name}/{dataset}/{key}", key.subset, key.metric, interval=interval) for key in own.main]
    found: dict[str, Any] = {
        "schema": "fgbench.result/1",
        "dataset": dataset,
        "task": own.task,
        "language": own.language,
        "protocol": {
            "id": own.protocol.id,
            "text": asdict(own.protocol.text),
            "budget": own.protocol.budget,
            "choices": {name: choice.default for name, choice in own.protocol.choices.items()},
            "details": dict(own.protocol.details),
        },
        "model": {
            "name": name, "kind": "dual encoder", "adapter": "fake", "source": "here", "revision": None,
            "sha256": hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest(), "paper": None, "notes": [],
        },
        "scores": scores,
        "main": [{"subset": key.subset, "metric": key.metric, "value": None} for key in own.main],
        "counts": {
            "expected": published, "evaluated": published, "skipped": {}, "published": published or None, "ties": {},
            "texts": 12, "texts_truncated": 0,
        },
        "notes": [],
        "data": {"annotations": {"file.json": "a" * 64}, "images": 7, "images_sha256": "b" * 64},
        "environment": {"packages": {"fgbench": "0.1.0"}, "precision": "fp32"},
        "arguments": {"passed": {}, "effective": {"data_root": "data", "limit": None}},
    }  # fmt: skip
    found = copy.deepcopy(found)
    for key, value in changes.items():
        found[key] = {**found[key], **value} if isinstance(value, Mapping) else value
    return found


def score(seed: str, subset: str, metric: str, *, interval: bool = True) -> dict[str, Any]:
    """A number that depends on ``seed`` alone."""
    value = int(hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()[:4], 16) / 65535
    found: dict[str, Any] = {"subset": subset, "metric": metric, "value": value, "n": 500}
    if interval:
        found["interval"] = {"low": max(0.0, value - 0.04), "high": min(1.0, value + 0.05)}
    return found


def write(folder: Path, records: Iterable[dict[str, Any]]) -> Path:
    """A results folder with these records; returns it."""
    for each in records:
        name = stem(each["dataset"], each["arguments"]["effective"].get("limit"))
        path = folder / slug(each["model"]["name"])[:80] / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(each), encoding="utf-8")
    return folder


def everything() -> list[str]:
    """The paper's 29 datasets."""
    return [name for name in selection.datasets() if not spec(name).optional]


def suite(models: Iterable[str] = ("alpha", "beta", "gamma")) -> list[dict[str, Any]]:
    """Each model on each of the 29 datasets."""
    return [record(dataset, model) for model in models for dataset in everything()]
