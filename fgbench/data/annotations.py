"""Reading annotation files: every complaint names the file, the line or field, and what was expected there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeVar, overload

from fgbench.errors import DataError

V = TypeVar("V")

_NAMES = {
    str: "a string",
    int: "an integer",
    float: "a number",
    list: "a list",
    dict: "an object",
}


def read_json(path: Path) -> Any:
    """Parse a JSON file (UTF-8).

    Raises:
        DataError: not JSON; the message has line and column.
    """
    return _parse(_text(path), str(path))


def read_json_array(path: Path, block: int = 1 << 20) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (where, object) for the elements of a JSON array, reading no further than the consumer asks for.

    For arrays of gigabytes of which only the beginning counts; ``where`` is ``file: row N``, counted from 0.

    Args:
        path: JSON file (UTF-8) with one array of objects.
        block: characters read at a time.

    Raises:
        DataError: not an array of objects.
    """
    decoder = json.JSONDecoder()
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = _filled(file, "", block)
            if not text.startswith("["):
                raise DataError(f"{path}: expected a JSON array, found {text[:20]!r}.")
            text, number = text[1:], 0
            while True:
                text = _filled(file, text, block)
                if text.startswith("]"):
                    return
                if number and text and not text.startswith(","):
                    raise DataError(f"{path}: row {number} is not valid JSON: expected ',' before {text[:20]!r}.")
                text = text.removeprefix(",").lstrip() if number else text
                try:
                    row, end = decoder.raw_decode(text)
                except json.JSONDecodeError as error:
                    more = file.read(max(block, len(text)))
                    if not more:
                        raise DataError(
                            f"{path}: row {number} is not valid JSON: {error.msg}. The file may be cut off."
                        ) from error
                    # The row was longer than what has been read so far.
                    text = ("," if number else "") + text + more
                    continue
                except (ValueError, RecursionError) as error:
                    raise _unreadable(error, f"{path}: row {number}") from error
                if not isinstance(row, dict):
                    raise DataError(f"{path}: row {number} should be an object, found {_kind(row)}.")
                yield f"{path}: row {number}", row
                text, number = text[end:], number + 1
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start}). Convert the file to UTF-8.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error


def _filled(file: TextIO, text: str, block: int) -> str:
    """At least ``block`` characters from the next one that is no white space, unless the file ends before."""
    text = text.lstrip()
    while len(text) < block and (more := file.read(block)):
        text = (text + more).lstrip()
    return text


def read_json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (where, object) for every non-empty line of a JSON-lines file; ``where`` is ``file:line``.

    Raises:
        DataError: a line is not a JSON object.
    """
    for where, line in read_lines(path):
        if not line.strip():
            continue
        row = _parse(line, where)
        if not isinstance(row, dict):
            raise DataError(f"{where}: expected one JSON object per line, found {_kind(row)}.")
        yield where, row


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    r"""Yield (where, line) for every line of a UTF-8 text file, without its line end.

    Only ``\n`` and ``\r\n`` end a line: captions may contain other Unicode separators.

    Raises:
        DataError: the file is not UTF-8.
    """
    for number, line in enumerate(_text(path).split("\n"), start=1):
        yield f"{path}:{number}", line.removesuffix("\r")


@overload
def field(row: Mapping[str, Any], name: str, kind: type[V], where: str) -> V: ...
@overload
def field(row: Mapping[str, Any], name: str, kind: type[V], where: str, default: V) -> V: ...
def field(row: Mapping[str, Any], name: str, kind: type[V], where: str, default: V | None = None) -> V:
    """Get one field of a row and check its type; integers count as numbers, booleans as neither.

    Raises:
        DataError: absent (and no default), or of another type.
    """
    value = row.get(name, default) if default is not None else row.get(name)
    if type(value) is kind and (
        kind is list
        or kind is dict
        or (isinstance(value, str) and value.isascii())
        or (isinstance(value, int) and -(2**63) <= value < 2**63)
    ):
        return value  # what nearly every field is, at once
    if name not in row and default is None:
        raise DataError(f"{where}: field {name!r} is missing; present are {', '.join(map(repr, row)) or 'none'}.")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise DataError(f"{where}: field {name!r} should be a number of at most 64 bits, found {value!r:.60}.")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise DataError(f"{where}: field {name!r} should be {_NAMES.get(kind, kind.__name__)}, found {_kind(value)}.")
    if isinstance(value, str):
        _check_text(value, name, where)
    return value


def column(rows: Sequence[Mapping[str, Any]], name: str, kind: type[V], where: Callable[[int], str]) -> Sequence[V]:
    """Get one field of many rows: :func:`field` for each, but a hundred thousand of them in no time.

    Args:
        rows: the rows.
        name, kind: as for :func:`field`.
        where: names a row by its number.

    Raises:
        DataError: see :func:`field`; names the first row that is wrong.
    """
    values: list[Any]
    try:
        values = [row[name] for row in rows]
    except KeyError:
        pass
    else:
        types = set(map(type, values))  # types are compared, not classes: bool is no int here
        if types <= {kind} and (kind is not int or _short(values)) and (kind is not str or _ascii(values)):
            return values
    return [field(row, name, kind, where(number)) for number, row in enumerate(rows)]


def strings(row: Mapping[str, Any], name: str, where: str) -> list[str]:
    """Get a field that is a list of strings.

    Raises:
        DataError: it is not.
    """
    values = field(row, name, list, where)
    if set(map(type, values)) <= {str} and _ascii(values):
        return values
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise DataError(f"{where}: field {name!r}[{index}] should be a string, found {_kind(value)}.")
        _check_text(value, f"{name}[{index}]", where)
    return values


def box(row: Mapping[str, Any], where: str, name: str = "bbox") -> tuple[float, float, float, float]:
    """Get a box [x, y, width, height] in pixels. Its values are not judged here (see ``degenerate``).

    Raises:
        DataError: not four numbers.
    """
    values = field(row, name, list, where)
    try:
        if len(values) != 4 or not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
            raise ValueError
        x, y, width, height = map(float, values)
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{where}: field {name!r} should be [x, y, width, height] in pixels, found {values!r:.80}."
        ) from error
    return x, y, width, height


def _short(values: list[int]) -> bool:
    return not values or (min(values) >= -(2**63) and max(values) < 2**63)


def _ascii(values: list[str]) -> bool:
    return all(map(str.isascii, values))


_SURROGATE = re.compile("[\ud800-\udfff]")


def _check_text(value: str, name: str, where: str) -> None:
    """JSON can hold halves of surrogate pairs, which no tokeniser accepts."""
    if not value.isascii() and _SURROGATE.search(value):
        raise DataError(
            f"{where}: field {name!r} has a lone surrogate, i.e. it is no valid Unicode text: {value!r:.60}."
        )


def _text(path: Path) -> str:
    try:
        # Not read_text: it would turn a lone carriage return into the end of a line.
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start}). Convert the file to UTF-8.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}" if "\n" in text else f"column {error.colno}"
        at_end = error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated string")
        cut = " The file seems to be cut off; download it again." if at_end else ""
        raise DataError(f"{where}: not valid JSON at {place}: {error.msg}.{cut}") from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(error, where) from error


def _unreadable(error: Exception, where: str) -> DataError:
    """What the parser refuses although it follows JSON's grammar: towers of brackets, numbers of 5,000 digits."""
    if isinstance(error, RecursionError):
        return DataError(f"{where}: JSON nested too deeply to be an annotation file.")
    return DataError(f"{where}: not valid JSON: {error}.")


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"{_NAMES.get(type(value), type(value).__name__)} ({value!r:.60})"
