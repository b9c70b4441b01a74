from __future__ import annotations

import re

import pytest

from fgbench.report.page import levels
from fgbench.report.page.render import _asset

AA = 4.5
GRAPHICS = 3.0


def test_numbers_map_to_all_steps() -> None:
    assert [levels.level(percent) for percent in (0, 4.9, 5.1, 50, 100)] == [0, 0, 1, 5, 10]


def test_known_contrasts() -> None:
    assert levels.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert levels.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_every_step_is_legible_in_both_modes() -> None:
    for light, dark, ink_light, ink_dark in re.findall(
        r"light-dark\((#\w+), (#\w+)\); color: light-dark\((#\w+), (#\w+)\)", levels.style()
    ):
        assert levels.contrast(light, ink_light) >= AA
        assert levels.contrast(dark, ink_dark) >= AA


def test_colours_of_the_style_sheet_are_legible_in_both_modes() -> None:
    colours = {
        name: pair for name, *pair in re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", _asset("page.css"))
    }
    for mode in (0, 1):
        for text, ground in [(text, ground) for text in ("ink", "quiet", "link") for ground in ("paper", "raised")]:
            assert levels.contrast(colours[text][mode], colours[ground][mode]) >= AA, (text, ground, mode)
        assert levels.contrast(colours["ink"][mode], colours["warn"][mode]) >= AA
        for number in range(8):
            assert levels.contrast(colours[f"s{number}"][mode], colours["paper"][mode]) >= GRAPHICS, (number, mode)
