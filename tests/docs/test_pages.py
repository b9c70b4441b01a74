"""Rules that every page keeps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ..packaging.tools import REPOSITORY, command, need
from .pages import DOCS, MARKS, Page, every_page, page, pages, translated

COMMAND = re.compile(r"^\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(?:fgbench|pip|python|pytest|bash|hf|export) ")


def test_no_page_is_in_chinese_only() -> None:
    for path in (*REPOSITORY.glob("*.zh.md"), *DOCS.glob("*.zh.md")):
        assert path.with_name(path.name.replace(".zh.md", ".md")).is_file(), path.name


def test_the_index_names_every_page() -> None:
    """In Chinese the Chinese one, if there is one."""
    index = page("README")
    for each in pages():
        if each.path.parent == DOCS and each.path != index.path:
            assert f"]({each.path.name})" in index.text, each.name
            assert index.chinese
            assert f"]({(each.chinese or each).path.name})" in index.chinese.text, each.name


@pytest.mark.parametrize("page", every_page(), ids=lambda page: page.name)
class TestEveryPage:
    def test_what_is_run_says_so(self, page: Page) -> None:
        """A command in a block of another language would not be run, and nobody would notice."""
        for block in page.blocks:
            assert block.language in {"bash", "python", "toml", "text", ""}, block
            assert {name for name, _ in block.marks} <= MARKS, block.marks
            if block.language in {"text", ""}:
                assert not [line for line in block.content.splitlines() if COMMAND.match(line)], block
            if block.language == "toml":
                assert block.mark("file") or block.mark("part of"), block

    def test_links_lead_somewhere(self, page: Page) -> None:
        for target in re.findall(r"\]\(([^)]+)\)", page.prose):
            if target.startswith("https://"):
                continue
            name, _, anchor = target.partition("#")
            path = page.path.parent / name if name else page.path
            assert path.exists(), target
            if anchor:
                assert anchor in _anchors(path), target

    def test_lines_of_a_table_have_equal_numbers_of_cells(self, page: Page) -> None:
        for table in page.tables:
            assert len({len(row) for row in table}) == 1, table[0]

    def test_it_names_no_folder_of_a_computer(self, page: Page) -> None:
        assert not re.search(r"(?<![\w.])/(?:tmp|home|root|work|Users)/", page.path.read_text(encoding="utf-8"))


def _anchors(path: Path) -> set[str]:
    """Names under which the headings of a page can be linked."""
    titles = re.findall(r"^#+ (.*)$", Page(path).prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", translated(), ids=lambda page: page.name)
class TestBothLanguages:
    def test_the_blocks_are_the_same(self, page: Page) -> None:
        assert page.chinese
        assert [each.meaning for each in page.blocks] == [each.meaning for each in page.chinese.blocks]

    def test_the_structure_is_the_same(self, page: Page) -> None:
        def shape(text: str) -> list[str]:
            return re.findall(r"^(#+|\||```|\* |\d\. )", text, re.MULTILINE)

        assert page.chinese
        assert shape(page.prose) == shape(page.chinese.prose)

    def test_it_links_to_the_english_page(self, page: Page) -> None:
        assert page.chinese
        assert re.search(rf"^\[English\]\({re.escape(page.path.name)}\)$", page.chinese.prose, re.MULTILINE)


@pytest.mark.parametrize(
    "page", [each for each in pages() if any(b.language == "python" for b in each.blocks)], ids=lambda page: page.name
)
def test_code_is_clean(page: Page, tmp_path: Path) -> None:
    need("ruff", 0)
    for number, block in enumerate(page.blocks):
        if block.language == "python":
            (tmp_path / f"block_{number}.py").write_text(block.content, encoding="utf-8")
    rules = ("--isolated", "--no-cache", "--line-length", "120", "--select", "E,F,W,B,UP,N,C4,SIM")
    done = command("-m", "ruff", "check", *rules, tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    done = command("-m", "ruff", "format", "--isolated", "--diff", "--line-length", "120", tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
