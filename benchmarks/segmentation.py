"""The label map of one picture with the 847 classes of ADE20K: streamed against the full map of all scores."""

from __future__ import annotations

import argparse
import hashlib
from typing import Any

import numpy as np

from benchmarks.measure import Measured, measure, median
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


def main(arguments: list[str]) -> None:
    """Print time, memory and ratio for one window and for overlapping ones."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks segmentation")
    parser.add_argument("--classes", type=int, default=847)
    parser.add_argument("--runs", type=int, default=3, help="of each; medians are printed")
    parser.add_argument("--threads", type=int, default=1, help="more than are free make both slower")
    options = parser.parse_args(arguments)
    print(
        f"{options.classes} classes, {SIZE[1]} × {SIZE[0]} pixels, {DIM} dimensions, {options.threads} threads, "
        f"medians of {options.runs} runs"
    )
    for preset, grid in GRIDS.items():
        windows = len(layout(SIZE, preset, 224).boxes)
        print(f"\n{preset}: {windows} × {grid[0]} × {grid[1]} patches")
        # Alternating, so that other programs on the machine slow both.
        given = (preset, options.classes, options.threads)
        runs = [(measure(inputs, streamed, *given), measure(inputs, full_map, *given)) for _ in range(options.runs)]
        ours, full = (_medians([pair[which] for pair in runs]) for which in (0, 1))
        for name, (seconds, mebibytes) in (("streamed", ours), ("full map", full)):
            print(f"{name:10} {seconds:8.2f} s {mebibytes:10,.0f} MiB")
        print(f"ratio {full[0] / ours[0]:.1f} × in time, {full[1] / ours[1]:.0f} × in memory")
        answers = {run.value for pair in runs for run in pair}
        if len(answers) != 1:
            raise SystemExit(f"NOT EQUAL: {answers}")
        print("label maps are identical")


def _medians(runs: list[Measured]) -> tuple[float, float]:
    return median([run.seconds for run in runs]), median([run.mebibytes for run in runs])


def _digest(labels: Any) -> str:
    return hashlib.sha256(np.asarray(labels).astype(np.uint16).tobytes()).hexdigest()[:16]
