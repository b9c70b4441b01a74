"""From a decoded picture to the model's input: FG-CLIP 2 at 1,024 patches, against transformers' Pillow processor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.figures import Figure, Options, alternate, compared
from benchmarks.measure import Measured

SIZES = ((640, 480), (480, 640), (640, 427), (500, 375))
PATCHES = 1024


def figures(options: Options) -> Iterator[Figure]:
    """The median over pictures of each side; every value is compared."""
    import torch
    from transformers import Siglip2ImageProcessorPil

    from fgbench.registry import resolve

    torch.set_num_threads(1)
    preprocessor: Any = resolve("fgbench.adapters.naflex:NaflexPreprocessor")(PATCHES)
    pixels: Any = resolve("fgbench.adapters.naflex:NaflexPixels")()
    processor: Any = Siglip2ImageProcessorPil()
    rng = np.random.default_rng(0)
    pictures = [
        Image.fromarray(rng.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)).resize((width, height))
        for width, height in SIZES
    ]

    def library(picture: Image.Image) -> Any:
        return processor(picture, max_num_patches=PATCHES, return_tensors="pt")["pixel_values"][0]

    def worker(picture: Image.Image) -> Any:
        return preprocessor(picture, f"naflex-{PATCHES}")

    def ours(picture: Image.Image) -> Any:
        made = worker(picture)
        values, _ = pixels(made["patches"][None], made["shape"][None])
        return values[0]

    worst = 0.0
    for picture in pictures:
        own, other = ours(picture), library(picture)[: len(ours(picture))]
        worst = max(worst, float((own - other).abs().max()))
    if worst:
        raise SystemExit(f"preprocessing: NOT EQUAL: values differ by up to {worst:.1e}")
    count, runs = (4, 1) if options.quick else (8, options.repeat(9))
    for what, function, target in (
        ("per picture, with the table look-up on the same core", ours, None),
        ("per picture, in the worker (the look-up is the device's)", worker, 3),
    ):
        mine, theirs = alternate(
            partial(_per_picture, function, pictures, count),
            partial(_per_picture, library, pictures, count),
            runs,
        )
        yield from compared(
            "preprocessing", f"{what}, {PATCHES} patches", mine, theirs, target, "values are equal to the last bit"
        )


def _per_picture(function: Callable[[Image.Image], Any], pictures: list[Image.Image], count: int) -> Measured:
    seconds = []
    for number in range(count):
        start = time.process_time()  # one thread: other programs on the machine do not count
        function(pictures[number % len(pictures)])
        seconds.append(time.process_time() - start)
    return Measured(float(np.median(seconds)), 0.0, None)
