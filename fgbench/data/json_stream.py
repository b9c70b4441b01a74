"""Reading a JSON object of huge arrays without holding it: ``{"images": [...], "annotations": [...], …}``."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, TextIO

from fgbench.errors import DataError

_SPACE = re.compile(r"[ \t\n\r]*")
_MARGIN = 64
"""Characters kept ahead, so that no number is taken for complete at the end of what has been read so far."""


def read_json_arrays(
    path: Path, names: Collection[str], block: int = 1 << 20
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (name, where, object) for each element of the named arrays, in file order; the rest is passed over.

    Args:
        path: JSON file (UTF-8) with one object.
        names: members to read; each has to be there, as an array of objects.
        block: characters read at a time.

    Raises:
        DataError: it is not such a file; the message says where it stops to be one.
    """
    found: set[str] = set()
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = _Text(file, str(path), block)
            text.take("{")
            while text.next() != "}":
                if found:
                    text.take(",")
                name = text.value(f"{path}: name of a member")
                if not isinstance(name, str):
                    raise DataError(f"{path}: not valid JSON: expected the name of a member, found {name!r:.40}.")
                text.take(":")
                if name in names:
                    for number, row in enumerate(_elements(text, f"{path}: {name}")):
                        where = f"{path}: {name}[{number}]"
                        if not isinstance(row, dict):
                            raise DataError(f"{where} should be an object, found {row!r:.60}.")
                        yield name, where, row
                elif text.next() == "[":
                    for _ in _elements(text, f"{path}: {name!r:.40}"):
                        pass
                else:
                    text.value(f"{path}: {name!r:.40}")
                found.add(name)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start}). Convert the file to UTF-8.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    lacking = [name for name in names if name not in found]
    if lacking:
        raise DataError(f"{path}: no array {', '.join(map(repr, lacking))}; present are {', '.join(sorted(found))}.")


def _elements(text: _Text, where: str) -> Iterator[Any]:
    text.take("[")
    number = 0
    while text.next() != "]":
        if number:
            text.take(",")
        yield text.value(f"{where}[{number}]")
        number += 1
    text.take("]")


class _Text:
    """A file of JSON text and the place in it."""

    def __init__(self, file: TextIO, name: str, block: int) -> None:
        self._file = file
        self._name = name
        self._block = block
        self._text = ""
        self._at = 0
        self._decode = json.JSONDecoder().raw_decode

    def next(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if len(self._text) - self._at >= _MARGIN or not self._more(self._block):
                return self._text[self._at : self._at + 1]

    def take(self, character: str) -> None:
        """Step over a character, which has to be this one."""
        found = self.next()
        if found != character:
            shown = repr(self._text[self._at : self._at + 20]) if found else "the end of the file (is it cut off?)"
            raise DataError(
                f"{self._name}: not valid JSON, or of another structure: expected {character!r}, found {shown}."
            )
        self._at += 1

    def value(self, where: str) -> Any:
        """Step over a value and return it."""
        self.next()
        while True:
            try:
                value, self._at = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                # The value may be longer than what has been read so far.
                if not self._more(max(self._block, len(self._text) - self._at)):
                    raise DataError(f"{where}: not valid JSON: {error.msg}. The file may be cut off.") from error
            except (ValueError, RecursionError) as error:
                raise DataError(f"{where}: JSON that no annotation file has ({type(error).__name__}).") from error
            else:
                return value

    def _more(self, count: int) -> bool:
        added = self._file.read(count)
        self._text, self._at = self._text[self._at :] + added, 0
        return bool(added)
