"""What the model learns from: pictures with captions, regions with texts and hard negatives, patches with labels.

Global and region contrast follow FG-CLIP 2 (arXiv 2510.10921, section 3); the label of each patch is added because an
hour of training has to make dense features as well. All scores are cosines times exp(logit_scale).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - the name that the field uses
from torch import Tensor

from fgbench.adapters.fgclip2_model import FgClip2
from fgbench.data.mini.world import GRAMMARS, LABELS, Phrase, Thing, changed
from fgbench.data.mini.world.vocabulary import STUFF
from fgbench.requests import TextKind
from fgbench.runner.regions import pool
from scripts.train_tiny.auxiliary import Auxiliary, states
from scripts.train_tiny.examples import LANGUAGES, LENGTH, Example, Reader
from scripts.train_tiny.prompts import label_prompts

_REGIONS = 24
"""Regions per step that get texts."""

_NEGATIVES = 2
"""Hard negatives per region; the negatives of all regions are candidates for each."""

_STRANGERS = 9


class Step:
    """One batch and its losses."""

    def __init__(
        self, model: FgClip2, auxiliary: Auxiliary, reader: Reader, batch: Sequence[Example], rng: random.Random
    ) -> None:
        """Encode the pictures."""
        self.model, self.reader, self.batch, self.rng = model, reader, batch, rng
        self.auxiliary = auxiliary
        length = max(len(example.patches) for example in batch)
        patches = torch.stack([F.pad(example.patches, (0, 0, 0, length - len(example.patches))) for example in batch])
        self.labels = torch.stack([F.pad(e.labels, (0, length - len(e.labels)), value=-1) for e in batch])
        shape = torch.stack([example.shape for example in batch])
        self.points = torch.stack([F.pad(e.points, (0, 0, 0, length - len(e.points))) for e in batch])
        self.real = torch.arange(length) < shape.prod(dim=1, keepdim=True)
        with states(model) as seen:
            pooled, dense = model.image_features(patches, shape, dense=True)
        self.first, self.last = seen
        assert dense is not None
        self.pooled, self.dense = F.normalize(pooled.float(), dim=-1), dense.float()
        self.scale = model.logit_scale.exp()

    def losses(self, *, texts: TextKind | None) -> dict[str, Tensor]:
        """All losses of this step; captions are short or long. With None there are no captions and region texts."""
        things = [(i, thing) for i, example in enumerate(self.batch) for thing in example.scene.things]
        pooled = [
            pool(self.dense[i], (int(e.shape[0]), int(e.shape[1])), e.scene.canvas, e.boxes)
            for i, e in enumerate(self.batch)
        ]
        raw = torch.cat(pooled)
        regions = F.normalize(raw, dim=-1)
        said = {}
        if texts is not None:
            said = {"caption": self._captions(texts), "region": self._regions(things, regions)}
        return {
            **said,
            **self._labels(things, regions),
            "attribute": self.auxiliary.attribute_loss(raw, [thing for _, thing in things]),
            **self.auxiliary.losses(self.first, self.last, self.dense, self.points, self.labels, self.real),
        }

    def _texts(self, ids: Tensor, kind: TextKind) -> Tensor:
        return F.normalize(self.model.text_features(ids, kind).float(), dim=-1)

    def _captions(self, kind: TextKind) -> Tensor:
        """InfoNCE in both directions; each picture has one caption, in a random language."""
        rows = []
        for example in self.batch:
            language = self.rng.choice(LANGUAGES)
            rows.append(example.long[language] if kind == "long" else self.rng.choice(example.short[language]))
        scores = self.scale * self.pooled @ self._texts(torch.stack(rows), kind).T
        target = torch.arange(len(rows))
        return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2

    def _regions(self, things: list[tuple[int, Thing]], regions: Tensor) -> Tensor:
        """Each region finds its text among those of all regions and their hard negatives; and each text its region."""
        rng = self.rng
        chosen = sorted(rng.sample(range(len(things)), min(_REGIONS, len(things))))
        phrases = [Phrase.full(things[i][1]) for i in chosen]
        for i in chosen:
            scene, thing = self.batch[things[i][0]].scene, things[i][1]
            wrong = changed(scene, thing, rng.choice(("hard", "hard", "medium")), 14)
            phrases += rng.sample(wrong, _NEGATIVES)
        texts = []
        for phrase in phrases:
            text = GRAMMARS[rng.choice(LANGUAGES)].region(phrase)
            texts.append(text if rng.random() < 0.2 else text.lower())
        vectors = self._texts(self.reader.ids(texts, LENGTH["box"]), "box")
        scores = self.scale * regions[chosen] @ vectors.T
        number = {phrase: i for i, phrase in enumerate(dict.fromkeys(phrases))}
        said = torch.tensor([number[phrase] for phrase in phrases])
        same = said[: len(chosen), None] == said[None]
        diagonal = torch.eye(len(chosen), len(phrases), dtype=torch.bool)
        scores = scores.masked_fill(same & ~diagonal, -1e4)
        target = torch.arange(len(chosen))
        square = scores[:, : len(chosen)]
        return (F.cross_entropy(scores, target) + F.cross_entropy(square.T, target)) / 2

    def _labels(self, things: list[tuple[int, Thing]], regions: Tensor) -> dict[str, Tensor]:
        """Kinds of regions, labels of patches, the kind of a single thing: all against prompts of every label."""
        rng = self.rng
        kind: TextKind = rng.choice(("box", "short"))
        language = rng.choice(LANGUAGES)
        ids = self.reader.ids(label_prompts(rng, language, _STRANGERS), LENGTH[kind])
        prompts = self._texts(ids, kind)
        wanted = torch.tensor([LABELS.index(thing.kind) for _, thing in things])
        no_stuff = torch.zeros(len(prompts))
        no_stuff[: len(STUFF)] = -1e4
        result = {"kind": F.cross_entropy(self.scale * regions @ prompts.T + no_stuff, wanted)}

        known = torch.nonzero(self.labels.flatten() >= 0)[:, 0]
        target = self.labels.flatten()[known]
        weight = torch.where(target < len(STUFF), 0.3, 1.0)
        patches = F.normalize(self.dense.flatten(0, 1)[known], dim=-1)
        each = F.cross_entropy(self.scale * patches @ prompts.T, target, reduction="none")
        result["patch"] = (each * weight).sum() / weight.sum()

        single = [i for i, example in enumerate(self.batch) if len(example.scene.things) == 1]
        if single:
            wanted = torch.tensor([LABELS.index(self.batch[i].scene.things[0].kind) for i in single])
            result["portrait"] = F.cross_entropy(self.scale * self.pooled[single] @ prompts.T + no_stuff, wanted)
        return result
