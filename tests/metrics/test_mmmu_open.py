from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fgbench.metrics import mmmu_open
from fgbench.metrics.mmmu_open import answers_question, candidates

PATTERNS = [mmmu_open._GROUPED, mmmu_open._SCIENTIFIC, mmmu_open._PLAIN]


def phrases_by_hand(text: str) -> list[str]:
    """Tails of the lines, by looking for the end of the last occurrence of each indicator."""
    lines = text.split("\n")
    kept = []
    for place, line in enumerate(lines):
        indicators = ["could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result "]
        best = ""
        for indicator in [*indicators, "="] if place == len(lines) - 1 else indicators:
            ends = [end for end in range(len(line) + 1) if line[:end].endswith(indicator)]
            if ends and (best == "" or len(line[max(ends) :].strip()) < len(best)):
                best = line[max(ends) :].strip()
        if best not in ("", ":", ",", ".", "!", "?", ";", "'"):
            kept.append(best)
    return kept or [text]


def meaning(string: str) -> list[str | float]:
    string = string.strip()
    try:
        return [round(float(string.replace(",", "")), 2)]
    except ValueError:
        lowered = string.lower()
        return [" " + lowered, lowered + " "] if len(lowered) == 1 else [lowered]


def brute_force(text: str, answers: list[str]) -> bool:
    """The official comparison, candidate by candidate; numbers by the patterns without their guards."""
    phrases = phrases_by_hand(text.strip().strip(".").lower())
    numbers = [match[0] for phrase in phrases for pattern in PATTERNS for match in unguarded(pattern).finditer(phrase)]
    meant = [value for string in [*phrases, *numbers] for value in meaning(string)]
    golds = [value for answer in answers for value in meaning(answer)]
    return any(
        gold in value if isinstance(gold, str) and isinstance(value, str) else gold == value
        for gold in golds
        for value in meant
    )


def unguarded(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """The same pattern without the condition that keeps its time linear."""
    return re.compile(pattern.pattern.replace(r"(?<!\d)", ""))


pieces = st.sampled_from(
    [*"0123456789.,-+eE=% \n:x_C", "12,345", "1.5", "1e3", "so ", "is ", "answer ", "result ", "could be ", "24/7", "٣"]
)
texts = st.one_of(st.lists(pieces, max_size=14).map("".join), st.text(max_size=6))


@given(texts)
@example("1.55,2")
@example("1e55.5e3")
@example("-1,234,5678")
def test_starting_at_the_first_digit_finds_the_same_numbers(text: str) -> None:
    for pattern in PATTERNS:
        assert pattern.findall(text) == unguarded(pattern).findall(text)


@given(texts, st.lists(texts, min_size=1, max_size=3))
@example("so result .", ["so"])
@example("x is 5 =", ["x"])
def test_it_agrees_with_a_comparison_candidate_by_candidate(text: str, answers: list[str]) -> None:
    assert answers_question(text, answers) == brute_force(text, answers)


def test_candidates_are_key_phrases_and_their_numbers() -> None:
    texts, numbers = candidates("The area is 1,234.567 m\nso C")
    assert texts == {"1,234.567 m", " c", "c "}
    assert numbers == {1234.0, 234.57}


def test_an_indicator_at_the_end_of_a_line_discards_the_tails_before_it() -> None:
    assert candidates("so result .") == ({"so result"}, set())


@pytest.mark.parametrize(
    ("text", "answer", "expected"),
    [
        ("", "", True),
        ("nan", "nan", False),
        ("inf", "infinity", True),
        ("9" * 400, "inf", True),
        ("答案是 8", "8", True),
        ("８", "8", True),
        ("答案是猫", "猫", False),
        ("答案是猫", "黑猫", False),
        ("答案是黑猫", "黑猫", True),
    ],
)
def test_answers_that_are_hardly_numbers_or_hardly_english(text: str, answer: str, expected: bool) -> None:
    assert answers_question(text, [answer]) is expected
