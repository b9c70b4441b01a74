"""How good the model is on held-out scenes: the rows of the suite, as the suite counts them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from tokenizers import Tokenizer

from fgbench.metrics.box_answers import Target, llava
from scripts.train_chat import turns
from scripts.train_chat.objectives import Objectives
from scripts.train_chat.packing import Packer
from scripts.train_chat.pictures import Gallery, Picture
from scripts.train_chat.tokenizer import COORDINATES
from scripts.train_chat.turns import Turn

FIRST = 1_000_000
"""Number of the first held-out scene that is used; the miniature datasets take smaller ones."""


class Evaluation:
    """The held-out scenes, read once.

    An answer is right if each of its tokens is the likeliest one after those before it: then greedy decoding gives just
    this answer. Boxes are decoded coordinate by coordinate and judged by their overlap.
    """

    def __init__(self, gallery: Gallery, tokenizer: Tokenizer, scenes: int) -> None:
        """Make ``scenes`` scenes."""
        self._packer, self._tokenizer = Packer(tokenizer), tokenizer
        self._pictures = [gallery.picture("evaluation", FIRST + number) for number in range(scenes)]
        self._turns = [list(turns.held_out(picture.scene)) for picture in self._pictures]

    @torch.inference_mode()
    def run(self, objectives: Objectives) -> dict[str, float]:
        """Accuracies in percent, by row and by row and skill."""
        objectives.eval()
        hits: dict[str, list[bool]] = defaultdict(list)
        for picture, asked in zip(self._pictures, self._turns, strict=True):
            groups: dict[str, list[bool]] = defaultdict(list)
            for turn, hit in zip(asked, self._right(objectives, picture, asked), strict=True):
                hits[turn.row].append(hit)
                if turn.skill:
                    hits[f"{turn.row}/{turn.skill}"].append(hit)
                if turn.row.startswith("mmbench"):
                    groups[f"{turn.row}/circular/{turn.skill}"].append(hit)
            for name, found in groups.items():
                hits[name.rpartition("/")[0]].append(all(found))
        objectives.train()
        return {name: 100 * float(np.mean(found)) for name, found in sorted(hits.items())}

    def _right(self, objectives: Objectives, picture: Picture, asked: Sequence[Turn]) -> list[bool]:
        tokens = objectives.tokens([picture])
        packed = self._packer.pack([asked], [len(tokens[0])])
        likeliest = objectives.answers(tokens, packed).argmax(dim=-1)
        exact = torch.ones(len(asked), dtype=torch.bool)
        exact[packed.turn[likeliest != packed.wanted]] = False
        found = exact.tolist()
        for number, turn in enumerate(asked):
            if turn.thing is not None:
                # The tokens before are the right ones, which may flatter; the suite's own row does not have this.
                own = zip(packed.wanted[packed.turn == number], likeliest[packed.turn == number], strict=True)
                pairs = [[str(self._tokenizer.id_to_token(int(each))) for each in pair] for pair in own]
                text = f"[{', '.join(said for wanted, said in pairs if wanted in COORDINATES)}]"
                found[number] = bool(llava([text], [_target(picture, turn)]).score[0])
        return found


def _target(picture: Picture, turn: Turn) -> Target:
    """The right box again, in pixels of the padded picture."""
    side = max(picture.scene.canvas)
    x1, y1, x2, y2 = (float(value) * side for value in turn.answer.strip("[]").split(", "))
    return Target((x1, y1, x2, y2), side, side)
