"""Every text is true of its scene: checked by reading it back, with a parser that knows nothing of how it was made."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from fgbench.data.mini.world import (
    GRAMMARS,
    Phrase,
    Scene,
    Thing,
    changed,
    long_caption,
    referring,
    region_text,
    relation,
    scene,
    short_captions,
    trivial,
)
from fgbench.data.mini.world.classes import (
    ADE20K,
    COLOUR_CLASSES,
    IMAGENET,
    KIND_CLASSES,
    PASCAL_CONTEXT,
    PASCAL_CONTEXT_459,
    TEXTURE_CLASSES,
    VOC,
    Classes,
)
from fgbench.data.mini.world.negatives import Level
from fgbench.data.mini.world.phrases import ATTRIBUTES
from fgbench.data.mini.world.vocabulary import COLOURS, KINDS, LABELS, SIZES, STUFF, TEXTURES, LanguageCode
from fgbench.tasks.resources import lines

SCENES = [scene("evaluation", number) for number in range(120)]
LANGUAGES: tuple[LanguageCode, ...] = ("en", "zh")
TABLES = {"size": SIZES, "texture": TEXTURES, "colour": COLOURS, "kind": KINDS}

AT = {
    "en": r"at the (?:top|bottom)(?: left| right)?|on the (?:left|right)|in the middle",
    "zh": "[左右][上下]方|[左右]边|[上下]方|中间",
}
WHERE = {
    **{"on the left": ("left", "middle"), "on the right": ("right", "middle"), "in the middle": ("middle", "middle")},
    **{"at the top": ("middle", "top"), "at the bottom": ("middle", "bottom")},
    **{f"at the {d} {a}": (a, d) for a in ("left", "right") for d in ("top", "bottom")},
    **{"左边": ("left", "middle"), "右边": ("right", "middle"), "中间": ("middle", "middle")},
    **{"上方": ("middle", "top"), "下方": ("middle", "bottom")},
    **{
        f"{za}{zd}方": (a, d)
        for za, a in (("左", "left"), ("右", "right"))
        for zd, d in (("上", "top"), ("下", "bottom"))
    },
}
COUNTED = {
    "en": r"(?:The picture shows|There are) (\w+) things?(?:, among them )?",
    "zh": "(?:共有|图中有)([一两三四五])个东西(?:，其中)?",
}
RELATED = {
    "en": r"The (.+) is (to the left of|to the right of|above|below) the (.+)\.",
    "zh": "(.+)在(.+)的(左边|右边|上方|下方)。",
}
HOW = {
    **{"to the left of": "left", "to the right of": "right", "above": "above", "below": "below"},
    **{"左边": "left", "右边": "right", "上方": "above", "下方": "below"},
}
NUMBER = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "一": 1, "两": 2, "三": 3, "四": 4, "五": 5}


def attributes(text: str, language: LanguageCode) -> dict[str, str]:
    """What a text says of one thing, word by word; every word has to mean something."""
    found = {}
    rest = re.sub(r"^(一个|an? |the )", "", text.strip("。."), flags=re.IGNORECASE)
    for name, table in TABLES.items():
        for key, word in table.items():
            spelt = getattr(word, language)
            pattern = rf"(?i)\b{spelt}\b" if language == "en" else rf"{spelt}的?" if name != "kind" else rf"{spelt}$"
            if re.search(pattern, rest):
                found[name] = key
                rest = re.sub(pattern, "", rest, count=1)
    assert not rest.strip(), f"{text!r}: {rest!r} was not understood"
    return found


def having(made: Scene, text: str, language: LanguageCode) -> list[Thing]:
    said = attributes(text, language)
    assert "kind" in said
    return [thing for thing in made.things if all(getattr(thing, name) == value for name, value in said.items())]


def check(made: Scene, sentence: str, language: LanguageCode) -> str:
    """Asserts that a sentence is true; which form it has."""
    if match := re.fullmatch(RELATED[language], sentence):
        one, how, other = match.groups() if language == "en" else (match[1], match[3], match[2])
        pairs = [(a, b) for a in having(made, one, language) for b in having(made, other, language)]
        assert any(relation(a, b) == HOW[how] for a, b in pairs), sentence
        return "relation"
    lies = rf"(An? .+) is ({AT['en']})\." if language == "en" else rf"({AT['zh']})有(一个[^、和]+)。"
    if match := re.fullmatch(lies, sentence):
        what, where = match.groups() if language == "en" else match.groups()[::-1]
        assert WHERE[where] in [made.place(thing) for thing in having(made, what, language)], sentence
        return "place"
    body, form = sentence, "listing"
    bands = r"(?:, )?with (\w+) above (\w+)\.$" if language == "en" else "^(?:图片)?上面是(.+?)，下面是(.+?)，"
    if match := re.search(bands, sentence):
        assert (match[1], match[2]) == tuple(getattr(STUFF[key], language) for key in (made.upper, made.lower))
        body = body.replace(match[0], "")
    if match := re.search(COUNTED[language], body):
        assert NUMBER[match[1]] == len(made.things)
        body, form = body.replace(match[0], ""), "count"
    body = re.sub(r"^A picture of |^一张画着|的图片。$|^有|[.。]$", "", body)
    for part in filter(None, re.split(r", | and |、|和", body)):
        assert having(made, part, language), (sentence, part)
    return form


@pytest.mark.parametrize("language", LANGUAGES)
def test_captions_are_true(language: LanguageCode) -> None:
    forms = set()
    for made in SCENES:
        texts = short_captions(made, language)
        assert len(set(texts)) == len(texts) == 5
        forms |= {check(made, text, language) for text in texts}
        ends = r"(?<=\.) " if language == "en" else "(?<=。)"
        sentences = [part for part in re.split(ends, long_caption(made, language)) if part]
        assert len(sentences) >= 1 + len(made.things)
        forms |= {check(made, sentence, language) for sentence in sentences}
    assert forms == {"relation", "place", "listing", "count"}


def is_true(made: Scene, text: str) -> bool:
    try:
        check(made, text, "en")
    except AssertionError:
        return False
    return True


def test_the_parser_finds_lies() -> None:
    """Captions of another scene are hardly ever true of this one."""
    others = [is_true(made, text) for made, other in pairwise(SCENES) for text in short_captions(other, "en")]
    assert sum(others) < 0.02 * len(others)


def test_both_languages_say_the_same() -> None:
    for made in SCENES:
        for thing in made.things:
            english, chinese = (attributes(region_text(thing, language), language) for language in LANGUAGES)
            assert english == chinese == {name: getattr(thing, name) for name in TABLES}


def test_captions_tell_scenes_apart() -> None:
    for language in LANGUAGES:
        assert len({short_captions(made, language)[0] for made in SCENES}) > 0.95 * len(SCENES)
        assert len({long_caption(made, language) for made in SCENES}) == len(SCENES)


@pytest.mark.parametrize(("difficulty", "number"), [("hard", 1), ("medium", 2), ("easy", 3)])
def test_negatives_differ_in_as_many_attributes_as_they_should(difficulty: Level, number: int) -> None:
    for made in SCENES:
        for thing in made.things:
            wrong = changed(made, thing, difficulty)
            assert len(set(wrong)) == len(wrong) == 10
            for phrase in wrong:
                assert phrase.kind == thing.kind
                assert sum(getattr(phrase, name) != getattr(thing, name) for name in ATTRIBUTES) == number
                assert not phrase.matches(made), "it describes another thing of the scene"
            assert wrong == changed(made, thing, difficulty), "the same every time"


def test_trivial_negatives_are_other_things() -> None:
    others = [thing for made in SCENES for thing in made.things]
    for made in SCENES:
        for thing in made.things:
            wrong = trivial(made, thing, others)
            assert len(set(wrong)) == 10
            assert all(phrase.kind != thing.kind and not phrase.matches(made) for phrase in wrong)


def test_hard_negatives_change_each_attribute() -> None:
    seen = set()
    for made in SCENES:
        for phrase in changed(made, made.things[0], "hard"):
            seen |= {name for name in ATTRIBUTES if getattr(phrase, name) != getattr(made.things[0], name)}
    assert seen == set(ATTRIBUTES)


def test_referring_expressions_mean_one_thing() -> None:
    for made in SCENES:
        for thing in made.things:
            phrases = referring(made, thing)
            assert len(set(phrases)) == len(phrases)
            assert Phrase.full(thing) in phrases
            for phrase in phrases:
                text = GRAMMARS["en"].the(phrase)
                place = re.search(f" ({AT['en']})$", text)
                things = having(made, text[: place.start()] if place else text, "en")
                if place:
                    said = {part for part in WHERE[place[1]] if part != "middle"} or {"middle"}
                    middle = ("middle", "middle")
                    places = [{"middle"} if made.place(t) == middle else {*made.place(t)} - {"middle"} for t in things]
                    things = [t for t, found in zip(things, places, strict=True) if said <= found]
                assert things == [thing], text


@pytest.mark.parametrize(("classes", "size"), [(KIND_CLASSES, 28), (TEXTURE_CLASSES, 64), (COLOUR_CLASSES, 308)])
def test_every_thing_has_one_class(classes: Classes, size: int) -> None:
    for language in LANGUAGES:
        assert len(set(classes.names(language))) == size
    for made in SCENES:
        for thing in made.things:
            said = attributes(classes.names("en")[classes.label(made, thing)], "en")
            assert all(getattr(thing, name) == value for name, value in said.items())


def test_names_are_those_of_the_public_lists() -> None:
    assert set(IMAGENET.values()) <= set(lines("imagenet_classnames"))
    chinese = dict(zip(lines("imagenet_classnames"), lines("imagenet_classnames_zh"), strict=True))
    for kind, name in IMAGENET.items():
        assert name in KINDS[kind].names("en")
        assert chinese[name] in KINDS[kind].names("zh")
    for table in (VOC, PASCAL_CONTEXT, PASCAL_CONTEXT_459, ADE20K):
        assert set(table) <= set(LABELS)
        for key, name in table.items():
            assert name in {**KINDS, **STUFF}[key].names("en")
