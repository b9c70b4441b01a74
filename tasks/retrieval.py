"""What every image-text retrieval set shares: pictures with one or more captions, ranked both ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fgbench.data.files import DatasetFiles
from fgbench.errors import DataError
from fgbench.metrics.ranks import best_per_query, recall_at, target_ranks
from fgbench.metrics.sample import Sample
from fgbench.requests import Embeddings, ImageRef, Images, Request, Texts
from fgbench.spec import DatasetSpec, MetricKey, PublishedCell
from fgbench.task import Loaded, Score, Scores

from .strata import Table, breakdown, by_length

MAIN = (MetricKey("*", "i2t_r1"), MetricKey("*", "t2i_r1"))
"""What the paper prints of every retrieval set."""

RULES = {
    "gallery": "the whole set, both ways",
    "tie": "among equal similarities the earlier item comes first",
}
"""Protocol details that all retrieval sets share."""


def published(table: str, label: str) -> dict[MetricKey, PublishedCell]:
    """Where the paper prints the numbers of a set: table, and label of the set there."""
    return {key: PublishedCell(table, label, key.metric) for key in MAIN}


class Captioned(NamedTuple):
    """A picture with its captions, in the order of the annotation file.

    Attributes:
        id: stable name of the item.
        image: the picture.
        captions: at least one, as written (casing is the protocol's business).
    """

    id: str
    image: ImageRef
    captions: tuple[str, ...]


@dataclass(frozen=True)
class CaptionFile:
    """What a reader returns: the items, and how many were refused for which reason."""

    items: list[Captioned]
    rejected: Counter[str] = field(default_factory=Counter)


Reader = Callable[[DatasetSpec, DatasetFiles], CaptionFile]


@dataclass(frozen=True)
class _Items:
    items: list[Captioned]
    texts: list[str]
    owner: npt.NDArray[np.int64]


@dataclass
class Retrieval:
    """Recall@k from image to text and from text to image, over the whole set as gallery.

    Image to text: a hit if at least one of the image's captions is among the first k. Text to image: a hit if the
    caption's image is. Ranks follow the cosine; equal similarities keep the order of the file. Metric names are
    ``i2t_r<k>`` and ``t2i_r<k>``. Source: FG-CLIP 2, section 4.3 and its retrieval scripts.

    Attributes:
        id, title, title_zh, position, datasets: see :class:`fgbench.task.Task`.
        readers: how the annotation files of each dataset are read, by dataset id.
    """

    id: str
    title: str
    position: int
    datasets: tuple[DatasetSpec, ...]
    readers: Mapping[str, Reader]
    title_zh: str = ""

    def load(self, spec: DatasetSpec, files: DatasetFiles, limit: int | None) -> Loaded:
        """See :class:`fgbench.task.Task`."""
        content = self.readers[spec.id](spec, files)
        if not content.items:
            raise DataError(
                f"{', '.join(map(str, files.read))}: there is no picture with captions for {spec.id} in it."
            )
        items = content.items[:limit]
        texts = [spec.protocol.text.prepare(caption) for item in items for caption in item.captions]
        owner = np.repeat(np.arange(len(items), dtype=np.int64), [len(item.captions) for item in items])
        size = len(items) + content.rejected.total()
        return Loaded(_Items(items, texts, owner), size={"*": size}, rejected=content.rejected)

    def requests(self, spec: DatasetSpec, loaded: Loaded) -> Mapping[str, Request]:
        """The global embedding of every picture, the embedding of every caption."""
        items: _Items = loaded.items
        return {
            "images": Images([item.image for item in items.items], spec.protocol.budget),
            "texts": Texts(items.texts, spec.protocol.text.kind),
        }

    def score(self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Embeddings]) -> Scores:
        """Recall both ways over the pictures that have an embedding; captions of the others leave with them."""
        items: _Items = loaded.items
        ok = features["images"].ok
        images, texts = features["images"].vectors[ok], features["texts"].vectors[ok[items.owner]]
        owner = (np.cumsum(ok) - 1)[items.owner[ok[items.owner]]]
        captions = np.arange(len(owner))
        image_to_text = target_ranks(images, texts, owner, captions)
        text_to_image = target_ranks(texts, images, captions, owner)
        ranks = {"i2t": best_per_query(image_to_text.rank, owner), "t2i": text_to_image.rank}
        scores = []
        for metric in spec.metrics:
            direction, _, k = metric.partition("_r")
            rank = ranks[direction]
            scores.append(Score("*", metric, recall_at(rank, int(k)), len(rank)))
        return Scores(
            scores,
            evaluated=int(ok.sum()),
            skipped=features["images"].reasons() + loaded.rejected,
            outcomes={
                "id": np.array([item.id for item, kept in zip(items.items, ok, strict=True) if kept]),
                "i2t_rank": ranks["i2t"],
                "t2i_rank": ranks["t2i"],
                "t2i_image": owner,
            },
            ties={"i2t": len(np.unique(owner[image_to_text.tied])), "t2i": int(text_to_image.tied.sum())},
            tables={"caption-length": _by_length(items, ok, ranks, spec.metrics)} if ok.any() else {},
        )

    def samples(self, spec: DatasetSpec, outcomes: Mapping[str, npt.NDArray[Any]]) -> Mapping[MetricKey, Sample]:
        """See :class:`fgbench.task.HasSamples`.

        Queries are resampled, the gallery stays. Captions are called ``<picture>#<number>`` and stay with their
        picture.
        """
        ids, owner = outcomes["id"], outcomes["t2i_image"]
        number = np.arange(len(owner)) - np.searchsorted(owner, owner)  # owners ascend
        captions = np.char.add(np.char.add(ids[owner].astype(str), "#"), number.astype(str))
        queries = {"i2t": (ids, np.arange(len(ids))), "t2i": (captions, owner)}
        found = {}
        for metric in spec.metrics:
            direction, _, k = metric.partition("_r")
            names, units = queries[direction]
            found[MetricKey("*", metric)] = Sample.mean(names, outcomes[f"{direction}_rank"] < int(k), "image", units)
        return found


def _by_length(
    items: _Items, ok: npt.NDArray[np.bool_], ranks: Mapping[str, npt.NDArray[np.int64]], metrics: Sequence[str]
) -> Table:
    """Captions in quarters by length, as encoded; image to text too where a picture has one caption."""
    texts = [text for text, kept in zip(items.texts, ok[items.owner], strict=True) if kept]
    right = {}
    for metric in metrics:
        direction, _, k = metric.partition("_r")
        if len(ranks[direction]) == len(texts):
            right[metric] = ranks[direction] < int(k)
    return breakdown("characters", by_length(texts), right)
