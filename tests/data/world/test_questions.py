"""Questions have one right answer: each is answered again from the scene, by code that did not write it."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from fgbench.data.mini.world import Question, Scene, Thing, questions, relation, scene
from fgbench.data.mini.world.questions import SKILLS
from fgbench.data.mini.world.vocabulary import COLOURS, KINDS, SIZES, TEXTURES

SCENES = [scene("evaluation", number) for number in range(300)]
TABLES = {"size": SIZES, "texture": TEXTURES, "colour": COLOURS, "kind": KINDS}
AT = re.compile(r" (?:at the (top|bottom)|on the (left|right)|in the (middle))$")
PLURAL = {"people": "person", "hourglasses": "hourglass", "crosses": "cross"}
RELATED = {"to the left of": "left", "to the right of": "right", "above": "above", "below": "below"}


def things(made: Scene, text: str) -> list[Thing]:
    """The things that an English noun phrase without article may mean."""
    place = AT.search(text)
    words = (text[: place.start()] if place else text).split()
    found = list(made.things)
    for word in words:
        if word == "thing":
            continue
        [(name, key)] = [(name, k) for name, table in TABLES.items() for k, v in table.items() if v.en == word]
        found = [thing for thing in found if getattr(thing, name) == key]
    if place:
        part = next(filter(None, place.groups()))
        found = [t for t in found if ({*made.place(t)} == {"middle"} if part == "middle" else part in made.place(t))]
    return found


def one(made: Scene, text: str) -> Thing:
    [thing] = things(made, text)
    return thing


def singular(noun: str) -> str:
    *before, last = noun.split()
    return " ".join((*before, PLURAL.get(last) or last.removesuffix("s")))


def nested(one_: set[str], other: set[str]) -> bool:
    return one_ <= other or other <= one_


def true_answers(made: Scene, question: Question) -> list[str]:
    """The options that are right."""
    text = question.text
    if match := re.fullmatch(r"What colour is the (.+)\?", text):
        right = {COLOURS[one(made, match[1]).colour].en}
    elif match := re.fullmatch(r"What pattern does the (.+) have\?", text):
        right = {TEXTURES[one(made, match[1]).texture].en}
    elif match := re.fullmatch(r"What is the (.+)\?", text):
        right = {KINDS[one(made, match[1]).kind].en}
    elif match := re.fullmatch(r"How many (.+) are there\?", text):
        right = {str(len(things(made, singular(match[1]))))}
    elif match := re.fullmatch(r"Is there an? (.+) in the picture\?", text):
        right = {"yes" if things(made, match[1]) else "no"}
    elif match := re.fullmatch(r"Is the (.+) (to the left of|to the right of|above|below) the (.+)\?", text):
        how = relation(one(made, match[1]), one(made, match[3]))
        assert how is not None
        right = {"yes" if how == RELATED[match[2]] else "no"}
    else:
        [where] = re.fullmatch(r"Where is the (.+)\?", text).groups()  # type: ignore[union-attr]
        place = {part for part in made.place(one(made, where)) if part != "middle"}
        spoken = {option: set(re.findall("left|right|top|bottom", option)) for option in question.options}
        # "At the top" is true of what is at the top right, and "at the top right" would be too precise to be wrong.
        right = {o for o, said in spoken.items() if said == place or (said and place and nested(said, place))}
    return [option for option in question.options if option in right]


def test_each_question_has_one_right_answer() -> None:
    for made in SCENES:
        for question in questions(made, "en"):
            assert true_answers(made, question) == [question.answer], question


def test_options_and_letters() -> None:
    letters: Counter[str] = Counter()
    for made in SCENES:
        for language in ("en", "zh"):
            for question in questions(made, language):
                assert len(set(question.options)) == len(question.options) == (2 if len(question.options) == 2 else 4)
                assert question.options["ABCD".index(question.letter)] == question.answer
                if len(question.options) == 4:
                    letters[question.letter] += 1
    assert max(letters.values()) < 1.25 * min(letters.values()), "the place of the right option tells nothing"


def test_all_skills_are_asked_for_and_answers_vary() -> None:
    answers: dict[str, Counter[str]] = {skill: Counter() for skill in SKILLS}
    for made in SCENES:
        for question in questions(made, "en"):
            answers[question.skill][question.answer] += 1
    for skill, counts in answers.items():
        assert sum(counts.values()) > 200, skill
        assert max(counts.values()) < 0.75 * sum(counts.values()), (skill, counts)
    for skill in ("exists", "relation"):
        assert set(answers[skill]) == {"yes", "no"}
        assert 0.4 < answers[skill]["yes"] / sum(answers[skill].values()) < 0.6


@pytest.mark.parametrize("number", range(0, 300, 10))
def test_both_languages_ask_the_same(number: int) -> None:
    english, chinese = (questions(SCENES[number], language) for language in ("en", "zh"))
    tables = {"colour": COLOURS, "texture": TEXTURES, "kind": KINDS}
    for one_, other in zip(english, chinese, strict=True):
        assert one_.skill == other.skill
        assert one_.letter == other.letter
        if one_.skill in tables:
            words = {word.en: word.zh for word in tables[one_.skill].values()}
            assert tuple(words[option] for option in one_.options) == other.options
        if one_.skill in ("exists", "relation"):
            assert (one_.answer, other.answer) in (("yes", "是"), ("no", "否"))


def test_the_same_questions_every_time() -> None:
    assert questions(scene("evaluation", 4), "zh") == questions(SCENES[4], "zh")
