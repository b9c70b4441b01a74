from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fgbench.metrics.option_matching import (
    Options,
    exact,
    exact_cjk,
    match_exact,
    match_exact_cjk,
    match_vlmevalkit_2026_06,
)

ANIMALS = {"A": "cat", "B": "dog", "C": "bird", "D": "fish"}
CHINESE = {"A": "猫", "B": "狗", "C": "鸟", "D": "鱼"}
REFUSALS = [
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
]


def brute_force(text: str, options: Mapping[str, str], *, answer_is: bool) -> str | None:
    """The steps as the specification words them."""
    for refusal in REFUSALS:
        if refusal in text:
            return None
    words, word = [], ""
    for character in [*text, " "]:
        if character.isspace() or character in ".()[],:;!*#{}":
            words += [word] if word else []
            word = ""
        else:
            word += character
    letters = {found for found in words if found in options}
    if len(letters) == 1:
        letter = letters.pop()
        if letter in words[-4:] and letter not in words[:-4]:
            return letter
    elif not letters and "Z" in words:
        return None
    if answer_is and (stated := re.search(r"(?i:answer is)\s*[*]*([a-dA-D])", text)):
        return stated[1].upper()
    if len(text.lower()) > 2 * len("".join(options.values())):
        return None
    named = [letter for letter, option in options.items() if text.lower().find(option.lower()) >= 0]
    return named[0] if len(named) == 1 else None


texts = st.lists(
    st.sampled_from(
        [
            *"ABCDEZ.()[],:;!*#{}$/ \n。，（）Ａ",
            "cat",
            "Dog",
            " bird",
            "is",
            "answer is ",
            "The answer is",
            "猫",
            "、",
            *REFUSALS,
        ]
    ),
    max_size=10,
).map("".join)
choices = st.sampled_from(
    [ANIMALS, CHINESE, {"A": "yes", "B": "no"}, {"A": "1", "B": "10"}, {"A": "", "C": "x" * 40}, {}]
)


@given(texts, choices)
@example("The answer is a dog", ANIMALS)
@example("B I think it is", ANIMALS)
@example("I B think it is", ANIMALS)
@example("B is a Z dog or so no", ANIMALS)
@example("dog " + "x" * 24, ANIMALS)
@example("dog " + "x" * 25, ANIMALS)
def test_the_matchers_agree_with_the_steps_of_the_specification(text: str, options: dict[str, str]) -> None:
    assert match_exact(text, options) == brute_force(text, options, answer_is=False)
    assert match_vlmevalkit_2026_06(text, options) == brute_force(text, options, answer_is=True)


@pytest.mark.parametrize(
    "text", ["B。", "（B）", "答案是B", "选B", "答案：B", "Ｂ", "【B】", "Ｂ．", "（Ｂ）狗", "答案是Ｂ。"]
)
def test_chinese_forms_need_the_matcher_for_them(text: str) -> None:
    assert match_exact(text, {letter: f"{animal}在哪里" for letter, animal in CHINESE.items()}) is None
    assert match_exact_cjk(text, CHINESE) == "B"


@pytest.mark.parametrize("text", ["A和B", "选A或B", "不知道", "Ｅ", ""])
def test_the_chinese_matcher_still_rejects_what_is_not_clear(text: str) -> None:
    assert match_exact_cjk(text, CHINESE) is None


@given(texts.filter(str.isascii), st.sampled_from([ANIMALS, {"A": "yes", "B": "no"}]))
def test_both_matchers_agree_on_ascii(text: str, options: dict[str, str]) -> None:
    assert match_exact_cjk(text, options) == match_exact(text, options)


def test_option_texts_are_mapped_like_the_answer() -> None:
    options = {"A": "Ｔ恤", "B": "衬衫"}
    assert match_exact_cjk("T恤", options) == match_exact_cjk("Ｔ恤", options) == "A"
    assert match_exact_cjk("她喜欢C罗", {"A": "喜欢", "B": "不", "C": "别的"}) == "C"


def test_what_is_matched_to_no_letter_is_wrong_and_counted() -> None:
    questions = [Options(CHINESE, "B")] * 3
    found = exact(["B", "A", "B。"], questions)
    assert (found.score.tolist(), found.unparsed.tolist()) == ([1, 0, 0], [False, False, True])
    found = exact_cjk(["B", "A", "B。"], questions)
    assert (found.score.tolist(), found.unparsed.tolist()) == ([1, 0, 1], [False, False, False])


def test_a_question_whose_label_is_withheld_is_never_right() -> None:
    assert exact(["", "A"], [Options(ANIMALS, "")] * 2).score.tolist() == [0, 0]
