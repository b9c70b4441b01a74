"""Results folders with records of coco and flickr30k, made by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fgbench.results.folder import save

PICTURES = 40


def record(dataset: str = "coco", model: str = "one", value: float = 0.5, **changes: Any) -> dict[str, Any]:
    """A record of a retrieval set; ``changes`` replace fields, dots lead to nested ones."""
    found: dict[str, Any] = {
        "schema": "fgbench.result/1", "dataset": dataset, "task": "short-retrieval", "language": "en",
        "protocol": {
            "id": "paper", "text": {"kind": "short", "lowercase": True, "templates": None, "classes": None},
            "budget": None, "choices": {}, "details": {"gallery": "all"},
        },
        "model": {
            "name": model, "adapter": "a", "source": "s", "revision": None, "sha256": model, "paper": None, "notes": [],
        },
        "scores": [{"subset": "*", "metric": name, "value": value, "n": PICTURES} for name in ("i2t_r1", "t2i_r1")],
        "main": [{"subset": "*", "metric": name, "value": value} for name in ("i2t_r1", "t2i_r1")],
        "counts": {"expected": PICTURES, "evaluated": PICTURES, "skipped": {}, "published": 5000, "ties": {}},
        "notes": [], "data": {"annotations": {"coco/captions.json": "1"}, "images": 40, "images_sha256": "2"},
        "environment": {"precision": "fp32", "packages": {"fgbench": "0"}},
        "arguments": {"effective": {"limit": None}},
    }  # fmt: skip
    for path, value_ in changes.items():
        *way, last = path.split("__")
        place = found
        for step in way:
            place = place[step]
        place[last] = value_
    return found


def outcomes(ranks: Sequence[int], names: Sequence[str] | None = None) -> dict[str, Any]:
    """Outcomes of a set with one caption per picture: the same ranks both ways."""
    rank = np.array(ranks, dtype=np.int64)
    ids = np.array(names or [str(number) for number in range(len(rank))])
    return {"id": ids, "i2t_rank": rank, "t2i_rank": rank, "t2i_image": np.arange(len(rank))}


def write(results: Path, model: str, ranks: Sequence[int], dataset: str = "coco", **changes: Any) -> Path:
    """A record with outcomes in the folder of a model; its scores are those of the ranks."""
    names = changes.pop("names", None)
    content = record(dataset, model, float(np.mean(np.array(ranks) == 0)), **changes)
    return save(content, outcomes(ranks, names), results / model)


def edit(path: Path, change: Mapping[str, Any]) -> None:
    """Replace fields of a record on disk."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
