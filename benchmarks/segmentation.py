"""The label map of one picture with the 847 classes of ADE20K: streamed against the full map of all scores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.figures import Figure, Options, alternate, compared
from benchmarks.measure import measure
from fgbench.requests import Float32
from fgbench.runner.label_maps import PatchClassifier, ScoredWindow
from fgbench.runner.windows import Layout, layout

DIM = 768
SIZE = (683, 512)
GRIDS = {"whole": (32, 42), "sclip": (14, 14)}
"""(rows, columns) of patches in a window: of 16 pixels."""


def inputs(preset: str, classes: int, threads: int) -> tuple[Layout, tuple[int, int], list[Float32], Float32]:
    """Random patches and unit prototypes; torch is loaded and has its threads, so that neither is counted."""
    import torch

    torch.set_num_threads(threads)
    torch.nn.functional.interpolate(torch.rand(64, 64) @ torch.rand(64, 64)[None, None], (9, 9), mode="bilinear")
    rng = np.random.default_rng(0)
    where, grid = layout(SIZE, preset, 224), GRIDS[preset]
    windows = [rng.standard_normal((grid[0] * grid[1], DIM), dtype=np.float32) for _ in where.boxes]
    prototypes = rng.standard_normal((classes, DIM), dtype=np.float32)
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    return where, grid, windows, prototypes


def streamed(where: Layout, grid: tuple[int, int], windows: list[Float32], prototypes: Float32) -> str:
    """What fgbench does."""
    import torch

    classifier = PatchClassifier(prototypes, torch.device("cpu"))
    scored = [
        ScoredWindow(classifier.score(torch.from_numpy(tokens), grid), box)
        for tokens, box in zip(windows, where.boxes, strict=True)
    ]
    return _digest(classifier.label_map(scored, where.resized, SIZE))


def full_map(where: Layout, grid: tuple[int, int], windows: list[Float32], prototypes: Float32) -> str:
    """The straightforward way: the scores of all classes at all pixels, then argmax."""
    import torch
    from torch.nn.functional import interpolate, normalize

    width, height = where.resized
    total, visits = torch.zeros(len(prototypes), height, width), torch.zeros(height, width)
    for tokens, (left, top, right, bottom) in zip(windows, where.boxes, strict=True):
        scores = (torch.from_numpy(prototypes) @ normalize(torch.from_numpy(tokens), dim=-1).T).reshape(1, -1, *grid)
        total[:, top:bottom, left:right] += interpolate(scores, (bottom - top, right - left), mode="bilinear")[0]
        visits[top:bottom, left:right] += 1
    total /= visits
    if where.resized != SIZE:
        total = interpolate(total[None], SIZE[::-1], mode="bilinear")[0]
    return _digest(total.argmax(dim=0).numpy())


def figures(options: Options) -> Iterator[Figure]:
    """One window, and overlapping ones."""
    classes = 100 if options.quick else 847
    for preset in GRIDS:
        own, other = alternate(
            partial(measure, inputs, streamed, preset, classes, 1),
            partial(measure, inputs, full_map, preset, classes, 1),
            options.repeat(3),
        )
        if len(answers := {run.value for run in own + other}) != 1:
            raise SystemExit(f"segmentation: NOT EQUAL: {answers}")
        windows = len(layout(SIZE, preset, 224).boxes)
        what = f"label map, {classes} classes, {SIZE[1]} × {SIZE[0]}, {windows} windows ({preset})"
        yield from compared("segmentation", what, own, other, None, "label maps are identical")


def _digest(labels: Any) -> str:
    return hashlib.sha256(np.asarray(labels).astype(np.uint16).tobytes()).hexdigest()[:16]
