"""Chinese pages have every identifier and number of the English ones: section by section, and row by row of a table."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal

import pytest

from .pages import DOCS, Page, code_in, translated

NUMBER = re.compile(r"(\d+(?:,\d{3})*(?:\.\d+)?) ?(million|万|亿)?")
FACTOR = {"": 1, "million": 10**6, "万": 10**4, "亿": 10**8}


def numbers(text: str) -> Counter[Decimal]:
    """Numbers in digits. A month has a name in English, and large numbers have other units in Chinese."""
    found = NUMBER.findall(re.sub(r"July\s", "7 ", text))
    return Counter(Decimal(digits.replace(",", "")) * FACTOR[unit] for digits, unit in found)


def code(text: str) -> Counter[str]:
    return Counter(code_in(text))


def sections(page: Page) -> list[str]:
    """What stands below each heading, without tables and targets of links."""
    prose = re.sub(r"^\|.*\n", "", page.prose, flags=re.MULTILINE)
    return re.split(r"^#+ .*$", re.sub(r"\]\([^)]*\)", "]", prose), flags=re.MULTILINE)


@pytest.mark.parametrize(
    "page", [each for each in translated() if each.path.parent == DOCS], ids=lambda page: page.name
)
class TestTranslation:
    def test_rows_of_tables_have_the_same_identifiers_and_numbers(self, page: Page) -> None:
        assert page.chinese
        for one, other in zip(page.tables, page.chinese.tables, strict=True):
            for english, chinese in zip(one, other, strict=True):
                assert len(english) == len(chinese), english
                assert code(" ".join(english)) == code(" ".join(chinese)), chinese
                assert numbers(" ".join(english)) == numbers(" ".join(chinese)), chinese

    def test_sections_have_the_same_identifiers_and_numbers(self, page: Page) -> None:
        assert page.chinese
        for english, chinese in zip(sections(page), sections(page.chinese), strict=True):
            assert code(english) == code(chinese), chinese
            assert numbers(english) == numbers(chinese), chinese

    def test_what_is_meant_to_be_bold_is(self, page: Page) -> None:
        """Markdown does not end it between a punctuation mark and a letter, which is what Chinese text has there."""
        assert page.chinese
        for line in page.chinese.prose.splitlines():
            parts = line.split("**")
            for bold, after in zip(parts[1::2], parts[2::2], strict=False):
                assert re.search(r"\w$", bold) or not re.match(r"\w", after), line
