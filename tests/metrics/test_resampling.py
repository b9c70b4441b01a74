"""Samples, resampling and intervals against plain loops, scipy's distributions and known coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fgbench.metrics.resampling import LEVEL, distinct, interval, resampled, student_quantile, wilson
from fgbench.metrics.sample import Float64, Sample, ratio
from scripts.coverage import HIGH, coverage, right_or_wrong


def sample(values: list[float], units: list[int] | None = None) -> Sample:
    return Sample.mean(
        np.arange(len(values)), np.array(values), "image", None if units is None else np.array(units, dtype=np.int64)
    )


class TestSample:
    def test_a_mean_is_the_mean_whatever_the_units(self) -> None:
        values = [1.0, 0.0, 0.3, 1.0, 0.9]
        assert sample(values, [7, 2, 7, 7, 2]).value() == pytest.approx(np.mean(values))

    @given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 9)), min_size=1, max_size=30))
    def test_sums_by_unit_are_those_of_a_loop(self, rows: list[tuple[int, int]]) -> None:
        found = sample([value for _, value in rows], [unit for unit, _ in rows]).sums
        wanted = [
            [sum(value for unit, value in rows if unit == each), sum(unit == each for unit, _ in rows)]
            for each in sorted({unit for unit, _ in rows})
        ]
        assert found.tolist() == wanted

    def test_right_or_wrong_is_told_from_graded_and_from_other_statistics(self) -> None:
        assert sample([0, 1, 1]).is_binary
        assert not sample([0, 0.3, 1]).is_binary
        other = Sample(np.arange(2), "image", np.arange(2), np.ones((2, 1)), lambda sums: sums[..., 0])
        assert other.values is None
        assert not other.is_binary

    def test_some_of_the_items(self) -> None:
        part = sample([1, 0, 1, 0], [5, 5, 6, 7]).only(np.array([2, 0]))
        assert part.ids.tolist() == [2, 0]
        assert part.units.tolist() == [6, 5]
        assert part.value() == 1

    @pytest.mark.parametrize("rows", [0, 2])
    def test_arrays_that_do_not_fit_are_refused(self, rows: int) -> None:
        with pytest.raises(ValueError, match="Expected"):
            Sample(np.arange(rows), "image", np.arange(rows), np.ones((rows and 3, 1)))


class TestResampled:
    def test_it_is_the_bootstrap_of_a_plain_loop(self) -> None:
        rows = np.array([[1.0, 2.0], [0.0, 1.0], [4.0, 5.0], [2.0, 2.0], [2.0, 2.0], [0.0, 3.0]])
        (found,) = resampled(rows, ratio, resamples=20_000)
        draw = np.random.default_rng(1).integers(len(rows), size=(20_000, len(rows)))
        wanted = rows[draw].sum(axis=1)
        assert found.mean() == pytest.approx(ratio(wanted).mean(), abs=0.005)
        assert found.std() == pytest.approx(ratio(wanted).std(), rel=0.03)

    def test_equal_units_are_drawn_as_one(self) -> None:
        rows, count = distinct(np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 1.0], [1.0, 1.0]]))
        assert rows.tolist() == [[0, 1], [1, 1]]
        assert count.tolist() == [1, 3]

    def test_statistics_see_the_same_resamples_and_equal_seeds_give_equal_ones(self) -> None:
        rows = np.random.default_rng(0).random((9, 2)) + 1
        one, other = resampled(rows, ratio, lambda sums: 2 * ratio(sums), resamples=50)
        np.testing.assert_array_equal(other, 2 * one)
        np.testing.assert_array_equal(one, resampled(rows, ratio, resamples=50)[0])
        assert not np.array_equal(one, resampled(rows, ratio, resamples=50, seed=1)[0])

    def test_long_rows_are_taken_in_blocks(self) -> None:
        seen: list[int] = []

        def statistic(sums: Float64) -> Float64:
            seen.append(len(sums))
            return sums[..., 0]

        (found,) = resampled(np.ones((3, 1 << 20)), statistic, resamples=9)
        assert found.tolist() == [3.0] * 9
        assert max(seen) <= 4


class TestInterval:
    def test_independent_right_or_wrong_items_have_nearly_wilsons_interval(self) -> None:
        found = interval(sample([1.0] * 700 + [0.0] * 300))
        wanted = stats.binomtest(700, 1000).proportion_ci(LEVEL, method="wilson")
        assert found is not None
        assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=0.003)

    @given(
        st.lists(st.tuples(st.sampled_from([0.0, 0.3, 1.0]), st.integers(0, 5)), min_size=2, max_size=40),
    )
    def test_it_holds_the_score_and_lies_in_the_unit_range(self, rows: list[tuple[float, int]]) -> None:
        case = sample([value for value, _ in rows], [unit for _, unit in rows])
        found = interval(case, resamples=100)
        if len(case.sums) < 2:
            assert found is None
        else:
            assert found is not None
            assert 0 <= found.low <= case.value() <= found.high <= 1
            assert (found.unit, found.units, found.level) == ("image", len(case.sums), 0.95)

    @pytest.mark.parametrize("value", [0.0, 1.0])
    def test_all_right_and_all_wrong_have_one_too(self, value: float) -> None:
        found = interval(sample([value] * 100))
        assert found is not None
        assert 0.02 < found.high - found.low < 0.06

    def test_items_that_stand_together_are_worth_less(self) -> None:
        values = [1.0] * 50 + [0.0] * 50
        apart, together = interval(sample(values)), interval(sample(values, [number // 10 for number in range(100)]))
        assert apart is not None
        assert together is not None
        assert together.high - together.low > 2 * (apart.high - apart.low)

    @pytest.mark.parametrize(("units", "size"), [(50, 1), (60, 5)])
    def test_the_truth_lies_inside_in_93_to_97_of_100_cases(self, units: int, size: int | None) -> None:
        repeats = 400
        noise = 2 * (0.95 * 0.05 / repeats) ** 0.5  # docs/statistics.md has the table of 2,000 repeats
        assert abs(coverage(right_or_wrong(units, size, HIGH), repeats, seed=3).inside - 0.95) <= 0.02 + noise


def test_wilson_is_scipys() -> None:
    wanted = stats.binomtest(3, 50).proportion_ci(0.95, method="wilson")
    assert wilson(3 / 50, 50, stats.norm.ppf(0.975)) == pytest.approx((wanted.low, wanted.high))


@pytest.mark.parametrize(("freedom", "error"), [(1, 1e-9), (2, 1e-9), (3, 0.03), (5, 0.003), (20, 1e-5), (1000, 1e-6)])
def test_quantiles_of_students_t_are_scipys(freedom: int, error: float) -> None:
    assert student_quantile(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=error)
