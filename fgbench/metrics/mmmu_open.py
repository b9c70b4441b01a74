"""MMMU: does the answer to an open question contain what was asked for? The official rule.

Source: ``parse_open_response`` and ``eval_open`` of the MMMU repository. Patterns for numbers are written so that time
grows linearly with the answer: they start at the first digit of a run, which finds the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

_TRIVIAL = frozenset(":,.!?;'")
_INDICATORS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_LAST_INDICATORS = (*_INDICATORS, "=")

_GROUPED = re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b")
_SCIENTIFIC = re.compile(r"-?(?<!\d)\d+(?:\.\d+)?[eE][+-]?\d+")
_PLAIN = re.compile(r"-?(?:(?<!\d)\d+\.\d+|\.\d+|(?<!\d)\d+\b)(?![eE][+-]?\d)(?![,\d])")


def answers_question(text: str, answers: Sequence[str]) -> bool:
    """Whether a text candidate contains an accepted text, or a number candidate equals an accepted number.

    Args:
        text: what the model wrote.
        answers: what is accepted; any of them will do.
    """
    accepted_texts, accepted_numbers = _normalise(answers)
    texts, numbers = candidates(text)
    return not accepted_numbers.isdisjoint(numbers) or any(
        accepted in found for accepted in accepted_texts for found in texts
    )


def candidates(text: str) -> tuple[set[str], set[float]]:
    """Texts and numbers that the answer may mean: its key phrases, and every number in them."""
    phrases = list(_key_phrases(text.strip().strip(".").lower()))
    return _normalise([*phrases, *(number for phrase in phrases for number in _numbers(phrase))])


def _key_phrases(text: str) -> Iterator[str]:
    """The tail after the last ``is``, ``answer``, … of each line; the whole text if no line has one."""
    lines = text.split("\n")
    found = False
    for row, line in enumerate(lines):
        shortest = ""
        for indicator in _LAST_INDICATORS if row == len(lines) - 1 else _INDICATORS:
            if indicator in line:
                tail = line.rpartition(indicator)[2].strip()
                # As in the reference an empty tail replaces a longer one, and the next one replaces it.
                if not shortest or len(tail) < len(shortest):
                    shortest = tail
        if shortest and shortest not in _TRIVIAL:
            found = True
            yield shortest
    if not found:
        yield text


def _numbers(text: str) -> Iterator[str]:
    for pattern in (_GROUPED, _SCIENTIFIC, _PLAIN):
        yield from pattern.findall(text)


def _normalise(strings: Iterable[str]) -> tuple[set[str], set[float]]:
    """Numbers with two decimals; other strings in lower case, single characters with a blank on either side of them."""
    texts: set[str] = set()
    numbers: set[float] = set()
    for string in strings:
        string = string.strip()
        try:
            numbers.add(round(float(string.replace(",", "")), 2))
        except ValueError:
            string = string.lower()
            texts.update((f" {string}", f"{string} ") if len(string) == 1 else (string,))
    return texts, numbers
