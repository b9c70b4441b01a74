"""A procedural world: scenes of coloured shapes and simple objects, and everything that can be said of them.

From one description come a picture, masks, captions in English and Chinese, region texts with hard negatives,
referring expressions and questions. It is deterministic: a scene depends on seed, split and number only. No number
measured on it says anything about quality on real pictures.
"""

from __future__ import annotations

from fgbench.data.mini.world.captions import GRAMMARS, long_caption, region_text, relations, short_captions
from fgbench.data.mini.world.negatives import changed, trivial
from fgbench.data.mini.world.phrases import Phrase, referring
from fgbench.data.mini.world.questions import Question, questions
from fgbench.data.mini.world.render import label_map, mask, render
from fgbench.data.mini.world.scenes import SEED, Scene, Split, Thing, relation, scene
from fgbench.data.mini.world.vocabulary import KINDS, LABELS, LanguageCode

__all__ = [
    "GRAMMARS",
    "KINDS",
    "LABELS",
    "SEED",
    "LanguageCode",
    "Phrase",
    "Question",
    "Scene",
    "Split",
    "Thing",
    "changed",
    "label_map",
    "long_caption",
    "mask",
    "questions",
    "referring",
    "region_text",
    "relation",
    "relations",
    "render",
    "scene",
    "short_captions",
    "trivial",
]
