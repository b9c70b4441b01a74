"""Exact ranks both ways at the size of LIT-CN (33,010 × 33,010), against the full matrix with argsort."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks.measure import measure
from fgbench.metrics.ranks import recall_at, target_ranks
from fgbench.requests import Float32


def inputs(count: int, dim: int) -> tuple[Float32, Float32]:
    """Random unit vectors; texts resemble their pictures a little."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((count, dim), dtype=np.float32)
    texts = rng.standard_normal((count, dim), dtype=np.float32)
    texts += np.float32(0.2) * images
    for vectors in (images, texts):
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return images, texts


def blockwise(images: Float32, texts: Float32) -> list[float]:
    """What fgbench does."""
    pairs = np.arange(len(images))
    return [
        recall_at(target_ranks(a, b, pairs, pairs).rank, k)
        for a, b in ((images, texts), (texts, images))
        for k in (1, 5)
    ]


def full_matrix(images: Float32, texts: Float32) -> list[float]:
    """The straightforward way: all similarities, argsort, position of the target."""
    recalls = []
    similarity = images @ texts.T
    for matrix in (similarity, similarity.T):
        order = np.argsort(matrix, axis=1)
        rank = len(matrix) - 1 - np.argmax(order == np.arange(len(matrix))[:, None], axis=1)
        recalls += [float((rank < k).mean()) for k in (1, 5)]
    return recalls


def main(arguments: list[str]) -> None:
    """Print time, memory and ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks retrieval")
    parser.add_argument("--count", type=int, default=33_010)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--only-ours", action="store_true", help="leave the full matrix out (it needs about 15 GiB)")
    options = parser.parse_args(arguments)
    ours = measure(inputs, blockwise, options.count, options.dim)
    rows: list[tuple[str, Any]] = [("blockwise", ours)]
    if not options.only_ours:
        rows.append(("full matrix, argsort", measure(inputs, full_matrix, options.count, options.dim)))
    print(f"{options.count:,} × {options.count:,}, {options.dim} dimensions, ranks both ways")
    for name, result in rows:
        print(f"{name:22} {result.seconds:8.1f} s {result.mebibytes:10,.0f} MiB   recall {result.value}")
    if len(rows) == 2:
        full = rows[1][1]
        print(f"ratio {full.seconds / ours.seconds:.1f} × in time, {full.mebibytes / ours.mebibytes:.0f} × in memory")
        print("equal" if full.value == ours.value else "NOT EQUAL")
