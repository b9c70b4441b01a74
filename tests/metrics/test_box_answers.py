from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.metrics.box_answers import Target, ious, llava, lmms_eval, vlmevalkit

SQUARE = Target((0, 0, 200, 100), 400, 400)
WIDE = Target((64, 0, 192, 96), 640, 480)
PROTOCOLS = {"llava": llava, "lmms-eval": lmms_eval, "vlmevalkit": vlmevalkit}


def overlap(one: list[float], other: list[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def brute_force(text: str, target: Target, protocol: str) -> float | None:
    """One answer at a time, with patterns as simple as the specification's words. None: no usable box."""
    width, height = target.width, target.height
    number, comma, blanks = {
        "llava": ("[^\n]*?", ",", ""),
        "lmms-eval": (r"-?\d+(?:\.\d+)?", r",\s*", r"\s*"),
        "vlmevalkit": (r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?", r"(?:\s*,\s*|\s+)", r"\s*"),
    }[protocol]
    found = re.search(rf"\[+{blanks}({number}){comma}({number}){comma}({number}){comma}({number}){blanks}\]", text)
    fields = list(found.groups()) if found else re.findall(number, text)[:4] if protocol == "vlmevalkit" else []
    try:
        box = [float(field) for field in fields]
    except ValueError:
        return None
    if len(box) != 4 or not all(map(math.isfinite, box)):
        return None
    if protocol == "llava":
        if sum(box) >= 4:
            box = [value / 1000 for value in box]
        box = [value * max(width, height) for value in box]
        if width > height:
            box = [box[0], box[1] - (width - height) // 2, box[2], box[3] - (width - height) // 2]
        if height > width:
            box = [box[0] - (height - width) // 2, box[1], box[2] - (height - width) // 2, box[3]]
    elif protocol == "lmms-eval":
        box = [box[0] * width, box[1] * height, box[2] * width, box[3] * height]
    else:
        largest = max(map(abs, box))
        unit = 1 if largest <= 1.5 else 1000 if largest <= 1000 else None
        if unit is not None:
            box = [value / unit * size for value, size in zip(box, (width, height) * 2, strict=True)]
        xs, ys = (
            sorted(min(max(value, 0), size) for value in box[axis::2]) for axis, size in enumerate((width, height))
        )
        box = [xs[0], ys[0], xs[1], ys[1]]
    return overlap(box, list(target.box)) if box[2] >= box[0] and box[3] >= box[1] else None


values = st.sampled_from(
    ["0", "0.1", ".25", "0.50", "1", "-0.2", "1e-1", "500", "1200", "nan", "inf", "-inf", "10%", "x", "", "٣"]
)
between = st.sampled_from([", ", ",", " , ", " ", ",,", "\n", "\t,"])
brackets = st.sampled_from(["[", "[[", "[ ", "", "(", "] ["])
boxes = st.builds(
    lambda opened, fields, separator, closed: opened + separator.join(fields) + closed,
    brackets, st.lists(values, min_size=3, max_size=5), between, st.sampled_from(["]", "]]", " ]", "", ")"]),
)  # fmt: skip
texts = st.one_of(
    boxes,
    st.lists(st.one_of(boxes, st.sampled_from([" ", "\n", "[", "]", "the box is ", ","])), max_size=4).map("".join),
    st.text("[],.0159-e \n", max_size=24),
)
corners = st.lists(st.integers(0, 100), min_size=2, max_size=2, unique=True).map(sorted)
targets = st.builds(
    lambda xs, ys, width, height: Target((xs[0], ys[0], xs[1], ys[1]), width, height),
    corners, corners, st.integers(1, 300), st.integers(1, 300),
)  # fmt: skip


@given(st.lists(st.tuples(texts, targets), max_size=4), st.sampled_from(sorted(PROTOCOLS)))
def test_the_overlap_agrees_with_one_box_at_a_time(drawn: list[tuple[str, Target]], protocol: str) -> None:
    predictions, references = [text for text, _ in drawn], [target for _, target in drawn]
    found = ious(predictions, references, protocol)
    expected = [brute_force(text, target, protocol) for text, target in drawn]
    np.testing.assert_allclose(found, [np.nan if value is None else value for value in expected], rtol=1e-9, atol=1e-9)
    scored = PROTOCOLS[protocol](predictions, references)
    assert scored.unparsed.tolist() == [value is None for value in expected]
    assert scored.score.tolist() == (found >= 0.5).astype(float).tolist()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "[0.00, 0.00, 0.50]", "[nan, 0, 0.5, 0.25]", "[0, 0, inf, inf]", "[0%, 0%, 50%, 25%]", "[a, b, c, d]",
     "[0.50, 0.25, 0.00, 0.00]", "[0, 0, 0.5,\n0.25]", "0.00, 0.00, 0.50, 0.25", "［0, 0, 0.5, 0.25］",
     "[0，0，0.5，0.25]", "[1e308, 1e308, 1e308, 1e309]", "[0, 0, 1_, 1]", "\ud800", "[[[[", "[,,,]"],
)  # fmt: skip
def test_a_malformed_box_is_wrong_and_counted(text: str) -> None:
    found = llava([text], [SQUARE])
    assert (found.score.tolist(), found.unparsed.tolist()) == ([0], [True])


def test_numbers_beyond_all_bounds_are_wrong_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    text = "[-1e308, -1e308, 1e308, 1e308]"
    for protocol in ("llava", "vlmevalkit"):
        assert PROTOCOLS[protocol]([text], [SQUARE]).score.tolist() == [0]
    assert not recwarn.list


def test_half_is_enough_and_no_area_is_nothing() -> None:
    texts = ["[0.00, 0.00, 0.25, 0.25]", "[0.00, 0.00, 0.24, 0.25]", "[0.2, 0.2, 0.2, 0.2]"]
    found = llava(texts, [SQUARE] * 3)
    assert (found.score.tolist(), found.unparsed.tolist()) == ([1, 0, 0], [False] * 3)


def test_four_numbers_that_sum_to_four_are_thousandths() -> None:
    corner = Target((200, 200, 400, 400), 400, 400)
    below, exactly = ious(["[0.5, 0.5, 1.5, 1.25]", "[0.5, 0.5, 1.5, 1.5]"], [corner] * 2)
    assert below == pytest.approx((200 * 200) / (400 * 300))
    assert exactly == 0


def test_the_padding_of_an_odd_difference_is_rounded_down() -> None:
    """A picture of 400 x 397 is padded by one line above and two below."""
    line = Target((0, 0, 400, 1), 400, 397)
    assert ious(["[0, 0.0025, 1, 0.005]"], [line]).tolist() == pytest.approx([1])


def test_vlmevalkit_takes_numbers_beyond_a_thousand_for_pixels() -> None:
    large = Target((0, 0, 1001, 1000), 2000, 2000)
    assert ious(["[0, 0, 1001, 1000]", "[0, 0, 1000, 1000]"], [large] * 2, "vlmevalkit").tolist() == pytest.approx(
        [1, 1001 * 1000 / 2000**2]
    )


def test_the_frames_of_a_wide_picture() -> None:
    padded, unpadded = "[0.10, 0.125, 0.30, 0.275]", "[0.10, 0.00, 0.30, 0.20]"
    assert ious([padded, unpadded], [WIDE] * 2).tolist() == pytest.approx([1, 3 / 11])
    for protocol in ("lmms-eval", "vlmevalkit"):
        assert ious([unpadded], [WIDE], protocol).tolist() == pytest.approx([1])


@pytest.mark.parametrize(
    "target",
    [
        Target((0, 0, 0, 10), 9, 9),
        Target((5, 5, 1, 9), 9, 9),
        Target((0, 0, math.nan, 1), 9, 9),
        Target((0, 0, 1, 1), 0, 9),
    ],
)
def test_a_target_without_area_is_refused(target: Target) -> None:
    with pytest.raises(ValueError, match="targets with x1 < x2"):
        llava(["", ""], [SQUARE, target])
