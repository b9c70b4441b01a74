"""The guide to the report: its commands are run in order, and both languages say the same."""

from __future__ import annotations

import re

import pytest

from .test_guides import DOCS, Reader, blocks


@pytest.mark.slow
def test_its_commands_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    reader = Reader(tmp_path_factory.mktemp("reader"))
    reader.follow("report")
    assert (reader.folder / "results/report.html").is_file()
    assert (reader.folder / "figures/miniature-bars.en.svg").is_file()


def test_both_languages_have_the_same_commands_and_structure() -> None:
    assert blocks("report") == blocks("report.zh")
    english, chinese = ((DOCS / f"report{name}.md").read_text(encoding="utf-8") for name in ("", ".zh"))
    for pattern in (r"^## ", r"^\* ", r"^\| ", r"^!\[", r"`fgbench[^`]*`"):
        found = [re.findall(pattern, text, re.MULTILINE) for text in (english, chinese)]
        assert sorted(found[0]) == sorted(found[1]), pattern


@pytest.mark.parametrize("language", ["", ".zh"])
def test_links_and_pictures_are_there_and_pictures_are_small(language: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (DOCS / f"report{language}.md").read_text(encoding="utf-8")):
        assert (DOCS / target).is_file(), target
        assert (DOCS / target).stat().st_size < 200_000
