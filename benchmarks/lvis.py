"""LVIS fixed AP at the size of minival, against the ``lvis`` package (bbox mode, with ``numpy.float`` put back)."""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.figures import Figure, Options, compared
from benchmarks.measure import measure
from fgbench.metrics.lvis_ap import FIXED_BUDGET, Detections, GroundTruth, box_ap

CATEGORIES = 1203
OBJECTS, LABELS, NEGATIVE = 10, 4, 9
"""Per picture: annotated objects, categories among them, categories verified absent; as in minival."""

NEEDED = ("lvis", "pycocotools", "opencv-python-headless", "matplotlib")


def arrays(images: int, per_image: int) -> tuple[GroundTruth, Detections]:
    """Invented objects and detections: four in ten of a category that is annotated in their picture."""
    rng = np.random.default_rng(0)
    weight = 1 / np.arange(1, CATEGORIES + 1)
    listed = np.stack(
        [rng.choice(CATEGORIES, LABELS + NEGATIVE, replace=False, p=weight / weight.sum()) for _ in range(images)]
    )
    image = np.repeat(np.arange(images), OBJECTS)
    box = np.concatenate([rng.uniform(0, 400, (len(image), 2)), rng.uniform(5, 200, (len(image), 2))], axis=1).round(2)
    absent = np.repeat(np.arange(images), NEGATIVE)
    truth = GroundTruth(
        images=images,
        frequency=np.array(list("rcf"))[np.arange(CATEGORIES) % 3],
        image=image,
        category=listed[image, rng.integers(0, LABELS, len(image))],
        box=box,
        area=(box[:, 2] * box[:, 3] * 0.7).round(2),
        ignore=np.zeros(len(image), dtype=bool),
        negative=np.c_[absent, listed[:, LABELS:].ravel()],
        not_exhaustive=np.c_[np.arange(0, images, 6), listed[::6, 0]],
    )
    owner = np.repeat(np.arange(images), per_image)
    near = OBJECTS * owner + rng.integers(0, OBJECTS, len(owner))
    found = box[near] + rng.normal(0, 6, (len(owner), 4))
    found[:, 2:] = np.maximum(found[:, 2:], 1)
    category = np.where(
        rng.random(len(owner)) < 0.4,
        listed[owner, rng.integers(0, LABELS + NEGATIVE, len(owner))],
        rng.integers(0, CATEGORIES, len(owner)),
    )
    right = rng.random(len(owner)) < 0.2
    category[right] = truth.category[near[right]]
    score = (rng.beta(1, 4, len(owner)) + 0.2 * right).round(6)
    return truth, Detections(found.round(2), owner, np.arange(len(owner)), category, score)


def rows(images: int, per_image: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The same as the package's files hold it."""
    truth, found = arrays(images, per_image)
    lists: dict[str, list[list[int]]] = {}
    for name, pairs in (("neg_category_ids", truth.negative), ("not_exhaustive_category_ids", truth.not_exhaustive)):
        lists[name] = [[] for _ in range(images)]
        for image, category in pairs.tolist():
            lists[name][image].append(category + 1)
    objects = zip(truth.image.tolist(), truth.category.tolist(), truth.box.tolist(), truth.area.tolist(), strict=True)
    content = {
        "images": [{"id": n + 1, **{name: lists[name][n] for name in lists}} for n in range(images)],
        "annotations": [
            {"id": n, "image_id": image + 1, "category_id": category + 1, "bbox": box, "area": area, "segmentation": []}
            for n, (image, category, box, area) in enumerate(objects, start=1)
        ],
        "categories": [{"id": n + 1, "frequency": str(each)} for n, each in enumerate(truth.frequency)],
    }
    columns = (found.box_image.tolist(), found.category.tolist(), found.box.tolist(), found.score.tolist())
    return content, [
        {"image_id": image + 1, "category_id": category + 1, "bbox": box, "score": score}
        for image, category, box, score in zip(*columns, strict=True)
    ]


def ours(truth: GroundTruth, found: Detections) -> float:
    """What fgbench does."""
    return box_ap(truth, found).mean("ap").value


def package_ap(truth: dict[str, Any], found: Sequence[dict[str, Any]], per_category: int = FIXED_BUDGET) -> float:
    """Fixed AP by the package, which changes what it is given: ``found`` is copied."""
    lvis = importlib.import_module("lvis")
    by_category: dict[int, list[dict[str, Any]]] = {}
    for row in found:
        by_category.setdefault(row["category_id"], []).append(dict(row))
    kept = [
        row
        for group in by_category.values()
        for row in sorted(group, key=lambda row: -float(row["score"]))[:per_category]
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lvis.json"
        path.write_text(json.dumps(truth), encoding="utf-8")
        reference = lvis.LVIS(str(path))
    evaluation = lvis.LVISEval(reference, lvis.LVISResults(reference, kept, max_dets=-1), "bbox")
    # Removed in numpy 1.24; lvis 0.5.3 uses it.
    with patch.object(np, "float", float, create=True):
        evaluation.run()
    return float(evaluation.results["AP"])


def figures(options: Options) -> Iterator[Figure]:
    """Fixed AP of as many pictures as minival has, or of a tenth."""
    images, per_image = (480, 100) if options.quick else (4809, 300)
    own = [measure(arrays, ours, images, per_image)]
    other = [measure(rows, package_ap, images, per_image)]
    if abs(own[0].value - other[0].value) > 1e-12:
        raise SystemExit(f"lvis: NOT EQUAL: AP {own[0].value!r} and {other[0].value!r}")
    what = f"fixed AP, {images:,} pictures, {images * per_image:,} detections"
    yield from compared("lvis", what, own, other, 5, f"AP differs by {abs(own[0].value - other[0].value):.0e}")
