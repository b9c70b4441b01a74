"""Scenes as the language model's training sees them: half-way through the vision tower, with what each patch shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from fgbench.adapters.llava_naflex_model import LlavaNaflex
from fgbench.adapters.naflex import NaflexPreprocessor
from fgbench.data.mini.world import Scene, Split, Thing, mask, render, scene
from fgbench.data.mini.world.vocabulary import COLOURS, KINDS, SIZES, STUFF, TEXTURES
from scripts.train_chat import network, turns
from scripts.train_chat.tokenizer import word
from scripts.train_tiny.examples import patch_labels

GROUNDS = 2
"""Upper and lower band, before the things in the numbering of what a patch may show."""


@dataclass(frozen=True)
class Picture:
    """One scene.

    Attributes:
        scene: the description.
        drawer: makes questions about it.
        states: float16 [N, D]; after the frozen layers of the vision tower.
        shape: int64 [2], rows and columns; N = rows * columns.
        shows: int64 [N]; row of ``words`` for each patch, -1 where it shows no one thing.
        words: float [2 + things, vocabulary]; the pieces that tell what it is, each row sums to 1.
        boxes: float [2 + things, 4]; as fractions of the padded picture, NaN for the two bands of the ground.
    """

    scene: Scene
    drawer: turns.Drawer
    states: Tensor
    shape: Tensor
    shows: Tensor
    words: Tensor
    boxes: Tensor


class Gallery:
    """Makes pictures, and keeps those that were used last."""

    def __init__(self, module: LlavaNaflex, tokenizer: Tokenizer, frozen: int, kept: int) -> None:
        """Use this network.

        Args:
            module: its first layers do not change any more.
            tokenizer: of the language model.
            frozen: how many layers of the vision tower that is.
            kept: pictures in memory, of about 0.05 MB each.
        """
        self._module, self._tokenizer, self._frozen = module, tokenizer, frozen
        self.picture = lru_cache(maxsize=kept)(self._picture)

    @torch.no_grad()
    def _picture(self, split: Split, number: int) -> Picture:
        made = scene(split, number)
        cut = NaflexPreprocessor()(render(made), f"naflex-{network.BUDGET}")
        rows, columns = cut["shape"].tolist()
        vision = self._module.vision
        pixels, _ = vision.pixels(cut["patches"][None], cut["shape"][None])
        states = vision.embeddings(pixels, cut["shape"][None])
        for layer in vision.encoder.layers[: self._frozen]:
            states = layer(states, attention_mask=None)
        shows, _ = patch_labels(_numbers(made), rows, columns)
        shown: tuple[str | Thing, ...] = (made.upper, made.lower, *made.things)
        return Picture(
            made,
            turns.Drawer(made),
            states[0].half(),
            cut["shape"],
            shows,
            torch.stack([self._words(made, each) for each in shown]),
            torch.tensor([[torch.nan] * 4] * GROUNDS + [turns.box(made, thing) for thing in made.things]),
        )

    def _words(self, made: Scene, what: str | Thing) -> Tensor:
        """The share of each piece in the description of a thing or of a ground: float [vocabulary]."""
        entries = (
            [STUFF[what]]
            if isinstance(what, str)
            else [KINDS[what.kind], COLOURS[what.colour], TEXTURES[what.texture], SIZES[what.size]]
        )
        ids = [each for entry in entries for each in word(self._tokenizer, entry)]
        shares = torch.zeros(self._tokenizer.get_vocab_size())
        shares[ids] = 1 / len(ids)
        return shares


def _numbers(made: Scene) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """What each pixel shows: uint8 [H, W]; 0 and 1 for the bands, then the number of the thing."""
    width, height = made.canvas
    numbers = np.zeros((height, width), dtype=np.uint8)
    numbers[made.horizon :] = 1
    for number, thing in enumerate(made.things, start=GROUNDS):
        numbers[mask(made, thing)] = number
    return numbers
