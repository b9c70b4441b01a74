"""Training examples: scenes as the model sees them, with what is true of each region and patch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

from fgbench.adapters.fgclip2 import EOS, PAD
from fgbench.adapters.naflex import NaflexPreprocessor
from fgbench.data.mini.world import LABELS, Scene, Split, label_map, long_caption, render, scene, short_captions
from fgbench.data.mini.world.vocabulary import STUFF, LanguageCode

LANGUAGES: tuple[LanguageCode, ...] = ("en", "zh")
LENGTH = {"short": 32, "box": 32, "long": 96}
"""Tokens per text."""

_PORTRAITS = 6
"""One scene in so many shows a single thing, like a picture of ImageNet."""

POINTS = 4
"""Points per patch and side at which its label is read."""

_CLEAR = 0.6
"""Share of the points that have to agree, or the patch has no label."""


@dataclass(frozen=True)
class Example:
    """One scene.

    Attributes:
        scene: the description.
        patches: uint8 [N, 768].
        shape: int64 [2], rows and columns.
        labels: int64 [N]; index into ``LABELS`` or -1.
        points: float [N, 16]; 1 for points of the patch on a thing, 0 for points on the ground.
        short: token ids by language, int64 [5, 32].
        long: token ids by language, int64 [96].
    """

    scene: Scene
    patches: Tensor
    shape: Tensor
    labels: Tensor
    points: Tensor
    short: dict[LanguageCode, Tensor]
    long: dict[LanguageCode, Tensor]

    @property
    def boxes(self) -> npt.NDArray[np.float64]:
        """float64 [k, 4]; x, y, w, h in pixels of the picture."""
        return np.array([thing.box for thing in self.scene.things], dtype=np.float64)


class Reader:
    """Makes examples, and keeps those that were used last."""

    def __init__(self, tokenizer: Tokenizer, kept: int = 5000) -> None:
        """Use this tokenizer; ``kept`` examples take about 0.1 MB of memory each."""
        self._tokenizer = tokenizer
        self.example = lru_cache(maxsize=kept)(self._example)

    def ids(self, texts: list[str], length: int) -> Tensor:
        """Token ids with <eos> and padding, as the adapter makes them: int64 [n, length]."""
        rows = [e.ids[: length - 1] for e in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        return torch.tensor([[*row, EOS, *[PAD] * (length - 1 - len(row))] for row in rows]).view(-1, length)

    def _example(self, split: Split, number: int, budget: int) -> Example:
        portrait = number % _PORTRAITS == 0
        made = scene(split, number, count=(1, 1) if portrait else (2, 5))
        cut = NaflexPreprocessor()(render(made), f"naflex-{budget}")
        rows, columns = cut["shape"].tolist()
        return Example(
            made,
            cut["patches"],
            cut["shape"],
            *patch_labels(label_map(made), rows, columns),
            {language: self.ids(short_captions(made, language), LENGTH["short"]) for language in LANGUAGES},
            {language: self.ids([long_caption(made, language)], LENGTH["long"])[0] for language in LANGUAGES},
        )


def patch_labels(labels: npt.NDArray[np.uint8], rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """What each patch shows.

    Returns:
        the label that most of a patch has, int64 [rows * columns], -1 where no label is clear; and which of its points
        lie on a thing, float [rows * columns, 16].
    """
    height, width = labels.shape
    y = ((np.arange(rows * POINTS) + 0.5) * height / (rows * POINTS)).astype(int)
    x = ((np.arange(columns * POINTS) + 0.5) * width / (columns * POINTS)).astype(int)
    points = labels[np.ix_(y, x)].reshape(rows, POINTS, columns, POINTS).swapaxes(1, 2).reshape(rows * columns, -1)
    counts = (points[:, :, None] == np.arange(len(LABELS))).sum(axis=1)
    clear = np.where(counts.max(axis=1) >= _CLEAR * POINTS**2, counts.argmax(axis=1), -1)
    return torch.from_numpy(clear), torch.from_numpy((points >= len(STUFF)).astype(np.float32))
