"""Strata of the breakdown tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.tasks.attributes import by_attribute, differing
from fgbench.tasks.strata import breakdown, by_frequency, by_length, by_size


@pytest.mark.parametrize(
    ("positive", "negative", "found"),
    [
        ("A light grey plastic pipe.", "A light grey fabric pipe.", "material"),
        ("A light grey plastic pipe.", "A dark pink plastic pipe.", "colour"),
        ("A light grey plastic pipe.", "A light grey text pipe.", "material"),
        ("A grey pipe.", "A light grey pipe.", "colour"),
        ("A black wooden bench.", "A black wool bench.", "material"),
        ("A black wooden bench.", "A green wool bench.", "colour+material"),
        ("A translucent striped jar.", "An opaque dotted jar.", "pattern+transparency"),
        ("A pipe.", "A horse.", "other"),
        ("A pipe.", "a PIPE", "other"),
    ],
)
def test_the_attribute_that_was_replaced(positive: str, negative: str, found: str) -> None:
    positive, negative = positive.replace("A t", "An t"), negative
    assert differing(positive, negative) == found


def test_only_negatives_of_one_type_count_in_its_row() -> None:
    names = ["a red wood cup", "a blue wood cup", "a red glass cup", "a red stone cup"]
    texts = np.array([[0.6, 0.8], [0.8, 0.6], [0, 1], [0.1, 0.9]], dtype=np.float32)
    regions = np.array([[1, 0], [0, 1]], dtype=np.float32)
    candidates = np.array([[0, 1, 2, 3], [0, 2, -1, -1]])
    found = by_attribute(regions, texts, candidates, names, np.array(["hard", "hard"]))
    assert found["attribute"].tolist() == ["colour", "material"]
    assert found["n"].tolist() == [1, 2]
    assert found["negatives"].tolist() == [1, 1.5]
    assert found["top1"].tolist() == [0, 0.5]


def test_boxes_by_area_with_cocos_bounds() -> None:
    boxes = np.array([[0, 0, 32, 32], [0, 0, 32, 33], [0, 0, 96, 96], [0, 0, 97, 96], [0, 0, 0, 5]], dtype=np.float64)
    found = {name: np.flatnonzero(mask).tolist() for name, mask in by_size(boxes).items()}
    assert found == {"small": [0, 4], "medium": [1, 2], "large": [3]}


def test_items_by_the_frequency_of_their_class() -> None:
    found = by_frequency(["r", "f", "c"], np.array([1, 1, 0, 2]))
    assert {name: mask.tolist() for name, mask in found.items()} == {
        "rare": [False, False, True, False],
        "common": [False, False, False, True],
        "frequent": [True, True, False, False],
    }


@given(st.lists(st.text(max_size=12), max_size=40))
def test_lengths_are_cut_into_at_most_four_ranges_that_do_not_overlap(texts: list[str]) -> None:
    found = by_length(texts)
    assert len(found) <= 4
    assert sum(mask.sum() for mask in found.values()) == len(texts)
    last = -1
    for name, mask in found.items():
        low, high = map(int, name.split(" to "))
        lengths = {len(text) for text, inside in zip(texts, mask, strict=True) if inside}
        assert (min(lengths), max(lengths)) == (low, high)
        assert low > last
        last = high


def test_empty_strata_are_left_out() -> None:
    mask = np.array([True, False])
    found = breakdown("size", {"small": mask, "large": np.zeros(2, dtype=bool)}, {"top1": np.array([True, True])})
    assert {name: column.tolist() for name, column in found.items()} == {"size": ["small"], "n": [1], "top1": [1.0]}
