from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.metrics.mmmu_choice import parse_lmms_eval, parse_official

ANIMALS = {"A": "red panda", "B": "giraffe", "C": "blue whale", "D": "sea otter"}


def starts(text: str, phrase: str) -> list[int]:
    return [place for place in range(len(text) + 1) if text[place : place + len(phrase)] == phrase]


def brute_force(text: str, options: Mapping[str, str], *, lmms_eval: bool) -> str | None:
    """The official rule, looking at every place of the answer."""
    for mark in ",.!?;:'":
        while text[:1] == mark:
            text = text[1:]
        while text[-1:] == mark:
            text = text[:-1]
    text = f" {text} "
    forms = [{letter: f"({letter})" for letter in options}]
    if lmms_eval:
        forms += [{letter: f"{letter} " for letter in options}, {letter: f"{letter}." for letter in options}]
    else:
        forms += [{letter: f" {letter} " for letter in options}]
    haystacks = [text] * len(forms)
    if len(text.split()) > 5:
        forms.append({letter: option.lower() for letter, option in options.items()})
        haystacks.append(text.lower())
    for haystack, form in zip(haystacks, forms, strict=True):
        last = {letter: max(found) for letter, phrase in form.items() if (found := starts(haystack, phrase))}
        if last:
            return next(letter for letter in form if last.get(letter) == max(last.values()))
    return None


texts = st.lists(
    st.sampled_from(
        [*"ABCDE().,!?;:' \nab*。Ａ", "(A)", " B ", "C.", "giraffe", "Red Panda", " the", " word", "NASA "]
    ),
    max_size=14,
).map("".join)
options = st.lists(
    st.sampled_from([*ANIMALS.values(), "a", "", "A", "GIRAFFE", "İ", "长颈鹿"]), min_size=1, max_size=6
).map(lambda chosen: dict(zip("ABCDEF", chosen, strict=False)))


@given(texts, options)
def test_the_parsers_agree_with_a_look_at_every_place(text: str, choices: dict[str, str]) -> None:
    assert parse_official(text, choices) == brute_force(text, choices, lmms_eval=False)
    assert parse_lmms_eval(text, choices) == brute_force(text, choices, lmms_eval=True)


@pytest.mark.parametrize(
    ("text", "official", "lmms_eval"),
    [
        ("B", "B", "B"),
        ("", None, None),
        ("Ｂ", None, None),
        ("答案是B", None, "B"),
        ("答案是 B", "B", "B"),
        ("(A) or (C)", "C", "C"),
        ("E", None, None),
        ("x\n(D)\ny", "D", "D"),
        ("B. because A. is wrong", None, "A"),
        ("B A B", "B", "B"),
        ("(B) not (A) so (B)", "B", "B"),
        ("one two three four giraffe", None, None),
        ("one two three four five giraffe", "B", "B"),
        ("a giraffe and a red panda or giraffe", "B", "B"),
    ],
)
def test_answers_that_people_ask_about(text: str, official: str | None, lmms_eval: str | None) -> None:
    assert parse_official(text, ANIMALS) == official
    assert parse_lmms_eval(text, ANIMALS) == lmms_eval
