"""LVIS average precision as a plain loop over rows, written from the rules alone; and its inputs as arrays.

A ground-truth file is a dict as in LVIS's JSON files, detections are a list as in a results file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fgbench.metrics.lvis_ap import Detections, GroundTruth

Row = dict[str, Any]
SIZES = [(0, 1e10), (0, 32**2), (32**2, 96**2), (96**2, 1e10)]
THRESHOLDS = [float(value) for value in np.linspace(0.5, 0.95, 10)]


def arrays(truth: Row, detections: Sequence[Row]) -> tuple[GroundTruth, Detections]:
    """The same as arrays; category ids have to be 1, 2, 3, …"""
    place = {number: index for index, number in enumerate(sorted(row["id"] for row in truth["images"]))}
    categories = sorted(truth["categories"], key=lambda row: int(row["id"]))
    assert [row["id"] for row in categories] == list(range(1, len(categories) + 1))
    objects = truth["annotations"]

    def pairs(name: str) -> Any:
        found = [(place[row["id"]], category - 1) for row in truth["images"] for category in row[name]]
        return np.array(found, dtype=np.int64).reshape(-1, 2)

    def integers(values: list[int]) -> Any:
        return np.array(values, dtype=np.int64)

    return (
        GroundTruth(
            images=len(place),
            frequency=np.array([row["frequency"] for row in categories]),
            image=integers([place[row["image_id"]] for row in objects]),
            category=integers([row["category_id"] - 1 for row in objects]),
            box=np.array([row["bbox"] for row in objects], dtype=np.float64).reshape(-1, 4),
            area=np.array([row["area"] for row in objects], dtype=np.float64),
            ignore=np.array([bool(row.get("ignore")) for row in objects], dtype=bool),
            negative=pairs("neg_category_ids"),
            not_exhaustive=pairs("not_exhaustive_category_ids"),
        ),
        Detections(
            box=np.array([row["bbox"] for row in detections], dtype=np.float64).reshape(-1, 4),
            box_image=integers([place[row["image_id"]] for row in detections]),
            box_index=np.arange(len(detections)),
            category=integers([row["category_id"] - 1 for row in detections]),
            score=np.array([row["score"] for row in detections], dtype=np.float64),
        ),
    )


def best(rows: Sequence[Row], field: str, budget: int | None) -> list[Row]:
    """The best-scored rows for each value of a field."""
    if budget is None:
        return list(rows)
    kept = set()
    for value in {row[field] for row in rows}:
        group = [index for index, row in enumerate(rows) if row[field] == value]
        kept |= set(sorted(group, key=lambda index: -rows[index]["score"])[:budget])  # stable
    return [row for index, row in enumerate(rows) if index in kept]


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a[2] * a[3] + b[2] * b[3] - width * height)


def judged(
    image: Row, objects: list[Row], found: list[Row], size: tuple[float, float], threshold: float
) -> list[tuple[float, str]]:
    """(score, right | wrong | ignored) of the detections of one category in one picture."""
    out = [bool(row.get("ignore")) or not size[0] <= row["area"] <= size[1] for row in objects]
    order = sorted(range(len(objects)), key=lambda index: out[index])
    free = set(order)
    verdicts = []
    for row in sorted(found, key=lambda row: -row["score"]):
        chosen = None
        for ignored in (False, True):
            reach = min(threshold, 1 - 1e-10)
            for index in order:
                if index in free and out[index] == ignored and iou(row["bbox"], objects[index]["bbox"]) >= reach:
                    chosen, reach = index, iou(row["bbox"], objects[index]["bbox"])
            if chosen is not None:
                break
        if chosen is not None:
            free.remove(chosen)
            verdict = "ignored" if out[chosen] else "right"
        else:
            outside = not size[0] <= row["bbox"][2] * row["bbox"][3] <= size[1]
            excused = row["category_id"] in image["not_exhaustive_category_ids"]
            verdict = "ignored" if outside or excused else "wrong"
        verdicts.append((row["score"], verdict))
    return verdicts


def average_precision(verdicts: list[tuple[float, str]], objects: int) -> tuple[float, float]:
    """(AP, recall) of one category, at one size and threshold; ``verdicts`` by ascending image id."""
    right = wrong = 0
    curve = []
    for _, verdict in sorted(verdicts, key=lambda entry: -entry[0]):
        right += verdict == "right"
        wrong += verdict == "wrong"
        curve.append((right / objects, right / (right + wrong + 2**-52)))
    total = 0.0
    for point in np.linspace(0, 1, 101):
        total += max((precision for recall, precision in curve if recall >= point), default=0.0)
    return total / 101, right / objects


def box_ap(
    truth: Row, detections: Sequence[Row], *, per_category: int | None = 10_000, per_image: int | None = None
) -> tuple[Any, Any]:
    """Precision and recall [sizes, thresholds, categories], NaN where there is no object."""
    rows = best(best(detections, "image_id", per_image), "category_id", per_category)
    images = sorted(truth["images"], key=lambda row: int(row["id"]))
    tables: list[dict[tuple[int, int], list[Row]]] = [{}, {}]
    for table, listed in zip(tables, (truth["annotations"], rows), strict=True):
        for row in listed:
            table.setdefault((row["image_id"], row["category_id"]), []).append(row)
    precision = np.full((len(SIZES), len(THRESHOLDS), len(truth["categories"])), np.nan)
    recall = precision.copy()
    for category in (row["id"] for row in truth["categories"]):
        parts = []
        for image in images:
            objects, found = (table.get((image["id"], category), []) for table in tables)
            if objects or category in image["neg_category_ids"]:
                parts.append((image, objects, [row for row in found if row["bbox"][2] * row["bbox"][3] > 0]))
        for s, size in enumerate(SIZES):
            count = sum(
                not row.get("ignore") and size[0] <= row["area"] <= size[1]
                for _, objects, _ in parts
                for row in objects
            )
            if count:
                for t, threshold in enumerate(THRESHOLDS):
                    verdicts = [each for part in parts for each in judged(*part, size, threshold)]
                    precision[s, t, category - 1], recall[s, t, category - 1] = average_precision(verdicts, count)
    return precision, recall
