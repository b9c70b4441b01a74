"""Measured numbers against expected ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.selftest.comparison import Compared, compare, differences
from fgbench.selftest.expectation import from_records

from .test_expectation import RULE, record

EXPECTED = from_records([record()], model="small", version=7, rule=RULE)


def scores(value: float = 0.5, n: int = 10, metric: str = "i2t_r1") -> list[dict[str, Any]]:
    return [{"subset": "*", "metric": metric, "value": value, "n": n}]


@given(st.integers(1, 1000), st.data())
def test_a_deviation_of_exactly_the_allowed_items_is_inside(n: int, data: st.DataObject) -> None:
    items, off = data.draw(st.integers(0, n)), data.draw(st.integers(-10, 10))
    measured = min(max(items + off, 0), n)
    compared = Compared("d", "*", "r", True, items / n, measured / n, 3 / n, n, n)
    assert compared.inside == (abs(measured - items) <= 3)


def test_equal_records_pass() -> None:
    found = compare(EXPECTED, [record()], {})
    assert found.passed
    assert found.outside == []
    assert found.scores[0].main
    assert (found.protocol, found.environment, found.other_pictures) == ({}, (), ())
    assert found.as_json()["passed"]


@pytest.mark.parametrize(
    ("changed", "passes"),
    [
        (scores(0.8), True),
        (scores(0.9), False),
        (scores(n=11), False),
        (scores(metric="t2i_r1"), False),
        ([*scores(), *scores(0.1, metric="new")], True),
        (scores(float("nan")), False),
    ],
)
def test_what_is_off(changed: list[dict[str, Any]], passes: bool) -> None:
    assert compare(EXPECTED, [record(scores=changed)], {}).passed == passes


def test_a_dataset_without_a_result_fails() -> None:
    found = compare(EXPECTED, [], {"coco": "pictures are missing"})
    assert not found.passed
    assert found.not_evaluated == {"coco": "pictures are missing"}


def test_what_else_differs_is_named() -> None:
    other = record(
        protocol={"id": "paper", "budget": 128, "details": {}},
        environment={"packages": {"torch": "3"}},
        data={"images_sha256": "ef"},
    )
    found = compare(EXPECTED, [other], {})
    assert found.protocol == {"coco": ("budget: None → 128",)}
    assert found.environment == ("packages.torch: 2 → 3",)
    assert found.other_pictures == ("coco",)
    assert found.passed


def test_differences() -> None:
    assert list(differences({"a": 1, "b": {"c": 2}}, {"b": {"c": 2, "d": 3}})) == ["a: 1 → None", "b.d: None → 3"]
