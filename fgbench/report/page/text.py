"""Foreign text made fit to be shown: nothing invisible, nothing that turns the line around."""

from __future__ import annotations

import unicodedata

_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def visible(text: str) -> str:
    """Write control characters, direction marks and lone surrogates as ``⟨U+202E⟩``; line ends and tabs as spaces."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character in "\n\t\r":
        return " "
    hidden = character in _DIRECTION or unicodedata.category(character) in {"Cc", "Cs", "Co", "Zl", "Zp"}
    return f"⟨U+{ord(character):04X}⟩" if hidden else character


def shorten(text: str, length: int) -> str:
    """The beginning of a text that is too long, with an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"
