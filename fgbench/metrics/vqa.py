"""VQA accuracy: an answer is as right as people agree with it (Antol et al., VQA, ICCV 2015, section 5).

Ten people answered each question. The score is the average over the ten ways to leave one of them out of
``min(1, matches among the other nine / 3)``: 0, 0.3, 0.6, 0.9, 1 for 0, 1, 2, 3, 4 or more matches. Answers are
compared after normalising; the normaliser is the evaluation server's, whose slips are part of the metric and are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from .outcomes import Outcomes, pairs

PEOPLE = 10

_MATCHES = np.arange(PEOPLE + 1)
_LEFT_OUT = _MATCHES * np.minimum(3, _MATCHES - 1) + (PEOPLE - _MATCHES) * np.minimum(3, _MATCHES)
_SCORE = _LEFT_OUT / (3 * PEOPLE)

# The reference passes the flag re.UNICODE, which is 32, where the number of replacements belongs.
_FULL_STOPS = 32
_STOP = re.compile(r"\.(?!\d)")
_STOP_AFTER_NO_DIGIT = re.compile(r"(?<!\d)\.(?!\d)")
_COMMA_IN_NUMBER = re.compile(r"\d,\d")


def evalai(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Outcomes:
    """VQA accuracy with the normaliser of the EvalAI server, as in LLaVA and lmms-eval.

    Args:
        predictions: n answers.
        references: n times the answers of ten people.

    Raises:
        ValueError: not exactly ten answers, or not as many references as predictions.
    """
    return _accuracy(predictions, references, normalise_evalai)


def vlmevalkit(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Outcomes:
    """VQA accuracy with VLMEvalKit's normaliser; otherwise like :func:`evalai`."""
    return _accuracy(predictions, references, normalise_vlmevalkit)


def normalise_evalai(text: str) -> str:
    """Lower case; no comma, question mark or full stop before anything but a digit; other marks deleted or blanked.

    The reference means to keep a full stop after a digit, but its look-behind is malformed: ``3.5.`` becomes ``3.5``.
    """
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    text = _one_line(text)
    return _words(_STOP.sub("", _marks(text, delete=False), count=_FULL_STOPS))


def normalise_vlmevalkit(text: str) -> str:
    """VLMEvalKit's form: ``'s`` stays on its word, and so does a full stop after a digit.

    One comma between two digits, anywhere, has every mark deleted instead of blanked: ``1,000 coca-cola`` becomes
    ``1000 cocacola``.
    """
    text = _one_line(text)
    text = _marks(text, delete=_COMMA_IN_NUMBER.search(text) is not None)
    return _words(_STOP_AFTER_NO_DIGIT.sub("", text, count=_FULL_STOPS))


def _accuracy(
    predictions: Sequence[str], references: Sequence[Sequence[str]], normalise: Callable[[str], str]
) -> Outcomes:
    known: dict[str, str] = {}

    def normal(text: str) -> str:
        if text not in known:
            known[text] = normalise(text)
        return known[text]

    matches = np.zeros(len(predictions), dtype=np.int64)
    for row, (text, answers) in enumerate(pairs(predictions, references)):
        if isinstance(answers, str) or len(answers) != PEOPLE:
            raise ValueError(f"Expected the answers of {PEOPLE} people for question {row}, got {len(answers)}.")
        answer = normal(text)
        matches[row] = sum(normal(other) == answer for other in answers)
    return Outcomes(_SCORE[matches], np.zeros(len(matches), dtype=bool))


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()


def _marks(text: str, *, delete: bool) -> str:
    """Delete a mark that stands beside a blank somewhere (as the text came), blank out the others."""
    result = text
    for mark in _tables().punctuation:
        if mark in text:
            beside_blank = f"{mark} " in text or f" {mark}" in text
            result = result.replace(mark, "" if delete or beside_blank else " ")
    return result


def _words(text: str) -> str:
    tables = _tables()
    words = (tables.number_words.get(word, word) for word in text.lower().split())
    return " ".join(tables.contractions.get(word, word) for word in words if word not in tables.articles)


class _Tables(NamedTuple):
    articles: frozenset[str]
    number_words: Mapping[str, str]
    punctuation: Sequence[str]
    contractions: Mapping[str, str]


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    """The server's word lists, as published; four contractions have capitals and never match."""
    place = files("fgbench.metrics").joinpath("data").joinpath("vqa_normaliser_tables.json")
    lists = json.loads(place.read_text(encoding="utf-8"))
    return _Tables(frozenset(lists["articles"]), lists["number_words"], lists["punctuation"], lists["contractions"])
