from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.metrics import mmmu
from fgbench.metrics.mmmu import Question, expectation, guess, official_random, strict, vlmevalkit_2026_06

ANIMALS = ("red panda", "giraffe", "blue whale", "sea otter")
TEN = [Question(f"validation_Math_{number}", ANIMALS, ["B"]) for number in range(10)]


def test_an_answer_that_names_no_option_is_wrong_and_counted() -> None:
    found = strict(["B", "C", "no idea", ""], TEN[:4])
    assert found.score.tolist() == [1, 0, 0, 0]
    assert found.unparsed.tolist() == [False, False, True, True]


def test_the_expectation_adds_the_chance_of_a_guess() -> None:
    questions = [*TEN[:3], Question("q", ("yes", "no"), ["A"]), Question("open", (), ["8"])]
    found = strict(["B", "C", "?", "?", "?"], questions)
    assert expectation(found, questions).tolist() == [1, 0, 0.25, 0.5, 0]
    assert expectation(strict([], []), []).tolist() == []


def test_the_guess_follows_from_the_id_alone() -> None:
    """First 8 bytes of SHA-256, modulo 4. Another rule would change published numbers."""
    assert "".join(map(guess, TEN)) == "BACBBDDBAC"
    texts = ["no idea"] * 10
    together = official_random(texts, TEN)
    assert together.unparsed.all()
    assert together.score.tolist() == [float(guess(question) == "B") for question in TEN]
    assert official_random(texts, TEN[::-1]).score.tolist() == together.score[::-1].tolist()
    assert official_random(texts[:3], TEN[4:7]).score.tolist() == together.score[4:7].tolist()


def test_nothing_is_guessed_where_something_was_read() -> None:
    questions = [*TEN, Question("open", (), ["8"])]
    texts = ["A"] * 5 + ["B"] * 5 + ["nine"]
    assert official_random(texts, questions).score.tolist() == strict(texts, questions).score.tolist()


def test_every_option_is_drawn_about_as_often() -> None:
    drawn = [guess(Question(f"validation_Art_{number}", ANIMALS, ["A"])) for number in range(2000)]
    assert all(400 < drawn.count(letter) < 600 for letter in "ABCD")
    for count in (1, 2, 9):
        letters = {guess(Question(f"q{number}", ["x"] * count, ["A"])) for number in range(100)}
        assert letters == set("ABCDEFGHI"[:count])


def test_an_open_question_whose_answer_is_a_letter_stays_open() -> None:
    question = Question("q", (), ["C"])
    assert strict(["the answer is C", "no idea"], [question] * 2).score.tolist() == [1, 0]
    assert not strict(["no idea"], [question]).unparsed.any()


@pytest.mark.parametrize(
    ("text", "answers", "score"),
    [("A", ["giraffe"], 1), ("a giraffe", ["giraffe"], 1), ("B", ["giraffe"], 0), ("C", ["C"], 0), ("A", ["A"], 1),
     ("A", ["24/7", "3.429"], 1), ("24/7", ["24/7", "3.429"], 0)],
)  # fmt: skip
def test_vlmevalkit_makes_options_of_an_open_question(text: str, answers: list[str], score: float) -> None:
    assert vlmevalkit_2026_06([text], [Question("q", (), answers)]).score.tolist() == [score]


@given(st.text(max_size=5), st.lists(st.text(max_size=5), max_size=26), st.lists(st.text(max_size=3), min_size=1))
def test_any_text_gets_a_score_of_zero_or_one(text: str, options: list[str], answers: list[str]) -> None:
    question = Question(text, options, answers)
    for scorer in (mmmu.strict, mmmu.official_random, mmmu.lmms_eval_2026_03, mmmu.vlmevalkit_2026_06):
        found = scorer([text], [question])
        assert found.score[0] in (0, 1)
        assert not (found.unparsed[0] and not options and scorer is not mmmu.vlmevalkit_2026_06)


def test_an_id_may_hold_anything() -> None:
    assert guess(Question("\ud800", ANIMALS, ["A"])) in "ABCD"


def test_questions_that_cannot_be_scored_are_refused() -> None:
    with pytest.raises(ValueError, match="q9: expected at most 26 options, got 27"):
        Question("q9", ("x",) * 27, ["A"])
    with pytest.raises(ValueError, match="q9: expected a list of accepted answers"):
        Question("q9", (), "8")
    with pytest.raises(ValueError, match="q9: expected a list of accepted answers"):
        Question("q9", (), [])
