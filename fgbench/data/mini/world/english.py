"""English."""

from __future__ import annotations

from collections.abc import Sequence

from fgbench.data.mini.world.language import Place
from fgbench.data.mini.world.phrases import Phrase
from fgbench.data.mini.world.vocabulary import COLOURS, KINDS, RELATIONS, SIZES, STUFF, TEXTURES, LanguageCode

NUMBERS = ("no", "one", "two", "three", "four", "five")

_AT = {"left": "on the left", "right": "on the right", "top": "at the top", "bottom": "at the bottom"}


class English:
    """See :class:`fgbench.data.mini.world.language.Grammar`."""

    code: LanguageCode = "en"

    def noun(self, phrase: Phrase, name: str | None = None) -> str:
        """For example "large striped red star on the left"."""
        words = [
            table[key].en
            for table, key in ((SIZES, phrase.size), (TEXTURES, phrase.texture), (COLOURS, phrase.colour))
            if key is not None
        ]
        words.append(name or (KINDS[phrase.kind].en if phrase.kind else "thing"))
        if phrase.place:
            words.append(_AT.get(phrase.place, "in the middle"))
        return " ".join(words)

    def one(self, phrase: Phrase) -> str:
        """With "a" or "an"."""
        return indefinite(self.noun(phrase))

    def the(self, phrase: Phrase) -> str:
        """With "the"."""
        return f"the {self.noun(phrase)}"

    def region(self, phrase: Phrase) -> str:
        """For example "A large striped red star."."""
        return _sentence(self.one(phrase))

    def join(self, sentences: Sequence[str]) -> str:
        """With blanks."""
        return " ".join(sentences)

    def where(self, place: Place) -> str:
        """For example "at the top left"."""
        across, down = place
        if down == "middle":
            return _AT.get(across, "in the middle")
        return _AT[down] if across == "middle" else f"{_AT[down]} {across}"

    def listing(self, phrases: Sequence[Phrase], upper: str, lower: str) -> str:
        """All on one ground."""
        return _sentence(f"{_and([self.one(p) for p in phrases])}, with {STUFF[upper].en} above {STUFF[lower].en}")

    def pictured(self, phrases: Sequence[Phrase]) -> str:
        """A picture of them."""
        return _sentence(f"a picture of {_and([self.one(p) for p in phrases])}")

    def counted(self, number: int, phrases: Sequence[Phrase]) -> str:
        """There are so many."""
        among = _and([self.one(p) for p in phrases])
        return _sentence(f"there are {NUMBERS[number]} things, among them {among}")

    def lies(self, phrase: Phrase, place: Place) -> str:
        """It is there."""
        return _sentence(f"{self.one(phrase)} is {self.where(place)}")

    def related(self, one: Phrase, relation: str, other: Phrase) -> str:
        """It is left of, …"""
        return _sentence(f"the {self.noun(one)} is {RELATIONS[relation].en} the {self.noun(other)}")

    def ground(self, upper: str, lower: str, number: int) -> str:
        """Ground and number."""
        return _sentence(
            f"the picture shows {NUMBERS[number]} thing{'s' * (number != 1)}, with {STUFF[upper].en} above "
            f"{STUFF[lower].en}"
        )


def indefinite(noun: str) -> str:
    """With "a" or "an"; no word of the world has an article against its spelling."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
