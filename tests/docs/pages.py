"""What stands in the pages: code blocks with the comments before them, prose, commands.

A page is a Markdown file of the repository's root or of ``docs``; ``X.zh.md`` is the Chinese ``X.md``. Its blocks:

* ``bash``: commands, run in the order of the page (``test_commands.py``, or the module of a guide);
* ``python`` and ``toml`` after ``<!-- file: … -->``: a file; ``toml`` after ``<!-- part of: … -->``: a section of one;
  other ``python`` is run;
* ``text`` after ``<!-- output -->``: what the commands before it print; all other blocks are there to be looked at.

``<!-- needs weights -->``, ``<!-- needs data -->`` and ``<!-- needs network -->`` mark what a reader needs and a test
has not: it takes a small model, the miniature suite, a server on this computer instead. ``<!-- exit: N -->``: the exit
code of the commands, if it is not 0. ``<!-- run by: FILE -->``: that file runs them.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..packaging.tools import REPOSITORY

DOCS = REPOSITORY / "docs"
MARKS = {"file", "part of", "output", "needs weights", "needs data", "needs network", "exit", "run by"}

_BLOCK = re.compile(r"((?:^<!-- [^\n]* -->\n)*)^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (.*?)(?:: (.*?))? -->")
_LEFT_OUT = re.compile(r"^<!--\n.*?^-->$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """One command of a block.

    Attributes:
        words: program and arguments.
        variables: environment variables set in front of it.
    """

    words: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return shlex.join((*(f"{name}={value}" for name, value in self.variables), *self.words))


@dataclass(frozen=True)
class Block:
    """A code block: language, content, and what the comments before it say."""

    language: str
    content: str
    marks: tuple[tuple[str, str], ...] = ()

    def mark(self, name: str) -> str | None:
        """What a comment says; None if there is none."""
        return dict(self.marks).get(name)

    @property
    def is_run(self) -> bool:
        """Is it something to do, as opposed to something to look at?"""
        return self.language in {"bash", "python"} or self.mark("file") is not None or self.mark("part of") is not None

    @property
    def meaning(self) -> object:
        """What has to be equal in every language: not the comments of commands, and not diagrams (no language)."""
        content = self.commands if self.language == "bash" else self.content if self.language else None
        return self.language, content, self.marks

    @cached_property
    def commands(self) -> list[Command]:
        """The commands of a ``bash`` block: a line each, or joined by ``&&``; ``#`` begins a comment."""
        found: list[Command] = []
        if self.language != "bash":
            return found
        for line in self.content.replace("\\\n", " ").splitlines():
            for part in line.split(" && "):
                words = shlex.split(part, comments=True)
                count = next((n for n, word in enumerate(words) if not re.match(r"[A-Z_]+=", word)), len(words))
                variables = tuple((name, value) for name, _, value in (word.partition("=") for word in words[:count]))
                if words:
                    found.append(Command(tuple(words[count:]), variables))
        return found


@dataclass(frozen=True)
class Page:
    """A Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        """Its path in the repository."""
        return self.path.relative_to(REPOSITORY).as_posix()

    @cached_property
    def text(self) -> str:
        """Its content, without what is commented out."""
        return _LEFT_OUT.sub("", self.path.read_text(encoding="utf-8"))

    @cached_property
    def blocks(self) -> list[Block]:
        found = [Block(each[2], each[3], tuple(_MARK.findall(each[1]))) for each in _BLOCK.finditer(self.text)]
        assert len(found) * 2 == len(re.findall(r"^\s*```", self.text, re.MULTILINE)), f"{self.name}: an open block"
        return found

    @property
    def prose(self) -> str:
        """Everything but the blocks; each leaves three backticks."""
        return _BLOCK.sub("```", self.text)

    @property
    def chinese(self) -> Page | None:
        """The same in Chinese; None if there is none."""
        path = self.path.with_name(f"{self.path.stem}.zh.md")
        return Page(path) if path.is_file() else None

    @property
    def code(self) -> list[str]:
        """What stands between single backticks, in order."""
        return code_in(self.prose)

    @property
    def tables(self) -> list[list[list[str]]]:
        """Cells of every table: by table, row and column; without the line below the head."""
        found: list[list[list[str]]] = []
        inside = False
        for line in self.prose.splitlines():
            if not line.startswith("|"):
                inside = False
                continue
            if not inside:
                found.append([])
            inside = True
            if not re.fullmatch(r"[|: -]+", line):
                found[-1].append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        return found


def code_in(prose: str) -> list[str]:
    """What stands between single backticks, in order; line breaks count as blanks."""
    return [" ".join(each.split()) for each in re.findall(r"`([^`]+)`", prose.replace("```", ""))]


def page(name: str) -> Page:
    """A page of ``docs``, by its name without the suffix."""
    return Page(DOCS / f"{name}.md")


def pages() -> list[Page]:
    """Every page in English (and those that have no English one: a test says so)."""
    files = sorted([*REPOSITORY.glob("*.md"), *DOCS.glob("*.md")])
    return [Page(path) for path in files if not path.name.endswith(".zh.md")]


def every_page() -> list[Page]:
    """The pages in both languages."""
    return [each for english in pages() for each in (english, english.chinese) if each]


def translated() -> list[Page]:
    """The pages that are there in Chinese, too."""
    return [each for each in pages() if each.chinese]
