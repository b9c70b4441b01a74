"""Recall@1, @5 and @10 both ways, from ready embeddings: against clip-benchmark, with its own batches of 64."""

from __future__ import annotations

import importlib
import resource
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.figures import Figure, Options, alternate, compared
from benchmarks.measure import measure
from fgbench.metrics.ranks import best_per_query, recall_at, target_ranks
from fgbench.requests import Float32

NEEDED = ("clip-benchmark",)
DIM = 768
CAPTIONS = 5
RANKS = (1, 5, 10)
BATCH = 64
LIMIT = 14 * 2**30
"""Address space of a side in bytes: "survives" means within this."""


def inputs(images: int, limit: int) -> tuple[Float32, Float32]:
    """Random unit vectors, five texts for each picture that resemble it a little."""
    import torch  # not counted: the package needs it

    torch.set_num_threads(1)
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    rng = np.random.default_rng(0)
    pictures = rng.standard_normal((images, DIM), dtype=np.float32)
    texts = rng.standard_normal((images * CAPTIONS, DIM), dtype=np.float32)
    texts += np.float32(0.12) * np.repeat(pictures, CAPTIONS, axis=0)
    for vectors in (pictures, texts):
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return pictures, texts


def ours(pictures: Float32, texts: Float32) -> list[float]:
    """What fgbench does."""
    captions = np.arange(len(texts))
    owner = captions // CAPTIONS
    to_text = best_per_query(target_ranks(pictures, texts, owner, captions).rank, owner)
    to_picture = target_ranks(texts, pictures, captions, owner).rank
    return [recall_at(rank, k) for rank in (to_text, to_picture) for k in RANKS]


def theirs(pictures: Float32, texts: Float32) -> list[float] | str:
    """What clip-benchmark does after its encoders."""
    import torch

    zeroshot_retrieval: Any = importlib.import_module("clip_benchmark.metrics.zeroshot_retrieval")

    class Ready:
        """A model whose embeddings are there."""

        encode_image = staticmethod(lambda vectors: vectors)
        encode_text = staticmethod(lambda vectors: vectors)

    starts = range(0, len(pictures), BATCH)
    batches: list[Any] = [
        (
            torch.from_numpy(pictures[start : start + BATCH]),
            [list(range(CAPTIONS * n, CAPTIONS * (n + 1))) for n in range(start, min(start + BATCH, len(pictures)))],
        )
        for start in starts
    ]
    zeroshot_retrieval.tqdm = iter
    try:
        found = zeroshot_retrieval.evaluate(
            Ready, batches, lambda rows: torch.from_numpy(texts[rows]), "cpu", amp=False, recall_k_list=list(RANKS)
        )
    except (RuntimeError, MemoryError) as error:
        return f"out of memory: {error}"
    return [found[f"{way}_retrieval_recall@{k}"] for way in ("text", "image") for k in RANKS]


def product(pictures: Float32, texts: Float32) -> float:
    """All similarities once, and nothing else: no exact metric is faster than that."""
    return float((pictures @ texts.T)[0, 0])


def figures(options: Options) -> Iterator[Figure]:
    """One size, then the largest that the package survives, then memory against the gallery."""
    count = 500 if options.quick else 5000
    runs = options.repeat(3)
    own, other = alternate(lambda: measure(inputs, ours, count, 0), lambda: measure(inputs, theirs, count, 0), runs)
    if not np.allclose(own[0].value, other[0].value, atol=1e-6):
        raise SystemExit(f"retrieval: NOT EQUAL: {own[0].value} and {other[0].value}")
    bound = measure(inputs, product, count, 0)
    size = f"{count:,} × {CAPTIONS * count:,}"
    share = f"equal recalls; the product of all similarities alone takes {bound.seconds:.2f} s"
    yield from compared("retrieval", f"recall both ways, {size}", own, other, 40, share)
    if options.quick:
        return
    survived, last = count, own[0]
    while True:
        answer = measure(inputs, theirs, 2 * survived, LIMIT)
        if not isinstance(answer.value, list):
            break
        survived *= 2
        last = measure(inputs, ours, survived, LIMIT)
        yield from compared(
            "retrieval", f"recall both ways, {survived:,} × {CAPTIONS * survived:,}", [last], [answer], None
        )
    bigger = measure(inputs, ours, 2 * survived, LIMIT)
    note = f"clip-benchmark does not survive it within {LIMIT // 2**30} GiB"
    yield _alone(f"recall both ways, {2 * survived:,} × {2 * CAPTIONS * survived:,}", "s", bigger.seconds, note)
    growth = (bigger.mebibytes - last.mebibytes) / max(last.mebibytes, 1)
    yield Figure(
        "retrieval", "growth of memory when the gallery doubles", "", growth, None, None, 0.5, at_most=True,
        note=f"{last.mebibytes:.0f} → {bigger.mebibytes:.0f} MiB beyond the inputs",
    )  # fmt: skip


def _alone(what: str, unit: str, value: float, note: str) -> Figure:
    return Figure("retrieval", what, unit, value, None, None, note=note)
