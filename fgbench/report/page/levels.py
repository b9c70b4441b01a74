"""Colours of the heat map: eleven steps of one hue, light to dark on paper and dark to light on a dark page."""

from __future__ import annotations

STEPS = 11

LIGHT = ((241, 245, 250), (12, 63, 120))
DARK = ((31, 37, 46), (150, 200, 255))
"""Ends of the scale, sRGB."""

_INKS = ("#000000", "#ffffff")
"""Only with pure black and white is one of them legible on every ground (contrast of 4.5 or more)."""


def level(percent: float) -> int:
    """Step of a number from 0 to 100."""
    return round(percent / 100 * (STEPS - 1))


def ground(step: int, ends: tuple[tuple[int, int, int], tuple[int, int, int]]) -> str:
    """Colour of a step, ``#rrggbb``."""
    share = step / (STEPS - 1)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(*ends, strict=True))


def ink(background: str) -> str:
    """The better legible of two text colours."""
    return max(_INKS, key=lambda each: contrast(each, background))


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast ratio" and "relative luminance")."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def style() -> str:
    """The rules of the style sheet."""
    rules = []
    for step in range(STEPS):
        light, dark = ground(step, LIGHT), ground(step, DARK)
        rules.append(
            f".h{step} {{ background: light-dark({light}, {dark}); color: light-dark({ink(light)}, {ink(dark)}); }}"
        )
    return "\n".join(rules)


def _luminance(colour: str) -> float:
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
