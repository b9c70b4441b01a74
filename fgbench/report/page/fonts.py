"""Fonts of the figures: whatever is drawn has a glyph, or is written as its code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from fgbench.report.page.text import visible

LATIN = "DejaVu Sans"
"""Comes with matplotlib."""

CHINESE = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "Source Han Sans",
    "Noto Sans CJK JP",
    "PingFang SC", "Hiragino Sans GB", "Heiti SC", "STHeiti", "Microsoft YaHei", "SimHei", "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei", "Droid Sans Fallback", "AR PL UMing CN", "Arial Unicode MS",
)  # fmt: skip
"""Families with simplified Chinese, the first installed one is taken."""


class Fonts(NamedTuple):
    """Fonts that were found.

    Attributes:
        families: for matplotlib, tried glyph by glyph in this order.
        glyphs: code points that at least one of them has.
        chinese: the family with Chinese characters, or None.
    """

    families: list[str]
    glyphs: frozenset[int]
    chinese: str | None

    def drawable(self, text: str) -> str:
        """The text with every character that no font has as ``<U+4E2D>``."""
        return "".join(each if ord(each) in self.glyphs else f"<U+{ord(each):04X}>" for each in visible(text))


def find(chinese: Sequence[str] = CHINESE) -> Fonts:
    """Look for the fonts.

    Args:
        chinese: families to look for.
    """
    installed = {entry.name: entry for entry in font_manager.fontManager.ttflist}
    family = next((name for name in chinese if name in installed), None)
    families = [LATIN, *([family] if family else [])]
    glyphs: set[int] = set()
    for name in families:
        glyphs |= set(FT2Font(installed[name].fname).get_charmap())
    return Fonts(families, frozenset(glyphs), family)
