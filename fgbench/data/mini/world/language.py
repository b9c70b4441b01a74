"""Two small grammars with the same members: they turn phrases and facts into English and Chinese."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fgbench.data.mini.world.phrases import Phrase
from fgbench.data.mini.world.vocabulary import LanguageCode

Place = tuple[str, str]
"""Horizontal and vertical third, as :meth:`Scene.place` gives it."""


class Grammar(Protocol):
    """What captions and questions need to say. Sentences end with their full stop."""

    code: LanguageCode

    def noun(self, phrase: Phrase, name: str | None = None) -> str:
        """The phrase without an article, for example "large striped red star"; ``name`` stands in for the kind."""

    def one(self, phrase: Phrase) -> str:
        """With the indefinite article or number."""

    def the(self, phrase: Phrase) -> str:
        """With the definite article, if the language has one."""

    def region(self, phrase: Phrase) -> str:
        """A region text: one thing, as a short sentence."""

    def join(self, sentences: Sequence[str]) -> str:
        """Sentences to a text."""

    def where(self, place: Place) -> str:
        """An adverbial of place."""

    def listing(self, phrases: Sequence[Phrase], upper: str, lower: str) -> str:
        """Several things before a ground."""

    def pictured(self, phrases: Sequence[Phrase]) -> str:
        """A picture of several things."""

    def counted(self, number: int, phrases: Sequence[Phrase]) -> str:
        """How many things there are, and some of them."""

    def lies(self, phrase: Phrase, place: Place) -> str:
        """Where a thing is."""

    def related(self, one: Phrase, relation: str, other: Phrase) -> str:
        """How a thing lies with respect to another one."""

    def ground(self, upper: str, lower: str, number: int) -> str:
        """What the two bands are, and how many things there are."""
