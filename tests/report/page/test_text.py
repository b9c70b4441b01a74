from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fgbench.report.page.text import shorten, visible


def test_what_hides_or_turns_text_is_written_out() -> None:
    assert visible("\u202egnp.exe") == "⟨U+202E⟩gnp.exe"
    assert visible("a\x00\x1b[31m\ud800") == "a⟨U+0000⟩⟨U+001B⟩[31m⟨U+D800⟩"
    assert visible("two\nlines\tand") == "two lines and"


def test_scripts_and_emoji_stay() -> None:
    for text in ("模型", "שלום", "👩‍👩‍👧", "Ünï", "<script>"):
        assert visible(text) == text


@given(st.text())
def test_the_result_can_be_written_and_is_a_fixed_point(text: str) -> None:
    once = visible(text)
    once.encode()
    assert visible(once) == once


def test_only_too_long_texts_are_cut() -> None:
    assert shorten("x" * 5, 5) == "x" * 5
    assert shorten("x" * 6, 5) == "xxxx…"
