"""A model may write anything. No answer may crash a scorer, or take more time than its length accounts for."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbench.metrics.box_answers import Target
from fgbench.metrics.mmmu import Question
from fgbench.metrics.option_matching import Options
from fgbench.tasks.lmm_scorers import SCORERS

LENGTH = 10_000
SECONDS = 0.5

OPTIONS = {"A": "cat", "B": "a dog", "C": "鸟", "D": "D"}
REFERENCES: dict[str, list[Any]] = {
    "gqa": ["no"],
    "textvqa": [["stop sign"] * 10],
    "mmmu": [Question("q1", tuple(OPTIONS.values()), ["B"]), Question("q2", (), ["3.5", "transformation"])],
    "mmbench": [Options(OPTIONS, "B")],
    "refcoco": [Target((0, 0, 200, 100), 400, 300)],
}
CASES = [
    pytest.param(dataset, name, right, id=f"{dataset}-{name}-{number}")
    for dataset, scorers in SCORERS.items()
    for name in scorers
    for number, right in enumerate(REFERENCES[dataset])
]

# Each would take over a second if a scorer went back over what it has read: runs of one character, and almost-matches.
ADVERSARIAL = [
    "", " ", "\n", "\t", ".", ",", "-", "[", "]", "(", "*", "'s", "1", "１", "a", "A", "Z ", "猫", "𝟛", "\x00",
    "\ud800", "1,", "1,111", "111,", "1.", ".1", "1e", "1e1", "-1", "1.1e", "[1", "[1,", "[ 1 ,", "[1, ", "[,",
    "[0.1, 0.2, 0.3 ", "answer is", "answer is*", "answer is ", "is so ", "=", "so \n", "the answer is (A",
    "Sorry, I can't help", "B。",
]  # fmt: skip
FRAMES = [("", ""), ("[", "x"), ("[0.1, 0.2, 0.3, ", "]"), ("answer is ", "!"), ("1", "x"), ("x = ", "\n")]


@pytest.mark.parametrize(("dataset", "name", "right"), CASES)
def test_time_grows_with_the_length_of_the_answer_only(dataset: str, name: str, right: Any) -> None:
    score = SCORERS[dataset][name]
    for unit in ADVERSARIAL:
        for before, after in FRAMES:
            text = before + unit * (LENGTH // max(1, len(unit))) + after
            start = time.process_time()
            found = score([text], [right])
            assert time.process_time() - start < SECONDS, (unit, before, after)
            assert 0 <= found.score[0] <= 1


@pytest.mark.parametrize(("dataset", "name", "right"), CASES)
@settings(max_examples=30)
@given(
    texts=st.lists(
        st.one_of(
            st.text(max_size=30),
            st.text(st.characters(codec=None), max_size=30),
            st.lists(st.sampled_from(ADVERSARIAL), max_size=10).map("".join),
        ),
        max_size=3,
    )
)
def test_any_text_is_scored(dataset: str, name: str, right: Any, texts: list[str]) -> None:
    found = SCORERS[dataset][name](texts, [right] * len(texts))
    assert ((found.score >= 0) & (found.score <= 1)).all()
    assert name == "official-random" or not found.score[found.unparsed].any()
