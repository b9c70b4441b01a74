"""How good the model is on held-out scenes: small versions of the suite's tasks, in both languages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name that the field uses
from torch import Tensor

from fgbench.adapters.fgclip2_model import FgClip2
from fgbench.data.mini.world import GRAMMARS, LABELS, Phrase, Thing, changed, trivial
from fgbench.data.mini.world.classes import IMAGENET, KIND_CLASSES, TEXTURE_CLASSES
from fgbench.data.mini.world.negatives import LEVELS
from fgbench.data.mini.world.vocabulary import KINDS, STUFF, LanguageCode
from fgbench.requests import TextKind
from fgbench.runner.regions import pool
from scripts.train_tiny.examples import LANGUAGES, LENGTH, Example, Reader
from scripts.train_tiny.prompts import STRANGERS, ensemble

SCENES = 120
_FIRST = 1_000_000
"""Number of the first held-out scene that is used; the miniature datasets take smaller ones."""

_TEMPLATES = 5
_LARGE = 1024
"""Patches that ImageNet's protocol asks for."""


class Evaluation:
    """The held-out scenes, read once."""

    def __init__(self, reader: Reader, scenes: int = SCENES) -> None:
        """Make ``scenes`` scenes."""
        self.reader = reader
        self.examples = [reader.example("evaluation", _FIRST + number, 128) for number in range(scenes)]
        single = [e.scene for e in self.examples if len(e.scene.things) == 1 and e.scene.things[0].kind in IMAGENET]
        self.large = [reader.example("evaluation", scene.number, _LARGE) for scene in single]

    @torch.inference_mode()
    def run(self, model: FgClip2) -> dict[str, float]:
        """Accuracies in percent by name."""
        model.eval()
        pooled, dense = self._pictures(model, self.examples)
        regions = torch.cat([_regions(tokens, e) for tokens, e in zip(dense, self.examples, strict=True)])
        things = [(e, thing) for e in self.examples for thing in e.scene.things]
        found: dict[str, float] = {}
        for language in LANGUAGES:
            found |= self._retrieval(model, pooled, language)
            found |= self._choices(model, regions, things, language)
            found |= self._boxes(model, regions, things, language)
            found[f"patch-{language}"] = self._patches(model, dense, language)
            found[f"imagenet-{language}"] = self._portraits(model, language)
        model.train()
        return found

    def _pictures(self, model: FgClip2, examples: Sequence[Example]) -> tuple[Tensor, list[Tensor]]:
        pooled, dense = [], []
        for example in examples:
            vector, tokens = model.image_features(example.patches[None], example.shape[None], dense=True)
            assert tokens is not None
            pooled.append(vector)
            dense.append(tokens[0])
        return F.normalize(torch.cat(pooled), dim=-1), dense

    def _texts(self, model: FgClip2, texts: Sequence[str], kind: TextKind) -> Tensor:
        unique = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        ids = self.reader.ids(list(unique), LENGTH[kind])
        vectors = torch.cat([model.text_features(part, kind) for part in torch.split(ids, 256)])
        return F.normalize(vectors, dim=-1)[[unique[text] for text in texts]]

    def _prototypes(self, model: FgClip2, names: Sequence[str], language: LanguageCode, kind: TextKind) -> Tensor:
        prompts = ensemble(names, language, _TEMPLATES)
        vectors = self._texts(model, [text for row in prompts for text in row], kind)
        return F.normalize(vectors.view(len(names), _TEMPLATES, -1).mean(dim=1), dim=-1)

    def _retrieval(self, model: FgClip2, pooled: Tensor, language: LanguageCode) -> dict[str, float]:
        many = [i for i, e in enumerate(self.examples) if len(e.scene.things) > 1]
        found = {}
        for kind in ("short", "long"):
            read = [self.examples[i] for i in many]
            rows = [e.short[language][0] if kind == "short" else e.long[language] for e in read]
            texts = F.normalize(model.text_features(torch.stack(rows), kind), dim=-1)
            scores, target = pooled[many] @ texts.T, torch.arange(len(many))
            found[f"{kind}-i2t-{language}"] = _percent(scores.argmax(1) == target)
            found[f"{kind}-t2i-{language}"] = _percent(scores.argmax(0) == target)
        return found

    def _choices(
        self, model: FgClip2, regions: Tensor, things: list[tuple[Example, Thing]], language: LanguageCode
    ) -> dict[str, float]:
        others = [thing for _, thing in things]
        hits: dict[str, list[bool]] = defaultdict(list)
        rows, texts = [], []
        for index, (example, thing) in enumerate(things):
            wrongs: dict[str, list[Phrase]] = {name: changed(example.scene, thing, name) for name in LEVELS}
            wrongs["trivial"] = trivial(example.scene, thing, others)
            for name, wrong in wrongs.items():
                rows.append((name, index, len(wrong) + 1))
                texts += [GRAMMARS[language].region(p).lower() for p in (Phrase.full(thing), *wrong)]
        parts = torch.split(self._texts(model, texts, "box"), [length for _, _, length in rows])
        for (name, index, _), vectors in zip(rows, parts, strict=True):
            hits[name].append(int((vectors @ regions[index]).argmax()) == 0)
        return {f"{name}-{language}": 100 * float(np.mean(values)) for name, values in hits.items()}

    def _boxes(
        self, model: FgClip2, regions: Tensor, things: list[tuple[Example, Thing]], language: LanguageCode
    ) -> dict[str, float]:
        found = {}
        for name, classes in (("kinds", KIND_CLASSES), ("textures", TEXTURE_CLASSES)):
            prototypes = self._prototypes(model, classes.names(language), language, "box")
            target = torch.tensor([classes.label(e.scene, thing) for e, thing in things])
            found[f"box-{name}-{language}"] = _percent((regions @ prototypes.T).argmax(1) == target)
        return found

    def _patches(self, model: FgClip2, dense: list[Tensor], language: LanguageCode) -> float:
        """Mean intersection over union of all labels, patch by patch."""
        words = {**STUFF, **KINDS}
        prototypes = self._prototypes(model, [words[label].names(language)[0] for label in LABELS], language, "box")
        confusion = torch.zeros(len(LABELS), len(LABELS))
        for tokens, example in zip(dense, self.examples, strict=True):
            guess = (F.normalize(tokens, dim=-1) @ prototypes.T).argmax(1)
            known = example.labels >= 0
            confusion.index_put_((example.labels[known], guess[known]), torch.ones(int(known.sum())), accumulate=True)
        union = confusion.sum(0) + confusion.sum(1) - confusion.diag()
        present = confusion.sum(1) > 0
        return 100 * float((confusion.diag() / union)[present].mean())

    def _portraits(self, model: FgClip2, language: LanguageCode) -> float:
        """Among the kinds that ImageNet has and 100 names that the world does not have."""
        names = [KINDS[kind].names(language)[-1] for kind in IMAGENET]
        prototypes = self._prototypes(model, [*names, *STRANGERS[language][::10]], language, "short")
        target = torch.tensor([list(IMAGENET).index(e.scene.things[0].kind) for e in self.large])
        return _percent((self._pictures(model, self.large)[0] @ prototypes.T).argmax(1) == target)


def _regions(tokens: Tensor, example: Example) -> Tensor:
    grid = (int(example.shape[0]), int(example.shape[1]))
    return F.normalize(pool(tokens, grid, example.scene.canvas, example.boxes), dim=-1)


def _percent(right: Tensor) -> float:
    return 100 * float(right.float().mean())
