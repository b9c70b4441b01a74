"""Further things to learn from a picture, which are thrown away with their heads after the training.

Shapes come late when they are learned from names alone: a name is a single number about many patches. So the first
layer also says which points of a patch lie on a thing, and the later ones draw the outline of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name that the field uses
from PIL import Image
from torch import Tensor, nn

from fgbench.adapters.fgclip2_model import FgClip2
from fgbench.data.mini.world.figures import extent, outline
from fgbench.data.mini.world.scenes import Thing
from fgbench.data.mini.world.vocabulary import COLOURS, KINDS, LABELS, SIZES, STUFF, TEXTURES
from scripts.train_tiny.examples import POINTS

_TABLES = {"size": SIZES, "texture": TEXTURES, "colour": COLOURS}
_OUTLINE = 12
"""Side of the small picture of a thing's outline."""


class Auxiliary(nn.Module):
    """Linear heads on the states of the first and the last layer and on the dense features."""

    outlines: Tensor

    def __init__(self, width: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.points = nn.Linear(width, POINTS**2)
            self.outline = nn.ModuleList(nn.Linear(width, _OUTLINE**2) for _ in range(2))
            self.kind = nn.ModuleList(nn.Linear(width, len(KINDS)) for _ in range(2))
            self.label = nn.Linear(width, len(LABELS))
            self.attributes = nn.ModuleDict({name: nn.Linear(width, len(table)) for name, table in _TABLES.items()})
        self.register_buffer("outlines", torch.stack([_small(kind) for kind in KINDS]), persistent=False)

    def losses(
        self, first: Tensor, last: Tensor, dense: Tensor, points: Tensor, labels: Tensor, real: Tensor
    ) -> dict[str, Tensor]:
        """Points of all patches; outline and kind of the patches on a thing, twice; labels.

        Args:
            first: [B, N, D], states after the first layer.
            last: [B, N, D], states after the last one.
            dense: [B, N, D].
            points: float [B, N, 16], 1 on things.
            labels: int64 [B, N], as in :class:`examples.Example`.
            real: bool [B, N], false for padding.
        """
        on = labels >= len(STUFF)
        kinds = labels[on] - len(STUFF)
        known = labels >= 0
        outline, name = torch.zeros(()), torch.zeros(())
        for states, draw, tell in zip((last, dense), self.outline, self.kind, strict=True):
            outline = outline + F.binary_cross_entropy_with_logits(draw(states[on]).float(), self.outlines[kinds]) / 2
            name = name + F.cross_entropy(tell(states[on]).float(), kinds) / 2
        return {
            "points": F.binary_cross_entropy_with_logits(self.points(first).float()[real], points[real]),
            "outline": outline,
            "name": name,
            "label": F.cross_entropy(self.label(dense[known]).float(), labels[known]),
        }

    def attribute_loss(self, regions: Tensor, things: Sequence[Thing]) -> Tensor:
        """Size, texture and colour of regions [K, D]: without this, shapes would be all that is seen."""
        each = []
        for name, table in _TABLES.items():
            wanted = torch.tensor([list(table).index(getattr(thing, name)) for thing in things])
            each.append(F.cross_entropy(self.attributes[name](regions).float(), wanted))
        return torch.stack(each).mean()


@contextmanager
def states(model: FgClip2) -> Iterator[list[Tensor]]:
    """Collects the output of the vision tower's first layer and its last states while pictures are encoded."""
    seen: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor | tuple[Tensor, ...]) -> None:
        seen.append(output[0] if isinstance(output, tuple) else output)

    vision = model.vision_model
    handles = [part.register_forward_hook(keep) for part in (vision.encoder.layers[0], vision.post_layernorm)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _small(kind: str) -> Tensor:
    """float [144]: the outline of a kind in its box."""
    figure = outline(kind, 96).crop(extent(kind, 96)).resize((_OUTLINE, _OUTLINE), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(figure, dtype=np.float32) / 255).flatten()
