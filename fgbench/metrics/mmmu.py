"""MMMU: scoring of mixed multiple-choice and open questions (Yue et al., MMMU, CVPR 2024, section 4).

The official parser guesses an option at random where it reads none. No guess is made here unless asked for: ``strict``
counts such an answer as wrong, ``official-random`` draws from the question's id, so that neither order nor sharding
matters, and :func:`expectation` says what guessing is worth on average.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from . import mmmu_choice, mmmu_open
from .option_matching import match_vlmevalkit_2026_06
from .outcomes import Outcomes, outcomes, pairs


@dataclass(frozen=True)
class Question:
    """What an answer is compared with.

    Attributes:
        id: as published (``validation_Math_7``).
        options: option texts, A first; empty for an open question.
        answers: the letter of the right option; or the accepted answers to an open question.
    """

    id: str
    options: Sequence[str]
    answers: Sequence[str]

    def __post_init__(self) -> None:
        if len(self.options) > len(string.ascii_uppercase):
            raise ValueError(f"Question {self.id}: expected at most 26 options, got {len(self.options)}.")
        if isinstance(self.answers, str) or not self.answers:
            raise ValueError(f"Question {self.id}: expected a list of accepted answers, got {self.answers!r}.")

    @property
    def by_letter(self) -> Mapping[str, str]:
        """Option text by letter; empty for an open question."""
        return dict(zip(string.ascii_uppercase, self.options, strict=False))


def strict(predictions: Sequence[str], references: Sequence[Question]) -> Outcomes:
    """The official rules; an answer that names no option is wrong."""
    return _score(predictions, references, mmmu_choice.parse_official, mmmu_open.answers_question)


def official_random(predictions: Sequence[str], references: Sequence[Question]) -> Outcomes:
    """The official rules; an answer that names no option is taken for the one that the question's id draws.

    The official runner draws from one generator with seed 42 in file order, which part of the data cannot repeat.
    """
    scored = strict(predictions, references)
    lucky = [bool(question.options) and guess(question) in question.answers for question in references]
    return Outcomes(np.where(scored.unparsed, np.array(lucky, dtype=np.float64), scored.score), scored.unparsed)


def lmms_eval_2026_03(predictions: Sequence[str], references: Sequence[Question]) -> Outcomes:
    """lmms-eval from 2026-03-01 to 2026-08-24: its own letter rule, and every open question is wrong.

    Its parser of open answers kept one candidate, as text, which was then compared character by character.
    """
    return _score(predictions, references, mmmu_choice.parse_lmms_eval, lambda text, answers: False)


def vlmevalkit_2026_06(predictions: Sequence[str], references: Sequence[Question]) -> Outcomes:
    """VLMEvalKit: its matcher for option letters; an open question becomes the options "answer" and "Other Answers".

    So the bare letter A is right for every open question, and an accepted answer that is itself a capital letter is
    looked for among the letters A and B.
    """
    rewritten = [_rewritten(question) for question in references]
    return _score(predictions, rewritten, match_vlmevalkit_2026_06, mmmu_open.answers_question)


def expectation(scored: Outcomes, questions: Sequence[Question]) -> npt.NDArray[np.float64]:
    """Expected score if options were guessed evenly where ``strict`` read none: float64 [n]."""
    chance = [1 / len(question.options) if question.options else 0.0 for question in questions]
    return np.where(scored.unparsed, np.array(chance, dtype=np.float64), scored.score)


def guess(question: Question) -> str:
    """The option drawn for a multiple-choice question: the first 8 bytes of SHA-256 of its id, modulo their number."""
    digest = hashlib.sha256(question.id.encode("utf-8", "surrogatepass")).digest()
    return string.ascii_uppercase[int.from_bytes(digest[:8], "big") % len(question.options)]


def _score(
    predictions: Sequence[str],
    references: Sequence[Question],
    choose: Callable[[str, Mapping[str, str]], str | None],
    answers_question: Callable[[str, Sequence[str]], bool],
) -> Outcomes:
    score, unparsed = [], []
    for text, question in pairs(predictions, references):
        letter = choose(text, question.by_letter) if question.options else None
        score.append(letter in question.answers if question.options else answers_question(text, question.answers))
        unparsed.append(bool(question.options) and letter is None)
    return outcomes(score, unparsed)


def _rewritten(question: Question) -> Question:
    if question.options:
        return question
    # Several accepted answers are one cell of text there: "['24/7', '3.429']".
    answer = question.answers[0] if len(question.answers) == 1 else str(list(question.answers))
    right = answer if answer in set(string.ascii_uppercase) else "A"
    return Question(question.id, (answer, "Other Answers"), (right,))
