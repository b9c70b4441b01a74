"""Questions about scenes, each with exactly one right answer, open or with four options."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from fgbench.data.mini.world.captions import GRAMMARS, relations
from fgbench.data.mini.world.chinese import NUMBERS as ZH_NUMBERS
from fgbench.data.mini.world.language import Grammar
from fgbench.data.mini.world.phrases import Phrase, referring, unique_without
from fgbench.data.mini.world.scenes import Scene
from fgbench.data.mini.world.vocabulary import COLOURS, KINDS, RELATIONS, TEXTURES, LanguageCode, Word

Skill = Literal["colour", "texture", "kind", "count", "exists", "relation", "place"]

SKILLS: tuple[Skill, ...] = ("colour", "texture", "kind", "count", "exists", "relation", "place")

YES_NO = {"en": ("yes", "no"), "zh": ("是", "否")}


@dataclass(frozen=True)
class Question:
    """A question in one language.

    Attributes:
        skill: what it asks for.
        text: the question.
        answer: a word or two; one of ``options``.
        options: four different answers in random order, or yes and no; one is right.
    """

    skill: Skill
    text: str
    answer: str
    options: tuple[str, ...]

    @property
    def letter(self) -> str:
        """The letter of the right option."""
        return "ABCD"[self.options.index(self.answer)]


def questions(scene: Scene, language: LanguageCode, *, variant: int = 0) -> list[Question]:
    """At most one question per skill; the two languages ask the same things in the same order.

    Args:
        scene: what is asked about.
        language: of question and answers.
        variant: another number asks about other things; the miniature datasets have 0.
    """
    more = f" {variant}" if variant else ""
    found = (_MAKERS[skill](scene, GRAMMARS[language], scene.rng(f"question {skill}{more}")) for skill in SKILLS)
    return [question for question in found if question is not None]


def _attribute(skill: Literal["colour", "texture", "kind"], table: Mapping[str, Word], en: str, zh: str) -> _Maker:
    def make(scene: Scene, grammar: Grammar, rng: random.Random) -> Question | None:
        for thing in rng.sample(scene.things, len(scene.things)):
            if skill == "kind":
                phrase = next(_kindless(scene, thing_phrases=referring(scene, thing)), None)
            else:
                phrase = unique_without(scene, thing, skill)
            if phrase is not None:
                answer = getattr(thing, skill)
                wrong = rng.sample([key for key in table if key != answer], 3)
                text = _ask(grammar, en, zh).format(grammar.the(phrase))
                return _pick(skill, text, *_words(table, grammar.code, answer, wrong), rng)
        return None

    return make


def _kindless(scene: Scene, thing_phrases: list[Phrase]) -> Iterator[Phrase]:
    """Phrases that mean one thing even without saying its kind, and say something else."""
    for phrase in thing_phrases:
        bare = phrase.but(kind=None)
        if bare != Phrase() and len(bare.matches(scene)) == 1:
            yield bare


def _count(scene: Scene, grammar: Grammar, rng: random.Random) -> Question:
    """How many of a kind, of a colour, or in all."""
    thing = rng.choice(scene.things)
    phrase = rng.choice([Phrase(kind=thing.kind), Phrase(colour=thing.colour), Phrase()])
    number = len(phrase.matches(scene))
    wrong = rng.sample([n for n in range(1, 6) if n != number], 3)
    if grammar.code == "en":
        text, names = f"How many {_plural(grammar.noun(phrase))} are there?", [str(n) for n in (number, *wrong)]
    else:
        text, names = f"图中有几个{grammar.noun(phrase)}？", [f"{ZH_NUMBERS[n]}个" for n in (number, *wrong)]
    return _pick("count", text, names[0], names[1:], rng)


def _exists(scene: Scene, grammar: Grammar, rng: random.Random) -> Question:
    """Is there such a thing? As often no as yes; a no differs from a thing of the scene in its colour."""
    phrase = Phrase.of(rng.choice(scene.things), "colour")
    if rng.random() < 0.5:
        colours = [name for name in COLOURS if not phrase.but(colour=name).matches(scene)]
        phrase = phrase.but(colour=rng.choice(colours))
    text = _ask(grammar, "Is there {} in the picture?", "图中有{}吗？").format(grammar.one(phrase))
    return _yes_no("exists", text, bool(phrase.matches(scene)), grammar)


def _relation(scene: Scene, grammar: Grammar, rng: random.Random) -> Question | None:
    """Does the first thing lie so to the second? A no asks for the opposite side."""
    opposite = {"left": "right", "right": "left", "above": "below", "below": "above"}
    pairs = relations(scene)
    for one, how, other in rng.sample(pairs, len(pairs)):
        phrases = [next((p for p in referring(scene, thing) if p.place is None), None) for thing in (one, other)]
        if None not in phrases:
            right = rng.random() < 0.5
            said = RELATIONS[how if right else opposite[how]]
            names = [grammar.the(phrase) for phrase in phrases if phrase is not None]
            text = (
                f"Is {names[0]} {said.en} {names[1]}?"
                if grammar.code == "en"
                else f"{names[0]}在{names[1]}的{said.zh}吗？"
            )
            return _yes_no("relation", text, right, grammar)
    return None


def _place(scene: Scene, grammar: Grammar, rng: random.Random) -> Question | None:
    """In which of the nine parts of the picture is it?"""
    for thing in rng.sample(scene.things, len(scene.things)):
        phrase = next((p for p in referring(scene, thing) if p.place is None), None)
        if phrase is not None:
            places = [(a, d) for a in ("left", "middle", "right") for d in ("top", "middle", "bottom")]
            right = scene.place(thing)
            text = _ask(grammar, "Where is {}?", "{}在哪里？").format(grammar.the(phrase))
            wrong = [grammar.where(place) for place in rng.sample([p for p in places if _contradict(p, right)], 3)]
            return _pick("place", text, grammar.where(right), wrong, rng)
    return None


def _contradict(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """At the top right is at the top, too: neither may be an option beside the other."""
    a, b = ({part for part in place if part != "middle"} for place in (one, other))
    return not (a <= b or b <= a) or (a != b and not (a and b))


_Maker = Callable[[Scene, Grammar, random.Random], Question | None]

_MAKERS: dict[Skill, _Maker] = {
    "colour": _attribute("colour", COLOURS, "What colour is {}?", "{}是什么颜色的？"),
    "texture": _attribute("texture", TEXTURES, "What pattern does {} have?", "{}是什么图案的？"),
    "kind": _attribute("kind", KINDS, "What is {}?", "{}是什么？"),
    "count": _count,
    "exists": _exists,
    "relation": _relation,
    "place": _place,
}


def _pick(skill: Skill, text: str, answer: str, wrong: list[str], rng: random.Random) -> Question:
    options = [answer, *wrong]
    rng.shuffle(options)
    return Question(skill, text, answer, tuple(options))


def _yes_no(skill: Skill, text: str, right: bool, grammar: Grammar) -> Question:
    yes, no = YES_NO[grammar.code]
    return Question(skill, text, yes if right else no, (yes, no))


def _words(table: Mapping[str, Word], language: LanguageCode, answer: str, wrong: list[str]) -> tuple[str, list[str]]:
    first, *rest = (table[key].names(language)[0] for key in (answer, *wrong))
    return first, rest


def _ask(grammar: Grammar, en: str, zh: str) -> str:
    return en if grammar.code == "en" else zh


def _plural(noun: str) -> str:
    ending = {"person": "people"}
    words = noun.split()
    last = ending.get(words[-1]) or words[-1] + ("es" if words[-1].endswith(("s", "x", "ch")) else "s")
    return " ".join((*words[:-1], last))
