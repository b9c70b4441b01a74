"""The command line as it declares itself: which commands there are, and which options each has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import typer

from fgbench import cli


class Typed:
    """What was typed after ``fgbench``, to be looked at and changed.

    Attributes:
        name: of the command: ``data get``.
        words: everything.
    """

    def __init__(self, words: Sequence[str]) -> None:
        """
        Raises:
            LookupError: there is no such command or option.
        """
        self.words = list(words)
        found = _root()
        name: list[str] = []
        for word in self.words:
            if word.startswith("-") or not hasattr(found, "commands"):
                break
            if word not in found.commands:
                raise LookupError(f"fgbench {' '.join([*name, word])}: there is no such command")
            found = found.commands[word]
            name.append(word)
        self.name = " ".join(name)
        declared = [each for each in found.params if each.param_type_name == "option"]
        self._takes_value = {"--help": False} | {opt: not each.is_flag for each in declared for opt in each.opts}
        self._same = {opt: tuple(each.opts) for each in declared for opt in each.opts}
        for option in (word.partition("=")[0] for word in self.words if word.startswith("-")):
            if option not in self._takes_value:
                raise LookupError(f"fgbench {self.name} has no option {option}")

    def takes(self, option: str) -> bool:
        """Does the command have this option?"""
        return option in self._takes_value

    def get(self, option: str) -> str | None:
        """Value of an option; None if it was not typed."""
        return next((self.words[place] for place in self._places(option)), None)

    def set(self, option: str, value: str) -> None:
        """Replace the value of an option, or add it."""
        places = list(self._places(option))
        for place in places:
            self.words[place] = value
        if not places:
            self.words += [option, value]

    def arguments(self) -> list[int]:
        """Places of the words that are neither the command's name nor options nor their values."""
        places, skip = [], False
        for place, word in enumerate(self.words):
            if skip:
                skip = False
            elif word.startswith("-"):
                skip = self._takes_value[word]
            elif place >= len(self.name.split()):
                places.append(place)
        return places

    def _places(self, option: str) -> Iterator[int]:
        for place, word in enumerate(self.words[:-1]):
            if word in self._same.get(option, ()):
                yield place + 1


@cache
def _root() -> Any:
    return typer.main.get_command(cli.app)
