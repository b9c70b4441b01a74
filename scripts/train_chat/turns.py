"""What the model is asked about a scene, and what it should answer: in the very words of the suite's prompts."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import floor

from fgbench.data.mini.chat import LETTERS
from fgbench.data.mini.world import GRAMMARS, LanguageCode, Phrase, Scene, Thing, questions, referring
from fgbench.data.mini.world.questions import Question as Asked
from fgbench.tasks.lmm_items import Question
from fgbench.tasks.lmm_prompts import DEFAULT, templates

FRAME = "short"
"""Chat frame of the model."""

ROWS = ("gqa", "textvqa", "mmmu", "refcoco", "mmbench-en", "mmbench-cn")
BOXES = "refcoco"
"""The row whose answers are boxes."""

OPEN_ZH, BOXES_ZH = "open-zh", "boxes-zh"
"""Chinese questions without options, and for boxes: no dataset asks them, but they teach the words."""

LOOKUP = ("lookup-en", "lookup-zh")
"""The answer is given and its letter is asked for: so that letters are learned before things are seen."""

OPEN_ZH_INSTRUCTION = "\n请用一个词回答。"
BOXES_ZH_INSTRUCTION = "请给出这句话所描述的区域的边界框："
_SHARES = {BOXES: 3, BOXES_ZH: 2, "gqa": 3, "textvqa": 1, "mmmu": 1, "mmbench-en": 2, "mmbench-cn": 2, OPEN_ZH: 1}
_SHARES |= dict.fromkeys(LOOKUP, 1)
"""Turns of each kind in a conversation."""

_VARIANTS = 6
_EXPRESSIONS = 3
"""Per thing, as in the miniature RefCOCO."""


@dataclass(frozen=True)
class Turn:
    """One question and its answer.

    Attributes:
        row: the dataset that asks so, or :data:`OPEN_ZH`.
        skill: what the question is about; empty for expressions that refer to a thing.
        prompt: without the chat frame.
        answer: what the suite counts as right.
        said: the answer in words: the option's text where the answer is a letter.
        thing: the number of the thing whose box is asked for; its description ends before the prompt's last sign.
    """

    row: str
    skill: str
    prompt: str
    answer: str
    said: str
    thing: int | None = None


class Drawer:
    """Draws conversations about one scene for training."""

    def __init__(self, scene: Scene) -> None:
        """Find the expressions that refer to the scene's things."""
        self._scene = scene
        self._pairs = [(i, phrase) for i, thing in enumerate(scene.things) for phrase in referring(scene, thing)]

    def turns(self, rng: random.Random) -> list[Turn]:
        """A conversation of always the same length; every call asks other questions."""
        asked = {language: questions(self._scene, language, variant=rng.randrange(_VARIANTS)) for language in GRAMMARS}
        found = []
        for row, count in _SHARES.items():
            if row in (BOXES, BOXES_ZH):
                pairs = rng.choices(self._pairs, k=count)
                found += [_refer(row, self._scene, thing, phrase) for thing, phrase in pairs]
                continue
            for question in rng.choices(asked[_language(row)], k=count):
                found.append(_turn(row, question, rng.randrange(len(question.options))))
        return found


def held_out(scene: Scene) -> Iterator[Turn]:
    """Every question that the miniature datasets would ask about a scene, all rotations of MMBench's options."""
    for row in (*ROWS, OPEN_ZH, BOXES_ZH):
        if row in (BOXES, BOXES_ZH):
            for number, thing in enumerate(scene.things):
                phrases = referring(scene, thing)[:_EXPRESSIONS]
                yield from (_refer(row, scene, number, phrase) for phrase in phrases)
            continue
        for question in questions(scene, _language(row)):
            rotations = len(question.options) if row.startswith("mmbench") else 1
            yield from (_turn(row, question, rotation) for rotation in range(rotations))


def instructions(row: str) -> list[str]:
    """What a row's prompts say beside question and options, in pieces with the blanks and line ends around them."""
    template = templates(row)[DEFAULT]
    fields = r"\{\w+\}"
    return [part for text in (template.text, template.open_text) for part in re.split(fields, text) if part.strip()]


def box(scene: Scene, thing: Thing) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2 as fractions of the picture padded to a square, see :mod:`fgbench.metrics.box_answers`."""
    x, y, width, height = thing.box
    side = max(scene.canvas)
    right, down = (floor((side - length) / 2) for length in scene.canvas)
    return (x + right) / side, (y + down) / side, (x + width + right) / side, (y + height + down) / side


def _language(row: str) -> LanguageCode:
    return "zh" if row in ("mmbench-cn", OPEN_ZH, BOXES_ZH, LOOKUP[1]) else "en"


def _refer(row: str, scene: Scene, number: int, phrase: Phrase) -> Turn:
    text = GRAMMARS[_language(row)].the(phrase).lower()
    prompt = _prompt(row, text) if row == BOXES else f"{BOXES_ZH_INSTRUCTION}{text}。"
    corners = ", ".join(f"{value:.2f}" for value in box(scene, scene.things[number]))
    return Turn(row, "", prompt, f"[{corners}]", f"[{corners}]", number)


def _turn(row: str, asked: Asked, rotation: int) -> Turn:
    """A question in the words of a row, its options moved on by ``rotation`` places."""
    if row == OPEN_ZH:
        return Turn(row, asked.skill, asked.text + OPEN_ZH_INSTRUCTION, asked.answer, asked.answer)
    text = f"{asked.text} <image 1>" if row == "mmmu" else asked.text
    if row in ("gqa", "textvqa") or (row == "mmmu" and asked.skill == "count"):
        return Turn(row, asked.skill, _prompt(row, text), asked.answer, asked.answer)
    order = asked.options[rotation:] + asked.options[:rotation]
    options = dict(zip(LETTERS, order, strict=False))
    letter = next(letter for letter, option in options.items() if option == asked.answer)
    if row in LOOKUP:
        prompt = _prompt(f"mmbench-{'cn' if row == LOOKUP[1] else 'en'}", asked.answer, options)
    else:
        prompt = _prompt(row, text, options)
    return Turn(row, asked.skill, prompt, letter, asked.answer)


def _prompt(row: str, text: str, options: dict[str, str] | None = None) -> str:
    # OCR finds one word of no use in the miniature pictures, see fgbench/data/mini/chat.py.
    question = Question("", "", text, (), options=options or {}, tokens=("MINI",))
    filled: str = templates(row)[DEFAULT].prompt(question).text
    return filled
