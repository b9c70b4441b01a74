"""Paired comparison against scipy, plain loops and known error rates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fgbench.metrics.pairing import (
    MCNEMAR,
    RANDOMISATION,
    Paired,
    cohens_h,
    compare,
    differences,
    gap,
    holm,
    mcnemar,
    pair,
    randomisation,
)
from fgbench.metrics.sample import Sample
from scripts.false_positives import rates, right_or_wrong


def sample(values: list[float], units: list[int] | None = None, ids: list[str] | None = None) -> Sample:
    names = np.array(ids) if ids else np.arange(len(values))
    return Sample.mean(names, np.array(values), "image", None if units is None else np.array(units, dtype=np.int64))


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_a_binomial_test(wins: int, losses: int) -> None:
    wanted = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert mcnemar(wins, losses) == pytest.approx(wanted, rel=1e-9)


def test_mcnemar_of_many_items_does_not_overflow() -> None:
    assert mcnemar(20_000, 20_000) == pytest.approx(1.0)
    assert mcnemar(12_000, 13_000) == pytest.approx(stats.binomtest(12_000, 25_000).pvalue, rel=1e-6)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_step_down_by_definition(values: list[float]) -> None:
    order = sorted(range(len(values)), key=lambda place: values[place])
    wanted = [0.0] * len(values)
    worst = 0.0
    for step, place in enumerate(order):
        worst = max(worst, min(1.0, (len(values) - step) * values[place]))
        wanted[place] = worst
    assert holm(values) == pytest.approx(wanted)


def test_holm_of_nothing_is_nothing() -> None:
    assert holm([]) == []


def test_cohens_h() -> None:
    assert cohens_h(0.5, 0.25) == pytest.approx(np.pi / 2 - np.pi / 3)
    assert cohens_h(0.7, 0.7) == 0
    assert cohens_h(1.0, 0.0) == pytest.approx(np.pi)


def test_randomisation_is_the_share_of_all_swaps() -> None:
    left, right = [3.0, 1.0, 4.0, 1.0, 5.0, 2.0], [1.0, 2.0, 1.0, 1.0, 3.0, 0.0]
    gaps = np.subtract(left, right)
    every = [abs(np.dot(gaps, signs)) for signs in itertools.product((1, -1), repeat=len(gaps))]
    wanted = np.mean([value >= abs(gaps.sum()) - 1e-9 for value in every])
    assert randomisation(Paired(sample(left), sample(right)), swaps=20_000) == pytest.approx(wanted, abs=0.01)


class TestPair:
    def test_items_are_matched_by_name(self) -> None:
        paired = pair(sample([1, 0, 1], ids=["a", "b", "c"]), sample([0, 0, 1], ids=["c", "x", "a"]))
        assert paired is not None
        assert paired.first.ids.tolist() == paired.second.ids.tolist() == ["a", "c"]
        assert paired.first.parts[:, 0].tolist() == [1, 1]
        assert paired.second.parts[:, 0].tolist() == [1, 0]

    def test_units_are_those_of_the_first(self) -> None:
        paired = pair(sample([1, 0], [3, 4]), sample([1, 0], [9, 9]))
        assert paired is not None
        assert paired.second.units.tolist() == [3, 4]

    def test_nothing_in_common_is_none(self) -> None:
        assert pair(sample([1], ids=["a"]), sample([1], ids=["b"])) is None
        assert pair(sample([1], ids=["1"]), sample([1])) is None

    def test_a_name_that_comes_twice_is_refused(self) -> None:
        with pytest.raises(ValueError, match="once"):
            pair(sample([1, 0], ids=["a", "a"]), sample([1, 0], ids=["a", "b"]))


class TestCompare:
    def test_single_items_are_tested_exactly(self) -> None:
        left, right = [1.0] * 60 + [0.0] * 40, [1.0] * 45 + [0.0] * 15 + [1.0] * 5 + [0.0] * 35
        found = compare(sample(left), sample(right))
        assert found is not None
        assert (found.test, found.wins, found.losses) == (MCNEMAR, 15, 5)
        assert found.p == pytest.approx(stats.binomtest(5, 20).pvalue)
        assert found.difference == pytest.approx(0.1)
        error = np.std(np.subtract(left, right)) / 10
        assert (found.low, found.high) == pytest.approx((0.1 - 1.98 * error, 0.1 + 1.98 * error), abs=0.012)

    def test_items_of_one_picture_are_swapped_together(self) -> None:
        units = [number // 5 for number in range(100)]
        left = [float(unit % 4 != 0) for unit in units]
        found = compare(sample(left, units), sample([1 - value for value in left], units))
        assert found is not None
        assert found.test == RANDOMISATION
        assert found.units == 20
        # 15 pictures against 5, not 75 items against 25.
        assert found.p == pytest.approx(stats.binomtest(5, 20).pvalue, abs=0.02)

    def test_models_that_agree_on_everything_do_not_differ_but_might(self) -> None:
        found = compare(sample([1.0, 0.0] * 50), sample([1.0, 0.0] * 50))
        assert found is not None
        assert (found.difference, found.p, found.effect) == (0, 1, 0)
        assert found.low == pytest.approx(-found.high)
        assert 0.005 < found.high < 0.03

    def test_items_on_one_side_only_are_counted(self) -> None:
        found = compare(sample([1, 0, 1, 1], ids=list("abcd")), sample([1, 1, 0], ids=list("bcx")))
        assert found is not None
        assert (found.items, found.only_first, found.only_second) == (2, 2, 1)

    def test_one_unit_tells_nothing(self) -> None:
        assert compare(sample([1, 0], [1, 1]), sample([1, 1], [1, 1])) is None

    def test_both_orders_mirror_each_other(self) -> None:
        generator = np.random.default_rng(0)
        left, right = (sample(list(generator.random(30)), [n // 3 for n in range(30)]) for _ in range(2))
        one, other = compare(left, right), compare(right, left)
        assert one is not None
        assert other is not None
        assert one.difference == -other.difference
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=0.02)

    @pytest.mark.parametrize(("units", "size"), [(300, 1), (60, 5)])
    def test_equal_models_are_told_apart_in_3_to_7_of_100_cases(self, units: int, size: int | None) -> None:
        repeats = 250
        noise = 2 * (0.95 * 0.05 / repeats) ** 0.5  # docs/statistics.md has the table of 2,000 repeats
        found = rates(right_or_wrong(units, size, 0.5), repeats, seed=2)
        assert abs(found.p - 0.05) <= 0.02 + noise
        assert abs(found.interval - 0.05) <= 0.02 + noise


class TestGap:
    def test_pictures_that_both_have_are_paired(self) -> None:
        ease = np.random.default_rng(0).random(300)
        values = [float(value < 0.6) for value in ease]
        same = gap(sample(values), sample(values))
        apart = gap(sample(values), sample(values, [number + 1000 for number in range(300)]))
        assert same[0] == apart[0] == 0
        assert apart[2] - apart[1] > 4 * (same[2] - same[1])
        assert apart[2] == pytest.approx(1.97 * np.sqrt(2 * 0.24 / 300), rel=0.1)

    def test_scores_of_one_set_are_averaged_on_the_same_resamples(self) -> None:
        values = [float(value < 0.5) for value in np.random.default_rng(1).random(200)]
        one = Paired(sample(values), sample([0.0] * 200))
        np.testing.assert_allclose(differences([one, one]), differences([one]), atol=0.03)
