"""Measured tables replace older ones, and nothing else of the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.doc_tables import PAGE, put, table


def test_only_the_table_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- end of a -->\nbetween\n<!-- b -->\n<!-- end of b -->\nafter\n")
    put("a", "new\n", page)
    put("b", "other", page)
    put("b", "newest", page)
    assert page.read_text() == (
        "before\n<!-- a -->\n\nnew\n\n<!-- end of a -->\nbetween\n<!-- b -->\n\nnewest\n\n<!-- end of b -->\nafter\n"
    )


@pytest.mark.parametrize("text", ["", "<!-- end of a --> <!-- a -->\n", "<!-- a -->\n"])
def test_a_page_without_the_place_is_refused(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match=r"page\.md"):
        put("a", "new", page)
    assert page.read_text() == text


def test_the_page_has_the_places() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in ("harmless changes", "breakages", "chance"):
        assert text.count(f"<!-- {name} -->") == text.count(f"<!-- end of {name} -->") == 1


def test_a_table() -> None:
    assert table(("x", "n"), [("a", "1")], right=(1,)) == "| x | n |\n| --- | ---: |\n| a | 1 |"
