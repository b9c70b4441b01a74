"""The pictures of the pages."""

from __future__ import annotations

import re

import pytest

from .pages import Page, every_page


@pytest.mark.parametrize("page", every_page(), ids=lambda page: page.name)
def test_pictures_are_there_and_small(page: Page) -> None:
    for target in re.findall(r"!\[[^\]]*\]\(([^)#]+)\)", page.path.read_text(encoding="utf-8")):
        assert (page.path.parent / target).stat().st_size < 200_000, target
