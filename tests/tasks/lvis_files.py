"""LVIS v1 files and proposals made up for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fgbench.data.files import DatasetFiles
from fgbench.data.proposals import Proposals, write_proposals
from fgbench.requests import ClassScores, RegionScores
from fgbench.selection import choose, datasets

from ..fakes import save_picture
from ..layouts import Row, write_json
from .reading import Opened

VAL = "lvis/lvis_v1_val.json"
SIZE = (24, 16)
NAMES = ("bow_(weapon)", "Band_Aid", "cup", "ski_pole")


def image(number: int, part: str = "val2017", **changes: Any) -> Row:
    return {
        "id": number,
        "coco_url": f"http://images.cocodataset.org/{part}/{number:012d}.png",
        "width": SIZE[0],
        "height": SIZE[1],
        "neg_category_ids": [],
        "not_exhaustive_category_ids": [],
        **changes,
    }


def thing(number: int, owner: int, category: int, box: Sequence[float] = (2, 3, 10, 8), **changes: Any) -> Row:
    row = {"id": number, "image_id": owner, "category_id": category, "bbox": list(box)}
    return {**row, "area": 0.7 * box[2] * box[3], **changes}


def categories(names: Sequence[str] = NAMES, frequency: str = "rcff") -> list[Row]:
    return [
        {"id": number, "name": name, "synset": "any.n.01", "frequency": frequency[(number - 1) % len(frequency)]}
        for number, name in enumerate(names, start=1)
    ]


def content(images: Iterable[Row], things: Iterable[Row], classes: Sequence[Row] | None = None) -> Row:
    listed = categories() if classes is None else list(classes)
    return {"images": list(images), "annotations": list(things), "categories": listed}


def lvis(root: Path, file: Row, place: str = VAL) -> Path:
    return write_json(root / place, file)


def pictures(root: Path, file: Row) -> None:
    """The picture files that an annotation file names."""
    for row in file["images"]:
        path = root / "coco" / "/".join(row["coco_url"].split("/")[-2:])
        save_picture(path, row["id"], (row["width"], row["height"]))


def proposals(
    rows: Iterable[tuple[int, Sequence[float], Mapping[int, float]]], image_ids: Sequence[int], **metadata: Any
) -> Proposals:
    """Proposals from (image id, x y w h, score by category id), ordered by image."""
    ids = np.array(sorted(image_ids), dtype=np.int64)
    ordered = sorted(rows, key=lambda row: row[0])
    boxes = np.array([row[1] for row in ordered], dtype=np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    pairs = [(n, category, score) for n, row in enumerate(ordered) for category, score in row[2].items()]
    return Proposals(
        ids,
        boxes,
        np.searchsorted(ids, np.array([row[0] for row in ordered], dtype=np.int64)),
        np.array([pair[0] for pair in pairs], dtype=np.int64),
        np.array([pair[1] for pair in pairs], dtype=np.int64),
        np.array([pair[2] for pair in pairs], dtype=np.float32),
        metadata,
    )


def store(root: Path, found: Proposals, split: str = "minival") -> Path:
    place = root / "lvis/proposals" / split
    write_proposals(place, found)
    return place


def loaded(root: Path, dataset: str = "lvis-minival", limit: int | None = None, **choices: str) -> Opened:
    """A dataset without its requests, which need proposals."""
    (task, spec) = choose([datasets().get(dataset)], choices)[0]
    files = DatasetFiles(spec, root)
    return Opened(task, spec, files, task.load(spec, files, limit), {})


def requested(found: Opened) -> Any:
    """The class scores asked for."""
    return found.task.requests(found.spec, found.loaded)["regions"]


def answered(request: RegionScores, seed: int = 0) -> ClassScores:
    """What a model might answer: random cosines of every box with every class."""
    cosine = np.random.default_rng(seed).uniform(-0.1, 0.4, (len(request.boxes), len(request.classes.names)))
    table = cosine.astype(np.float32)
    logits = table[:, :, None].astype(np.float64) / np.array(request.temperatures)
    return ClassScores(
        cosine=table[request.pair_box, request.pair_class],
        log_normaliser=np.log(np.exp(logits).sum(axis=1)).astype(np.float32),
        best_class=table.argmax(axis=1),
        best_cosine=table.max(axis=1),
    )


def random_set(images: int = 6, seed: int = 0) -> tuple[Row, Proposals]:
    """Pictures 1, 2, … with three objects and eight proposals of two categories each."""
    rng = np.random.default_rng(seed)

    def box() -> list[float]:
        x, y = rng.integers(0, 12), rng.integers(0, 6)
        return [float(value) for value in (x, y, rng.integers(4, 12), rng.integers(4, 10))]

    rows, things = [], []
    for number in range(1, images + 1):
        own = [thing(10 * number + n, number, int(rng.integers(1, 5)), box()) for n in range(3)]
        things += own
        for n in range(8):
            near = own[n % 3]["bbox"] if n < 6 else box()
            first, second = (int(value) for value in rng.permutation(4)[:2] + 1)
            jitter = [value + float(step) for value, step in zip(near, rng.integers(0, 2, 4), strict=True)]
            rows.append((number, jitter, {first: rng.uniform(0.1, 0.9), second: rng.uniform(0.1, 0.9)}))
    file = content([image(n, neg_category_ids=[1, 2, 3, 4]) for n in range(1, images + 1)], things)
    return file, proposals(rows, range(1, images + 1), detector={"name": "any-detector"})


def metric(scores: Any, subset: str, name: str = "ap") -> float:
    [value] = [each.value for each in scores.scores if (each.subset, each.metric) == (subset, name)]
    return float(value)
