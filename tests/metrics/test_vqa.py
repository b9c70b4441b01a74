from __future__ import annotations

import json
import unicodedata
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fgbench.metrics.vqa import evalai, normalise_evalai, normalise_vlmevalkit, vlmevalkit

MARKS = set(';/[]"{}()=+\\_-><@`,?!')
NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
DIGITS = {"none": "0"} | {word: str(value) for value, word in enumerate(NUMBERS)}
CONTRACTIONS = json.loads(
    files("fgbench.metrics").joinpath("data/vqa_normaliser_tables.json").read_text(encoding="utf-8")
)["contractions"]


def is_digit(text: str, place: int) -> bool:
    return 0 <= place < len(text) and unicodedata.category(text[place]) == "Nd"


def brute_force(text: str, *, evalai_form: bool) -> str:
    """The normaliser as the specification words it, one character at a time."""
    if evalai_form:
        text = "".join(character for character in text.lower() if character not in ",?")
        text = "".join(
            " '" if character == "'" and text[place + 1 : place + 2] == "s" else character
            for place, character in enumerate(text)
        ).strip()
    text = "".join(" " if character in "\n\t" else character for character in text).strip()

    beside_blank = {
        text[place]
        for place in range(len(text))
        if " " in text[max(0, place - 1) : place] + text[place + 1 : place + 2]
    }
    delete_all = not evalai_form and any(
        text[place] == "," and is_digit(text, place - 1) and is_digit(text, place + 1) for place in range(len(text))
    )
    blank = "" if delete_all else " "
    text = "".join(("" if c in beside_blank else blank) if c in MARKS else c for c in text)

    kept, removed = [], 0
    for place, character in enumerate(text):
        stays = is_digit(text, place + 1) or (not evalai_form and is_digit(text, place - 1))
        if character == "." and not stays and removed < 32:
            removed += 1
        else:
            kept.append(character)
    words = [DIGITS.get(word, word) for word in "".join(kept).lower().split()]
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ("a", "an", "the"))


def by_leaving_out(prediction: str, answers: list[str], *, evalai_form: bool) -> float:
    normal = brute_force(prediction, evalai_form=evalai_form)
    pool = [brute_force(answer, evalai_form=evalai_form) for answer in answers]
    nines = [pool[:place] + pool[place + 1 :] for place in range(len(pool))]
    return sum(min(1.0, nine.count(normal) / 3) for nine in nines) / len(nines)


pieces = st.one_of(
    st.sampled_from([*';/[]"{}()=+\\_-><@`,?!', " ", "\n", "\t", ".", "..", "'s", "'S", "'", "1", "20", "3.5", ","]),
    st.sampled_from(["a", "An", "THE", "none", "ten", "dog", "x", "猫", "３", "𝟛", "İ", "Σ", "\x00", "\x85", "\ud800"]),
    st.sampled_from([*DIGITS, *CONTRACTIONS]),
    st.text(max_size=3),
)
texts = st.lists(pieces, max_size=12).map("".join)


@given(texts)
@example("." * 33 + "x")
@example("- a-b")
def test_the_evalai_form_agrees_with_a_walk_over_the_characters(text: str) -> None:
    assert normalise_evalai(text) == brute_force(text, evalai_form=True)


@given(texts)
@example("1,000 coca-cola")
@example("3.5.")
def test_the_vlmevalkit_form_agrees_with_a_walk_over_the_characters(text: str) -> None:
    assert normalise_vlmevalkit(text) == brute_force(text, evalai_form=False)


@given(
    st.lists(st.lists(st.sampled_from(["red", "Red.", "the red", "blue", "2", "two", ""]), min_size=11, max_size=11))
)
def test_the_accuracy_agrees_with_leaving_out_one_person_at_a_time(rows: list[list[str]]) -> None:
    predictions, references = [row[0] for row in rows], [row[1:] for row in rows]
    for scorer, form in ((evalai, True), (vlmevalkit, False)):
        expected = [
            by_leaving_out(text, answers, evalai_form=form)
            for text, answers in zip(predictions, references, strict=True)
        ]
        np.testing.assert_allclose(scorer(predictions, references).score, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("key", ["Id've", "I'dve", "Im", "Ive", "she's", "let's"])
def test_contractions_that_cannot_match_do_not(key: str) -> None:
    assert normalise_evalai(key) != CONTRACTIONS[key]


@pytest.mark.parametrize("count", [0, 9, 11])
def test_other_than_ten_answers_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"10 people for question 1, got {count}"):
        evalai(["red", "red"], [["red"] * 10, ["red"] * count])


def test_one_string_is_not_taken_for_ten_answers() -> None:
    with pytest.raises(ValueError, match="10 people"):
        evalai(["red"], ["0123456789"])
