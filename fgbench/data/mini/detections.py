"""Recorded proposals for LVIS: what a mediocre detector could have found. Simulated, and their metadata says so.

Boxes are jittered truths with the right class and its look-alikes, none of them clearly the best, and boxes of nothing.
So there is something for a re-scoring model to gain.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from fgbench.data.mini.boxes import COCO_SCENES, TRAIN_SCENES
from fgbench.data.mini.files import scenes
from fgbench.data.mini.world import Scene
from fgbench.data.mini.world.classes import TEXTURE_CLASSES
from fgbench.data.proposal_arrays import from_rows
from fgbench.data.proposals import write_proposals

_JITTER = 0.07
"""Standard deviation of an edge, as a share of the side."""

_LOOK_ALIKES = 5
"""Wrong classes per object."""

_BACKGROUND = 6
"""Boxes of nothing per picture."""

Row = tuple[tuple[float, float, float, float], int, float]


def write_detections(root: Path) -> None:
    """Write proposals for all pictures of LVIS v1 val; minival takes its own from them."""
    pictures = (*scenes(*COCO_SCENES), *scenes(*TRAIN_SCENES))
    rows = [(index, *row) for index, each in enumerate(pictures) for row in _rows(each)]
    image, box, category, score = (np.array(column) for column in zip(*rows, strict=True))
    metadata = {
        "detector": "simulated",
        "note": "no detector: jittered boxes of the miniature world with right and wrong classes and random scores",
    }
    made = from_rows(
        np.array([each.number + 1 for each in pictures]),
        image,
        box.astype(np.float32),
        category,
        score.astype(np.float32),
        metadata,
    )
    write_proposals(root / "lvis/proposals/val", made)


def _rows(picture: Scene) -> list[Row]:
    """(Box as x1, y1, x2, y2, category id, score)."""
    rng = picture.rng("proposals")
    width, height = picture.canvas
    classes = range(1, len(TEXTURE_CLASSES.phrases) + 1)
    rows: list[Row] = []
    for thing in picture.things:
        x, y, w, h = thing.box
        box = _jittered((x, y, x + w, y + h), picture.canvas, rng)
        right = TEXTURE_CLASSES.label(picture, thing) + 1
        wrong = rng.sample([category for category in classes if category != right], _LOOK_ALIKES)
        rows += [(box, category, rng.uniform(0.2, 0.6)) for category in (right, *wrong)]
    for _ in range(_BACKGROUND):
        across, down = (rng.uniform(0.15, 0.4) * side for side in (width, height))
        left, top = rng.uniform(0, width - across), rng.uniform(0, height - down)
        rows.append(((left, top, left + across, top + down), rng.choice(classes), rng.uniform(0.1, 0.4)))
    return rows


def _jittered(
    box: tuple[float, float, float, float], canvas: tuple[int, int], rng: random.Random
) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    moved = [
        edge + rng.gauss(0, _JITTER) * side for edge, side in zip(box, (right - left, bottom - top) * 2, strict=True)
    ]
    clipped = [min(max(edge, 0.0), float(limit)) for edge, limit in zip(moved, canvas * 2, strict=True)]
    return clipped[0], clipped[1], clipped[2], clipped[3]
