"""GQA: is the answer the one word that was asked for?

The rule of LLaVA's converter and the official GQA script is plain string equality after lower-casing and removing
trailing full stops. Toolkits differ in what else they forgive, and no one of them forgives the most.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

from .outcomes import Outcomes, outcomes, pairs

_DELETE_PUNCTUATION = str.maketrans("", "", string.punctuation)


def llava(predictions: Sequence[str], references: Sequence[str]) -> Outcomes:
    """LLaVA's ``convert_gqa_for_eval`` and the official script: no trailing full stops, lower case. Blanks count."""
    return outcomes([text.rstrip(".").lower() == answer for text, answer in pairs(predictions, references)])


def lmms_eval(predictions: Sequence[str], references: Sequence[str]) -> Outcomes:
    """lmms-eval: lower case and no ASCII punctuation anywhere, on both sides. Blanks count."""
    return outcomes([_unpunctuated(text) == _unpunctuated(answer) for text, answer in pairs(predictions, references)])


def vlmevalkit(predictions: Sequence[str], references: Sequence[str]) -> Outcomes:
    """VLMEvalKit: stripped and in lower case, on both sides. An answer that ends with a full stop is wrong."""
    return outcomes([text.strip().lower() == answer.strip().lower() for text, answer in pairs(predictions, references)])


def _unpunctuated(text: str) -> str:
    return text.lower().translate(_DELETE_PUNCTUATION)
