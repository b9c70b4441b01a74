"""The metrics once more: one picture and one text at a time, with loops and sorting.

Only the raw features are the model's. Everything else (normalising, prototypes, box arithmetic, ranks, ties) is written
here again, in double precision. Where two inputs come closer than float32 can tell, the result is an interval.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from PIL import Image
from torchvision.ops import roi_align

from fgbench.adapter import Adapter
from fgbench.requests import TextKind

CLOSE = 2e-6
"""Cosines of different inputs that are closer than this may come in either order in float32."""

Vector = list[float]
Box = Sequence[float]


class Bounds(NamedTuple):
    """A metric: between ``low`` and ``high``, which differ only where float32 decides; over ``n`` queries."""

    low: float
    high: float
    n: int


class Rank(NamedTuple):
    """Items that come before the target: surely, and at most."""

    low: int
    high: int


Metrics = dict[tuple[str, str], Bounds]


class Result(NamedTuple):
    """What is expected of a dataset.

    Attributes:
        metrics: by (subset, metric).
        ranks: rank of every item, by the name of its array among the outcomes.
        margins: similarity of the right text minus that of the best other one, likewise.
    """

    metrics: Metrics
    ranks: Mapping[str, Sequence[Rank]] = {}
    margins: Mapping[str, Sequence[float]] = {}


@dataclass
class Reference:
    """Features of a model, one input per call.

    Attributes:
        adapter: the model.
        pictures: JPEG files by number.
    """

    adapter: Adapter
    pictures: Mapping[int, bytes]
    _texts: dict[tuple[str, str], Vector] = field(default_factory=dict)
    _images: dict[tuple[int, int | None], Vector] = field(default_factory=dict)
    _maps: dict[int, tuple[torch.Tensor, tuple[int, int]]] = field(default_factory=dict)

    def text(self, text: str, kind: TextKind) -> Vector:
        """Unit vector of a text."""
        key = (kind, text)
        if key not in self._texts:
            with torch.inference_mode():
                [vector] = self.adapter.encode_texts([text], kind).vectors.tolist()
            self._texts[key] = unit(vector)
        return self._texts[key]

    def image(self, number: int, budget: int | None = None) -> Vector:
        """Unit vector of a picture."""
        key = (number, budget)
        if key not in self._images:
            image = self._open(number)
            batch = self._batch(image, self.adapter.preprocessor.view("global", image.size, budget))
            with torch.inference_mode():
                [vector] = self.adapter.encode_images(batch, dense=False).pooled.tolist()
            self._images[key] = unit(vector)
        return self._images[key]

    def region(self, number: int, box: Box) -> Vector:
        """Unit vector of a box x, y, w, h in pixels."""
        if number not in self._maps:
            self._maps[number] = self._map(number)
        dense, (width, height) = self._maps[number]
        rows, columns = dense.shape[2:]
        x, y, w, h = box
        corners = [x / width * columns, y / height * rows, (x + w) / width * columns, (y + h) / height * rows]
        pooled = roi_align(dense, [torch.tensor([corners])], output_size=1, sampling_ratio=-1, aligned=True)
        return unit(pooled.flatten().tolist())

    def _map(self, number: int) -> tuple[torch.Tensor, tuple[int, int]]:
        """Dense map [1, D, rows, columns] of a picture, and its (width, height)."""
        image = self._open(number)
        batch = self._batch(image, self.adapter.preprocessor.view("dense", image.size, None))
        with torch.inference_mode():
            features = self.adapter.encode_images(batch, dense=True)
        assert features.tokens is not None
        assert features.grid is not None
        rows, columns = features.grid[0].tolist()
        return features.tokens[0, : rows * columns].T.reshape(1, -1, rows, columns).contiguous(), image.size

    def prototype(self, texts: Sequence[str], kind: TextKind) -> Vector:
        """Mean of the unit vectors of a class's prompts, as a unit vector."""
        vectors = [self.text(text, kind) for text in texts]
        return unit([math.fsum(column) / len(vectors) for column in zip(*vectors, strict=True)])

    def _open(self, number: int) -> Image.Image:
        with Image.open(io.BytesIO(self.pictures[number])) as image:
            rgb: Image.Image = image.convert("RGB")
            return rgb

    def _batch(self, image: Image.Image, view: str) -> dict[str, torch.Tensor]:
        return {name: tensor[None] for name, tensor in self.adapter.preprocessor(image, view).items()}


def unit(vector: Sequence[float]) -> Vector:
    norm = math.sqrt(math.fsum(value * value for value in vector))
    return [value / norm for value in vector]


def cosine(a: Vector, b: Vector) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def rank(scores: Sequence[float], names: Sequence[Hashable], target: int) -> Rank:
    """Place of the target; items of equal name are the same input and keep their order."""
    before = close = 0
    for index, (score, name) in enumerate(zip(scores, names, strict=True)):
        if name == names[target]:
            before += index < target
        elif score > scores[target] + CLOSE:
            before += 1
        elif score >= scores[target] - CLOSE:
            close += 1
    return Rank(before, before + close)


def share(ranks: Sequence[Rank], k: int) -> Bounds:
    """Share of queries whose target is among the first k."""
    surely, at_most = sum(each.high < k for each in ranks), sum(each.low < k for each in ranks)
    return Bounds(surely / len(ranks), at_most / len(ranks), len(ranks))


def retrieval(
    model: Reference, items: Sequence[tuple[int, Sequence[str]]], kind: TextKind, ks: Sequence[int]
) -> Result:
    """Recall both ways.

    Args:
        model: gives the features.
        items: pictures with their captions, prepared, in evaluation order.
        kind: text path.
        ks: the k of recall at k.
    """
    texts = [(number, text) for number, captions in items for text in captions]
    images = [number for number, _ in items]
    i2t, t2i = [], []
    for number, captions in items:
        vector = model.image(number)
        scores = [cosine(vector, model.text(text, kind)) for _, text in texts]
        names = [text for _, text in texts]
        own = [rank(scores, names, index) for index, (owner, _) in enumerate(texts) if owner == number]
        assert len(own) == len(captions)
        i2t.append(Rank(min(each.low for each in own), min(each.high for each in own)))
    for number, text in texts:
        scores = [cosine(model.text(text, kind), model.image(other)) for other in images]
        t2i.append(rank(scores, images, images.index(number)))
    metrics = {("*", f"{way}_r{k}"): share(ranks, k) for way, ranks in (("i2t", i2t), ("t2i", t2i)) for k in ks}
    return Result(metrics, {"i2t_rank": i2t, "t2i_rank": t2i})


def labelling(
    vectors: Sequence[Vector],
    labels: Sequence[int],
    model: Reference,
    prompts: Sequence[Sequence[str]],
    kind: TextKind,
    subsets: Mapping[str, Callable[[int], bool]],
) -> Result:
    """Top-1 and top-5 accuracy.

    Args:
        vectors: of boxes or pictures.
        labels: index of the true class.
        model: gives the features of the prompts.
        prompts: prepared prompts by class.
        kind: text path.
        subsets: does the item with this number belong to it?
    """
    prototypes = [model.prototype(texts, kind) for texts in prompts]
    names = [tuple(texts) for texts in prompts]
    ranks = [
        rank([cosine(vector, prototype) for prototype in prototypes], names, label)
        for vector, label in zip(vectors, labels, strict=True)
    ]
    metrics: Metrics = {}
    for subset, belongs in subsets.items():
        chosen = [each for number, each in enumerate(ranks) if belongs(number)]
        metrics |= {(subset, f"top{k}"): share(chosen, k) for k in (1, 5)}
    return Result(metrics, {"rank": ranks})


def choosing(model: Reference, subset: str, items: Sequence[tuple[int, Box, Sequence[str]]], kind: TextKind) -> Result:
    """Share of boxes for which no candidate is better than the first one."""
    surely = at_most = 0
    margins = []
    for number, box, candidates in items:
        vector = model.region(number, box)
        own = cosine(vector, model.text(candidates[0], kind))
        others = [cosine(vector, model.text(text, kind)) - own for text in candidates[1:]]
        margins.append(-max(others))
        rivals = [each for each, text in zip(others, candidates[1:], strict=True) if text != candidates[0]]
        surely += all(difference < -CLOSE for difference in rivals)
        at_most += all(difference <= CLOSE for difference in rivals)
    bounds = Bounds(surely / len(items), at_most / len(items), len(items))
    return Result({(subset, "top1"): bounds}, margins={f"{subset}/margin": margins})
