"""A model small enough to reason about, and a task to go with it.

All values are small integers, so that sums are exact in float32: whatever the batch, the padding or the order, equal
inputs give bit-equal vectors, and a test may compare with ``==``.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from fgbench.adapter import AdapterInfo, ImageFeatures, Preprocessor, Purpose, TextFeatures
from fgbench.data.files import DatasetFiles
from fgbench.requests import Embeddings, ImageRef, Request, TextKind
from fgbench.runner.encode import Encoder
from fgbench.runner.store import AnswerStore, FeatureStore
from fgbench.spec import DatasetSpec, EvaluationProtocol, MetricKey, TextProtocol
from fgbench.task import Loaded, Score, Scores, Task

DIM = 8
CPU = torch.device("cpu")


class FakePreprocessor:
    """Mean colours of a few cells; wide, tall and square pictures get grids of different size."""

    def __init__(self, *, own_dense_view: bool = False) -> None:
        self.own_dense_view = own_dense_view

    def view(self, purpose: Purpose, size: tuple[int, int], budget: int | None) -> str:
        name = f"cells-{budget or 'dynamic'}"
        return f"{name}-dense" if purpose == "dense" and self.own_dense_view else name

    def __call__(self, image: Image.Image, view: str) -> Mapping[str, Tensor]:
        rows, columns = grid_of(image.size)
        small = image.resize((columns, rows), Image.Resampling.BOX)
        cells = torch.from_numpy(np.asarray(small, dtype=np.float32).reshape(-1, 3).copy())
        return {"cells": cells, "grid": torch.tensor([rows, columns])}


def grid_of(size: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of a picture of (width, height)."""
    width, height = size
    return (2, 4) if width > height else (4, 2) if height > width else (3, 3)


class Projection(nn.Module):
    """The fake's only weights: colour to embedding, small integers."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        numbers = np.random.default_rng(seed).integers(-3, 4, (3, DIM))
        self.weight = nn.Parameter(torch.from_numpy(numbers.astype(np.float32)))


class FakeAdapter:
    """Conforms to the adapter protocol.

    Attributes:
        image_batches: size of every batch of pictures that was encoded.
        text_batches: the texts of every batch that was encoded.
        memory: more inputs than this in one batch raise an out-of-memory error.
        spoil_images, spoil_texts: change what is returned.
    """

    def __init__(self, *, seed: int = 0, dense: bool = True, own_dense_view: bool = False, **info: Any) -> None:
        self.info = AdapterInfo(
            name="fake",
            family="fake",
            source="made for tests",
            dim=DIM,
            preprocess="mean colours of cells",
            text_length={"short": 30, "box": 30, "long": 60},
            text_path={"short": "plain", "box": "plain", "long": "long"},
            dense="cells" if dense else None,
            region_default="roi" if dense else "crop",
        )
        self.info = dataclasses.replace(self.info, **info)
        self.module: nn.Module = Projection(seed)
        self.preprocessor: Preprocessor = FakePreprocessor(own_dense_view=own_dense_view)
        self.image_batches: list[int] = []
        self.dense_batches: list[bool] = []
        self.text_batches: list[list[str]] = []
        self.memory: int | None = None
        self.spoil_images: Callable[[ImageFeatures], ImageFeatures] = lambda features: features
        self.spoil_texts: Callable[[TextFeatures], TextFeatures] = lambda features: features

    @property
    def images_encoded(self) -> int:
        return sum(self.image_batches)

    @property
    def texts_encoded(self) -> list[str]:
        return [text for batch in self.text_batches for text in batch]

    def encode_images(self, batch: Mapping[str, Tensor], *, dense: bool) -> ImageFeatures:
        self._allocate(len(batch["cells"]))
        weight = self.module.get_parameter("weight")
        tokens = batch["cells"] @ weight
        self.image_batches.append(len(tokens))
        self.dense_batches.append(dense)
        # The padding is zero, and so are its tokens.
        pooled = tokens.sum(dim=1)
        return self.spoil_images(ImageFeatures(pooled, tokens, batch["grid"]) if dense else ImageFeatures(pooled))

    def encode_texts(self, texts: Sequence[str], kind: TextKind) -> TextFeatures:
        self._allocate(len(texts))
        self.text_batches.append(list(texts))
        vectors = torch.stack([text_vector(text, self.info.text_path[kind]) for text in texts])
        truncated = [len(text) > self.info.text_length[kind] for text in texts]
        return self.spoil_texts(TextFeatures(vectors, truncated))

    def _allocate(self, count: int) -> None:
        if self.memory is not None and count > self.memory:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {count} inputs.")


def text_vector(text: str, path: str) -> Tensor:
    """Float32 [DIM] of integers that follow from the text."""
    digest = hashlib.blake2b(f"{path}\0{text}".encode("utf-8", "surrogatepass"), digest_size=DIM).digest()
    return torch.tensor([float(byte) - 127 for byte in digest])


def fake_encoder(adapter: FakeAdapter, folder: Path, *, batch_size: int = 4, workers: int = 0) -> Encoder:
    return Encoder(adapter, CPU, "fp32", batch_size, workers, FeatureStore(folder), AnswerStore(folder / "answers"))


def dataset_spec(name: str = "pictures", **changes: Any) -> DatasetSpec:
    """A dataset that asks for nothing special."""
    spec = DatasetSpec(
        id=name,
        task="fake-task",
        title=name.capitalize(),
        language="en",
        homepage="https://example.org",
        licence="none",
        citation="nobody",
        files={"annotations": (f"{name}.json",), "images": (name, ".")},
        how_to_get="Ask for it.",
        published_items={"*": 3},
        protocol=EvaluationProtocol(id="paper", text=TextProtocol(kind="short", lowercase=False)),
        main=(MetricKey("*", "share"),),
        metrics=("share",),
    )
    return dataclasses.replace(spec, **changes)


@dataclass
class FakeTask:
    """Asks for what it is told to ask for; its score is the share of rows that have an embedding.

    Attributes:
        wanted: requests by dataset id; a dataset with an exception here raises it when it is loaded.
        rejected: items to reject, by reason.
    """

    wanted: Mapping[str, Mapping[str, Request] | Exception]
    rejected: Mapping[str, int] = field(default_factory=dict)
    id: str = "fake-task"
    title: str = "Fake"
    position: int = 1
    seen: dict[str, Mapping[str, Embeddings]] = field(default_factory=dict)

    datasets: tuple[DatasetSpec, ...] = ()

    def __post_init__(self) -> None:
        self.datasets = tuple(dataset_spec(name) for name in self.wanted)

    def selection(self) -> list[tuple[Task, DatasetSpec]]:
        return [(self, spec) for spec in self.datasets]

    def load(self, spec: DatasetSpec, files: DatasetFiles, limit: int | None) -> Loaded:
        requests = self.wanted[spec.id]
        if isinstance(requests, Exception):
            raise requests
        return Loaded(requests, size={"*": 3}, rejected=Counter(self.rejected))

    def requests(self, spec: DatasetSpec, loaded: Loaded) -> Mapping[str, Request]:
        return dict(loaded.items)

    def score(self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Embeddings]) -> Scores:
        self.seen[spec.id] = features
        rows = sum(len(each.vectors) for each in features.values())
        evaluated = sum(int(each.ok.sum()) for each in features.values())
        skipped = sum((each.reasons() for each in features.values()), Counter(loaded.rejected))
        scores = [Score("*", "share", evaluated / rows, rows)] if evaluated else []
        return Scores(scores, evaluated, skipped, outcomes={"ok": np.ones(evaluated, dtype=bool)})


def save_picture(path: Path, seed: int = 0, size: tuple[int, int] = (24, 16)) -> ImageRef:
    """Write a picture of coloured noise; the suffix decides the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return ImageRef(str(path))


def save_pictures(folder: Path, count: int, size: tuple[int, int] = (24, 16)) -> list[ImageRef]:
    """Different pictures, in order."""
    return [save_picture(folder / f"{number:03d}.png", number, size) for number in range(count)]
