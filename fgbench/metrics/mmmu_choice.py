"""MMMU: which option does an answer to a multiple-choice question name? The official parser, without its guess.

Source: ``parse_multi_choice_response`` of the MMMU repository. Where it finds nothing it draws an option at random;
here the answer is None and the caller decides (:mod:`fgbench.metrics.mmmu`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_OUTER_MARKS = (",", ".", "!", "?", ";", ":", "'")
_OPTION_TEXT_FROM_WORDS = 6

_OFFICIAL = ("({})", " {} ")
_LMMS_EVAL = ("({})", "{} ", "{}.")


def parse_official(text: str, options: Mapping[str, str]) -> str | None:
    """The official rule: ``(B)``, else ``B`` between blanks, else the text of an option in six words or more.

    Of several candidates of one kind the last mentioned wins. Newlines are no blanks: strip the answer before.

    Args:
        text: the answer.
        options: option text by letter.
    """
    return _parse(text, options, _OFFICIAL)


def parse_lmms_eval(text: str, options: Mapping[str, str]) -> str | None:
    """lmms-eval since 2026-03-01: a letter before a blank is enough (``NASA`` at the end is A), and so is ``B.``."""
    return _parse(text, options, _LMMS_EVAL)


def _parse(text: str, options: Mapping[str, str], forms: Sequence[str]) -> str | None:
    for mark in _OUTER_MARKS:
        text = text.strip(mark)
    text = f" {text} "
    for form in forms:
        found = _last_mentioned(text, {letter: form.format(letter) for letter in options})
        if found is not None:
            return found
    if len(text.split()) < _OPTION_TEXT_FROM_WORDS:
        return None
    return _last_mentioned(text.lower(), {letter: option.lower() for letter, option in options.items()})


def _last_mentioned(text: str, wanted: Mapping[str, str]) -> str | None:
    """Letter whose string has the last start in the text; the first such letter on a tie."""
    found = [(text.rfind(phrase), letter) for letter, phrase in wanted.items() if phrase in text]
    return max(found, key=lambda entry: entry[0])[1] if found else None
