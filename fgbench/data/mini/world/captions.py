"""Captions of scenes: several short ones and a long one, each true of its scene."""

from __future__ import annotations

import random
from itertools import combinations

from fgbench.data.mini.world.chinese import Chinese
from fgbench.data.mini.world.english import English
from fgbench.data.mini.world.language import Grammar
from fgbench.data.mini.world.phrases import ATTRIBUTES, Phrase, referring
from fgbench.data.mini.world.scenes import Scene, Thing, relation
from fgbench.data.mini.world.vocabulary import LanguageCode

GRAMMARS: dict[LanguageCode, Grammar] = {"en": English(), "zh": Chinese()}

SHORT = 5
"""Short captions per scene, as in COCO and Flickr30k."""

_RELATIONS_IN_LONG = 2


def short_captions(scene: Scene, language: LanguageCode) -> list[str]:
    """Five different short captions. What they say does not depend on the language, caption by caption."""
    grammar, rng = GRAMMARS[language], scene.rng("short")
    things = rng.sample(scene.things, len(scene.things))
    texts = [
        grammar.listing([_some(thing, rng, 1) for thing in things], scene.upper, scene.lower),
        grammar.pictured([_some(thing, rng, 2) for thing in things[:3]]),
        grammar.counted(len(things), [_some(thing, rng, 2) for thing in things[:2]])
        if len(things) > 1
        else grammar.ground(scene.upper, scene.lower, 1),
        grammar.lies(Phrase.full(things[0]), scene.place(things[0])),
    ]
    pairs = relations(scene)
    if pairs:
        one, how, other = rng.choice(pairs)
        texts.append(grammar.related(_some(one, rng, 2), how, _some(other, rng, 2)))
    else:
        texts.append(grammar.listing([Phrase.full(things[-1])], scene.upper, scene.lower))
    return texts


def long_caption(scene: Scene, language: LanguageCode) -> str:
    """A detailed caption: the ground, every thing with its place, and some relations."""
    grammar, rng = GRAMMARS[language], scene.rng("long")
    things = rng.sample(scene.things, len(scene.things))
    sentences = [grammar.ground(scene.upper, scene.lower, len(things))]
    sentences += [grammar.lies(Phrase.full(thing), scene.place(thing)) for thing in things]
    pairs = relations(scene)
    for one, how, other in rng.sample(pairs, min(_RELATIONS_IN_LONG, len(pairs))):
        sentences.append(grammar.related(_name(scene, one), how, _name(scene, other)))
    return grammar.join(sentences)


def region_text(thing: Thing, language: LanguageCode) -> str:
    """All attributes of a thing, for example "A large striped red star."."""
    return GRAMMARS[language].region(Phrase.full(thing))


def relations(scene: Scene) -> list[tuple[Thing, str, Thing]]:
    """All pairs, in the scene's order, that lie clear of each other, with how the first lies to the second."""
    pairs = combinations(scene.things, 2)
    return [(one, how, other) for one, other in pairs if (how := relation(one, other)) is not None]


def _some(thing: Thing, rng: random.Random, count: int) -> Phrase:
    """The kind, its colour and ``count`` - 1 further attributes."""
    further = rng.sample([name for name in ATTRIBUTES if name != "colour"], count - 1)
    return Phrase.of(thing, "colour", *further)


def _name(scene: Scene, thing: Thing) -> Phrase:
    """The shortest phrase with a colour that means this thing only; there is one, for no two things are alike."""
    return next(phrase for phrase in referring(scene, thing) if phrase.colour and not phrase.place)
