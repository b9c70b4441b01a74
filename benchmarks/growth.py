"""Time and memory of scoring against the number of items, and the exponents of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.figures import Figure, Options
from benchmarks.lvis import arrays
from benchmarks.lvis import ours as lvis_ap
from benchmarks.measure import measure
from fgbench.metrics.choice import choose
from fgbench.metrics.confusion import confusion
from fgbench.metrics.ranks import target_ranks
from fgbench.metrics.vqa import evalai

DIM = 512
CLASSES = 1000


def _unit(rng: np.random.Generator, count: int, dim: int = DIM) -> Any:
    vectors = rng.standard_normal((count, dim), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def retrieval_inputs(count: int) -> tuple[Any, ...]:
    """As many pictures as captions."""
    rng = np.random.default_rng(0)
    return _unit(rng, count), _unit(rng, count), np.arange(count)


def retrieval(pictures: Any, texts: Any, pairs: Any) -> float:
    """The only metric that compares everything with everything."""
    first, second = target_ranks(pictures, texts, pairs, pairs), target_ranks(texts, pictures, pairs, pairs)
    return float(first.rank.mean() + second.rank.mean())


def classification_inputs(count: int) -> tuple[Any, ...]:
    """Pictures or boxes against the prototypes of 1,000 classes."""
    rng = np.random.default_rng(0)
    return _unit(rng, count), _unit(rng, CLASSES), np.arange(count), rng.integers(0, CLASSES, count)


def classification(vectors: Any, classes: Any, items: Any, label: Any) -> float:
    """Top-1 and top-5 of classification and box classification."""
    return float(target_ranks(vectors, classes, items, label).rank.mean())


def fine_grained_inputs(count: int) -> tuple[Any, ...]:
    """Eleven texts for each box, most of them its own."""
    rng = np.random.default_rng(0)
    texts = 3 * count
    return _unit(rng, count), _unit(rng, texts), rng.integers(0, texts, (count, 11))


def fine_grained(regions: Any, texts: Any, candidates: Any) -> float:
    """One among hard negatives."""
    return float(choose(regions, texts, candidates).correct.mean())


def segmentation_inputs(count: int) -> tuple[Any, ...]:
    """Label maps of 64 × 64 pixels; items are pictures."""
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 150, (8, 64, 64)).astype(np.uint16)
    return (maps, count)


def segmentation(maps: Any, count: int) -> int:
    """One confusion matrix over all pictures."""
    total = confusion(maps[0], maps[3], 150, ignore=255)
    for number in range(1, count):
        total += confusion(maps[number % 8], maps[(number + 3) % 8], 150, ignore=255)
    return int(total.sum())


def detection_inputs(count: int) -> tuple[Any, ...]:
    """Items are pictures with 20 detections each."""
    return arrays(count, 20)


def answers_inputs(count: int) -> tuple[Any, ...]:
    """Questions with ten answers of people each."""
    replies = [f"the answer {number % 977}" for number in range(count)]
    return replies, [[f"answer {number % 977 + each}" for each in range(10)] for number in range(count)]


def answers(replies: list[str], people: list[list[str]]) -> float:
    """VQA accuracy of TextVQA."""
    return float(evalai(replies, people).score.mean())


Function = Callable[..., Any]
FAMILIES: dict[str, tuple[Function, Function, float]] = {
    "retrieval": (retrieval_inputs, retrieval, 2.2),
    "classification, boxes": (classification_inputs, classification, 1.2),
    "fine-grained": (fine_grained_inputs, fine_grained, 1.2),
    "segmentation": (segmentation_inputs, segmentation, 1.2),
    "detection": (detection_inputs, lvis_ap, 1.2),
    "answers": (answers_inputs, answers, 1.2),
}
"""Inputs, scoring, and the largest exponent of time that is fine."""


def figures(options: Options) -> Iterator[Figure]:
    """One exponent of time and one of memory per family, fitted over all sizes on logarithmic scales."""
    sizes = [1000, 2000, 4000] if options.quick else [1000, 2000, 4000, 8000, 16_000, 32_000, 64_000]
    for family, (prepare, function, most) in FAMILIES.items():
        found = [measure(prepare, function, size) for size in sizes]
        seconds = [each.seconds for each in found]
        memory = [max(each.mebibytes, 1.0) for each in found]
        # The start of a size that takes milliseconds is not growth.
        fit = [index for index, value in enumerate(seconds) if value > 0.02] or list(range(len(sizes)))
        for what, unit, values, target in (("time", "s", seconds, most), ("memory", "MiB", memory, 1.2)):
            exponent = _exponent([sizes[i] for i in fit], [values[i] for i in fit])
            shown = ", ".join(f"{size:,}: {value:.3g}" for size, value in zip(sizes, values, strict=True))
            yield Figure(
                "growth", f"{family}, {what} of {sizes[-1]:,} items", unit, values[-1], None, exponent, target,
                at_most=True, note=f"exponent; {shown}",
            )  # fmt: skip


def _exponent(sizes: list[int], values: list[float]) -> float:
    if len(sizes) < 2:
        return float("nan")
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
