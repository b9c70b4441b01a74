"""MMBench: which option does a free answer name? String rules only; no language model is asked.

Source: ``can_infer`` of VLMEvalKit. Published leaderboards let a GPT model match what the rules reject; such numbers
are not comparable with these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .outcomes import Outcomes, outcomes, pairs

_REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_SEPARATORS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_LAST_WORDS = 4
_NO_OPTION = "Z"
_ANSWER_IS = re.compile(r"answer is\s*\**([A-D])", re.IGNORECASE)

_CJK = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_BETWEEN_CJK_AND_LATIN = re.compile(f"(?<=[{_CJK}])(?=[A-Za-z])|(?<=[A-Za-z])(?=[{_CJK}])")
_TO_ASCII = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **str.maketrans("\u3000。｡、､【】〔〕「」『』《》〈〉", " ..,,[][][][][][]"),
}


@dataclass(frozen=True)
class Options:
    """The options of a question, as the model saw them.

    Attributes:
        options: text by capital letter, absent ones left out.
        answer: letter of the right one.
    """

    options: Mapping[str, str]
    answer: str


def exact(predictions: Sequence[str], references: Sequence[Options]) -> Outcomes:
    """Letter, then option text: VLMEvalKit's rules as of October 2025, when the paper appeared."""
    return score_matches(match_exact, predictions, references)


def vlmevalkit_2026_06(predictions: Sequence[str], references: Sequence[Options]) -> Outcomes:
    """Like :func:`exact`, with the step "answer is X" that VLMEvalKit added on 2026-06-17."""
    return score_matches(match_vlmevalkit_2026_06, predictions, references)


def exact_cjk(predictions: Sequence[str], references: Sequence[Options]) -> Outcomes:
    """Like :func:`exact`, after mapping full-width forms to ASCII. Not to be mixed with the others in one table."""
    return score_matches(match_exact_cjk, predictions, references)


def match_exact(text: str, options: Mapping[str, str]) -> str | None:
    """The letter an answer names, or None.

    1. A refusal names none.
    2. Marks become blanks. If one letter alone occurs as a word, and first among the last four words, it is the one. If
       none occurs but ``Z`` does, none is named.
    3. Unless the answer is longer than twice all option texts, the only option whose text it contains, ignoring case.
    """
    letter, decided = _by_letter(text, options)
    return letter if decided else _by_text(text, options)


def match_vlmevalkit_2026_06(text: str, options: Mapping[str, str]) -> str | None:
    """Like :func:`match_exact`; before comparing texts, ``answer is X`` names X, for A to D in either case.

    There is no word boundary in that rule: "The answer is cat" names C.
    """
    letter, decided = _by_letter(text, options)
    if decided:
        return letter
    stated = _ANSWER_IS.search(text)
    return stated[1].upper() if stated else _by_text(text, options)


def match_exact_cjk(text: str, options: Mapping[str, str]) -> str | None:
    """:func:`match_exact` on ASCII: full-width letters, brackets and punctuation mapped, blanks between CJK and Latin.

    Option texts are mapped alike. A Latin letter at the edge of a Chinese word becomes a word: ``C罗`` names C.
    """
    return match_exact(_ascii(text), {letter: _ascii(option) for letter, option in options.items()})


def score_matches(
    match: Callable[[str, Mapping[str, str]], str | None], predictions: Sequence[str], references: Sequence[Options]
) -> Outcomes:
    """Right iff the matched letter is the answer; what was matched to no letter is wrong and counted as unparsed."""
    found = [(match(text, question.options), question.answer) for text, question in pairs(predictions, references)]
    return outcomes([letter == answer for letter, answer in found], [letter is None for letter, _ in found])


def _by_letter(text: str, options: Mapping[str, str]) -> tuple[str | None, bool]:
    """The letter and whether that is the last word on the answer."""
    if any(refusal in text for refusal in _REFUSALS):
        return None, True
    words = text.translate(_SEPARATORS).split()
    present = set(words)
    named = [letter for letter in options if letter in present]
    if len(named) == 1 and words.index(named[0]) >= len(words) - _LAST_WORDS:
        return named[0], True
    return None, not named and _NO_OPTION in present


def _by_text(text: str, options: Mapping[str, str]) -> str | None:
    text = text.lower()
    if len(text) > 2 * sum(map(len, options.values())):
        return None
    contained = [letter for letter, option in options.items() if option.lower() in text]
    return contained[0] if len(contained) == 1 else None


def _ascii(text: str) -> str:
    return _BETWEEN_CJK_AND_LATIN.sub(" ", text.translate(_TO_ASCII))
