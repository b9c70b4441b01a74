"""Names of classes as the protocols prompt them: bare or in a template, in both languages, with aliases."""

from __future__ import annotations

import random
from collections.abc import Sequence

from fgbench.data.mini.world.vocabulary import KINDS, LABELS, STUFF, LanguageCode
from fgbench.tasks.resources import lines

TEMPLATES: dict[LanguageCode, list[str]] = {"en": lines("templates_80"), "zh": lines("templates_80_zh")}

_WORDS = {**STUFF, **KINDS}
_OWN = {name for word in _WORDS.values() for name in (*word.names("en"), *word.names("zh"))}

STRANGERS: dict[LanguageCode, list[str]] = {
    "en": [name for name in lines("imagenet_classnames") if name not in _OWN],
    "zh": [name for name in lines("imagenet_classnames_zh") if name not in _OWN],
}
"""Names of things that the world does not have."""

_BARE = 0.3


def prompt(name: str, language: LanguageCode, rng: random.Random) -> str:
    """The name in a random template, or bare; English in lower case, as the protocols write it."""
    template = "{}" if rng.random() < _BARE else rng.choice(TEMPLATES[language])
    return template.format(name).lower()


def label_prompts(rng: random.Random, language: LanguageCode, strangers: int) -> list[str]:
    """One prompt per label of the world, in the order of ``LABELS``, then some of things that it does not have."""
    names = [rng.choice(_WORDS[label].names(language)) for label in LABELS]
    return [prompt(name, language, rng) for name in (*names, *rng.sample(STRANGERS[language], strangers))]


def ensemble(names: Sequence[str], language: LanguageCode, templates: int) -> list[list[str]]:
    """Prompts of some templates for each name, for evaluation; templates are spread over the whole list."""
    chosen = TEMPLATES[language][:: len(TEMPLATES[language]) // templates][:templates]
    return [[template.format(name).lower() for template in chosen] for name in names]
