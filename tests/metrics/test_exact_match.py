from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.metrics import exact_match
from fgbench.metrics.outcomes import Outcomes

texts = st.one_of(st.text(max_size=8), st.text("Ye.s!, \n-。İ", max_size=8))


def strip_stops(text: str) -> str:
    while text and text[-1] == ".":
        text = text[:-1]
    return text


def without_punctuation(text: str) -> str:
    return "".join(character for character in text.lower() if character not in string.punctuation)


def right(found: Outcomes) -> list[bool]:
    assert not found.unparsed.any()
    return [score == 1 for score in found.score]


@given(texts, texts)
def test_the_rules_agree_with_their_wording(text: str, other: str) -> None:
    answers = [other, text, text.lower(), strip_stops(text).lower(), f" {text}", f"{text}!"]
    predictions = [text] * len(answers)
    assert right(exact_match.llava(predictions, answers)) == [strip_stops(text).lower() == answer for answer in answers]
    assert right(exact_match.lmms_eval(predictions, answers)) == [
        without_punctuation(text) == without_punctuation(answer) for answer in answers
    ]
    assert right(exact_match.vlmevalkit(predictions, answers)) == [
        text.lower().strip() == answer.lower().strip() for answer in answers
    ]


@pytest.mark.parametrize(
    ("prediction", "answer"), [("yes", "Yes"), ("yes。", "yes"), ("ｙｅｓ", "yes"), ("the dog", "dog")]
)
def test_the_official_rule_forgives_nothing_else(prediction: str, answer: str) -> None:
    assert right(exact_match.llava([prediction], [answer])) == [False]
