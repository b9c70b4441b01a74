"""LVIS fixed AP at the size of minival, against the ``lvis`` package (bbox mode, with ``numpy.float`` put back)."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.measure import measure
from fgbench.metrics.lvis_ap import FIXED_BUDGET, Detections, GroundTruth, box_ap

CATEGORIES = 1203
OBJECTS, LABELS, NEGATIVE = 10, 4, 9
"""Per picture: annotated objects, categories among them, categories verified absent; as in minival."""

NEEDED = {"lvis": "lvis", "pycocotools": "pycocotools", "cv2": "opencv-python-headless", "matplotlib": "matplotlib"}


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


def main(arguments: list[str]) -> None:
    """Print time, memory and ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks lvis")
    parser.add_argument("--images", type=int, default=4809, help="the package needs minutes for all of minival's")
    parser.add_argument("--per-image", type=int, default=300, help="detections of each picture")
    parser.add_argument("--only-ours", action="store_true", help="leave the package out")
    options = parser.parse_args(arguments)
    lacking = [wheel for module, wheel in NEEDED.items() if importlib.util.find_spec(module) is None]
    results = [("fgbench", measure(arrays, ours, options.images, options.per_image))]
    if lacking and not options.only_ours:
        print(f"The lvis package cannot be compared: pip install {' '.join(lacking)}")
    elif not options.only_ours:
        results.append(("lvis", measure(rows, package_ap, options.images, options.per_image)))
    count = options.images * options.per_image
    print(f"{options.images:,} pictures, {CATEGORIES:,} categories, {count:,} detections, fixed AP")
    for name, result in results:
        print(f"{name:10} {result.seconds:8.1f} s {result.mebibytes:8,.0f} MiB   AP {result.value!r}")
    if len(results) == 2:
        (_, own), (_, other) = results
        print(
            f"ratio {other.seconds / own.seconds:.1f} × in time, {other.mebibytes / own.mebibytes:.1f} × in memory; "
            f"difference of AP {abs(other.value - own.value):.1e}"
        )
