"""Every command of every page is run in the order in which a reader would; two long guides have modules of their own.

Commands that stand in the prose are not run, but have to exist with their options.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from ..packaging.tools import REPOSITORY
from .command_line import Typed
from .pages import Command, Page, every_page, pages
from .reader import Reader

GUIDES = {"docs/add-a-dataset.md": "test_add_a_dataset.py", "docs/add-a-model.md": "test_add_a_model.py"}
"""Pages that are followed by a module of their own."""


def with_commands() -> list[Page]:
    return [each for each in pages() if each.name not in GUIDES and any(block.is_run for block in each.blocks)]


@pytest.mark.parametrize("page", with_commands(), ids=lambda page: page.name)
def test_everything_in_it_runs(page: Page, new_reader: Callable[[str], Reader]) -> None:
    reader = new_reader(page.path.stem)
    reader.follow(page)
    for block in page.blocks:
        if block.language == "bash" and block.mark("run by") is None:
            assert all(str(each) in reader.output for each in block.commands)


def test_the_guides_are_followed_elsewhere() -> None:
    for name, module in GUIDES.items():
        text = (REPOSITORY / "tests/docs" / module).read_text(encoding="utf-8")
        assert f'"{name.removeprefix("docs/").removesuffix(".md")}"' in text
        assert ".follow(" in text


def delegated() -> list[Any]:
    """Commands that a page leaves to another file to run."""
    found = [(each, block.mark("run by"), block) for each in pages() for block in each.blocks]
    return [
        pytest.param(command, place, id=f"{each.name}: {command}")
        for each, place, block in found
        if place is not None
        for command in block.commands
    ]


@pytest.mark.parametrize(("command", "place"), delegated())
def test_another_file_runs_it(command: Command, place: str) -> None:
    """All of its words stand on one line there, in this order."""
    if not (REPOSITORY / place).parent.is_dir():
        pytest.skip(f"{place} belongs to the repository and is not in the source distribution")
    lines = [re.findall(r"[^\s'\"]+", line) for line in (REPOSITORY / place).read_text(encoding="utf-8").splitlines()]
    assert any(_contains([word.rpartition("/")[2] for word in line], command) for line in lines), place


def _contains(line: list[str], command: Command) -> bool:
    rest = iter(line)
    return all(word in rest for word in command.words)


@pytest.mark.parametrize("page", every_page(), ids=lambda page: page.name)
def test_commands_in_the_prose_exist(page: Page) -> None:
    for code in page.code:
        if code.startswith("fgbench "):
            words = [re.sub(r"[…<>]", "", word) or "x" for word in shlex.split(code)]
            Typed(words[1:])
