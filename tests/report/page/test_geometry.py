from __future__ import annotations

import math
import re

from hypothesis import given
from hypothesis import strategies as st

from fgbench.report.page.geometry import CENTRE, RADIUS, SIZE, axes, lines, outline, point, top


@given(st.floats(0, 100), st.integers(3, 12), st.data())
def test_a_value_lies_as_far_from_the_centre_as_it_is_high(percent: float, count: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, count - 1))
    x, y = point(percent, index, count)
    assert math.isclose(math.hypot(x - CENTRE[0], y - CENTRE[1]), RADIUS * percent / 100, abs_tol=0.1)


def test_the_first_axis_points_upwards_and_the_next_is_clockwise() -> None:
    first, second = point(100, 0, 8), point(100, 1, 8)
    assert first == (CENTRE[0], CENTRE[1] - RADIUS)
    assert second.x > first.x
    assert second.y > first.y


def test_labels_of_eight_tasks_stay_inside() -> None:
    for axis in axes(8):
        assert 0 < top(axis, "Two lines of a long title") < SIZE[1]
        assert (axis.anchor == "start") == (axis.label.x > CENTRE[0] + 30)


def test_long_labels_take_lines_and_empty_ones_one() -> None:
    assert lines("Large multimodal models") == ["Large multimodal", "models"]
    assert lines("") == [""]


def test_a_gap_opens_the_outline() -> None:
    assert outline([10, 20, 30]).endswith("Z")
    pieces = re.findall(r"M[^M]*", outline([10, None, 30, 40]))
    assert len(pieces) == 2  # 30 to 40, and 40 to 10
    assert outline([None, 5, None]) == ""
