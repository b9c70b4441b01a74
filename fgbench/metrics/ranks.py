"""Ranks in a gallery: the one primitive behind recall@k, top-k accuracy and their tie rules.

The similarity matrix is never held: queries are taken in blocks whose product with the gallery has a fixed size.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fgbench.requests import Float32

BLOCK_VALUES = 1 << 24
"""Similarities held at a time: 64 MiB of float32, whatever the size of query set and gallery."""

CACHED_VALUES = 1 << 18
"""Similarities compared at a time: 1 MiB, which stays in a processor's cache while it is gone over."""


class Ranks(NamedTuple):
    """Ranks of the right answers.

    Attributes:
        rank: int64 [n]; how many gallery items come before the target of pair i (0 = it is first).
        tied: bool [n]; does another gallery item have exactly the target's similarity?
    """

    rank: npt.NDArray[np.int64]
    tied: npt.NDArray[np.bool_]


def target_ranks(
    queries: Float32,
    gallery: Float32,
    query_index: npt.NDArray[np.int64],
    target_index: npt.NDArray[np.int64],
    *,
    block_values: int = BLOCK_VALUES,
) -> Ranks:
    """Rank the target of each (query, target) pair among all gallery items, by dot product.

    Rank = number of strictly more similar items + number of equally similar items with a lower index. A target's own
    similarity is read from the same block product as its rivals': computed separately it would differ in the last
    bit and the target could count as better than itself. For the same reason equal gallery rows are multiplied once: a
    matrix product may give equal columns different last bits, depending on their place.

    Args:
        queries: float32 [Q, D].
        gallery: float32 [G, D].
        query_index: int64 [n], ascending; the query of each pair. A query may have any number of pairs, also none.
        target_index: int64 [n]; the gallery item of each pair.
        block_values: number of similarities computed at a time.

    Returns:
        One rank per pair.

    Raises:
        ValueError: indices out of range or not ascending, or vectors that are not finite.
    """
    if len(query_index) != len(target_index):
        raise ValueError(f"Expected one target per pair, but got {len(query_index)} and {len(target_index)}.")
    _check_index("query_index", query_index, len(queries))
    _check_index("target_index", target_index, len(gallery))
    if (np.diff(query_index) < 0).any():
        raise ValueError("Expected `query_index` to be ascending.")
    for name, vectors in (("queries", queries), ("gallery", gallery)):
        if not np.isfinite(vectors).all():
            raise ValueError(f"Expected `{name}` to be finite, but it holds NaN or infinity.")
    rank = np.zeros(len(query_index), dtype=np.int64)
    tied = np.zeros(len(query_index), dtype=bool)
    step = max(1, block_values // max(1, len(gallery)))
    distinct, column = _distinct(gallery)
    for start in range(0, len(queries), step):
        first, last = np.searchsorted(query_index, [start, start + step])
        if first == last:
            continue
        similarity = queries[start : start + step] @ distinct.T
        if column is not None:
            similarity = similarity[:, column]
        rows = query_index[first:last] - start
        rank[first:last], tied[first:last] = _count(similarity, rows, target_index[first:last])
    return Ranks(rank, tied)


def best_per_query(rank: npt.NDArray[np.int64], query_index: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Lowest rank among the targets of each query: int64, one per distinct query in ``query_index`` (ascending)."""
    if not len(rank):
        return rank
    starts = np.flatnonzero(np.diff(query_index, prepend=query_index[0] - 1))
    return np.minimum.reduceat(rank, starts)


def recall_at(rank: npt.NDArray[np.int64], k: int) -> float:
    """Share of queries whose (best) target is among the first k: a fraction in [0, 1]; NaN without queries."""
    return float((rank < k).mean()) if len(rank) else float("nan")


def _count(
    similarity: Float32, rows: npt.NDArray[np.int64], target: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """For each (row, target): how many items come before the target, and whether another one ties with it."""
    own = similarity[rows, target]
    before = np.empty(len(rows), dtype=np.int64)
    tied = np.empty(len(rows), dtype=bool)
    columns = np.arange(similarity.shape[1])
    step = max(1, CACHED_VALUES // len(columns))
    for start in range(0, len(rows), step):
        pairs = slice(start, start + step)
        items, values = similarity[rows[pairs]], own[pairs, None]
        before[pairs] = _true_per_row(items > values)
        equal = items == values
        tied[pairs] = _true_per_row(equal) > 1
        if tied[pairs].any():
            before[pairs] += _true_per_row(equal & (columns < target[pairs, None]))
    return before, tied


def _true_per_row(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """How many values of each row are true: int64 [rows]. As words of 64 bits: three times as fast as adding bytes."""
    words = np.zeros((len(mask), -(-mask.shape[1] // 64) * 8), dtype=np.uint8)
    packed = np.packbits(mask, axis=1)
    words[:, : packed.shape[1]] = packed
    counts: npt.NDArray[np.int64] = np.bitwise_count(words.view(np.uint64)).sum(axis=1, dtype=np.int64)
    return counts


def _distinct(gallery: Float32) -> tuple[Float32, npt.NDArray[np.int64] | None]:
    """The different rows, in order of first appearance, and where each row is among them (None: all differ)."""
    if not gallery.size:
        return gallery, None
    # Adding zero turns -0.0 into 0.0; then equal rows are equal bytes.
    number: dict[bytes, int] = {}
    digests = (blake2b(row + np.float32(0), digest_size=16).digest() for row in gallery)
    place = np.array([number.setdefault(digest, len(number)) for digest in digests])
    if len(number) == len(gallery):
        return gallery, None
    _, first = np.unique(place, return_index=True)
    return gallery[first], place


def _check_index(name: str, index: npt.NDArray[np.int64], size: int) -> None:
    if len(index) and (index.min() < 0 or index.max() >= size):
        raise ValueError(f"Expected `{name}` to lie in [0, {size}), but got {index.min()} to {index.max()}.")
