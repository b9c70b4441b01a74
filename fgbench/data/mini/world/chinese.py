"""Chinese."""

from __future__ import annotations

from collections.abc import Sequence

from fgbench.data.mini.world.language import Place
from fgbench.data.mini.world.phrases import Phrase
from fgbench.data.mini.world.vocabulary import (
    COLOURS,
    KINDS,
    PLACES,
    RELATIONS,
    SIZES,
    STUFF,
    TEXTURES,
    LanguageCode,
)

NUMBERS = ("零", "一", "两", "三", "四", "五")


class Chinese:
    """See :class:`fgbench.data.mini.world.language.Grammar`."""

    code: LanguageCode = "zh"

    def noun(self, phrase: Phrase, name: str | None = None) -> str:
        """For example "左边的大的红色条纹五角星"."""
        words = [
            f"{table[key].zh}的" for table, key in ((PLACES, phrase.place), (SIZES, phrase.size)) if key is not None
        ]
        words += [
            table[key].zh for table, key in ((COLOURS, phrase.colour), (TEXTURES, phrase.texture)) if key is not None
        ]
        return "".join((*words, name or (KINDS[phrase.kind].zh if phrase.kind else "东西")))

    def one(self, phrase: Phrase) -> str:
        """With number and measure word."""
        return f"一个{self.noun(phrase)}"

    def the(self, phrase: Phrase) -> str:
        """Chinese has no article."""
        return self.noun(phrase)

    def region(self, phrase: Phrase) -> str:
        """For example "一个大的红色条纹五角星。"."""
        return f"{self.one(phrase)}。"

    def join(self, sentences: Sequence[str]) -> str:
        """Without blanks."""
        return "".join(sentences)

    def where(self, place: Place) -> str:
        """For example "左上方"."""
        across, down = place
        if "middle" in place:
            return PLACES[across if down == "middle" else down].zh
        return PLACES[across].zh[0] + PLACES[down].zh

    def listing(self, phrases: Sequence[Phrase], upper: str, lower: str) -> str:
        """All on one ground."""
        return f"上面是{STUFF[upper].zh}，下面是{STUFF[lower].zh}，有{self._and(phrases)}。"

    def pictured(self, phrases: Sequence[Phrase]) -> str:
        """A picture of them."""
        return f"一张画着{self._and(phrases)}的图片。"

    def counted(self, number: int, phrases: Sequence[Phrase]) -> str:
        """There are so many."""
        return f"图中有{NUMBERS[number]}个东西，其中有{self._and(phrases)}。"

    def lies(self, phrase: Phrase, place: Place) -> str:
        """It is there."""
        return f"{self.where(place)}有{self.one(phrase)}。"

    def related(self, one: Phrase, relation: str, other: Phrase) -> str:
        """It is left of, …"""
        return f"{self.noun(one)}在{self.noun(other)}的{RELATIONS[relation].zh}。"

    def ground(self, upper: str, lower: str, number: int) -> str:
        """Ground and number."""
        return f"图片上面是{STUFF[upper].zh}，下面是{STUFF[lower].zh}，共有{NUMBERS[number]}个东西。"

    def _and(self, phrases: Sequence[Phrase]) -> str:
        parts = [self.one(phrase) for phrase in phrases]
        return parts[0] if len(parts) == 1 else f"{'、'.join(parts[:-1])}和{parts[-1]}"
