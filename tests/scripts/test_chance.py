"""Random weights score at chance, trained ones do not; and the yardstick is right."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats

from fgbench import plan
from fgbench.metrics.confusion import mean_iou
from fgbench.selftest.expectation import read_expectation
from scripts.chance import CONFIDENCE, Draws, Key, draw, guess, judge, renamed, rows

LIGHT = ("fg-ovd", "boxclass-cn", "coco")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FGBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def test_the_interval_is_student_s_for_paired_differences() -> None:
    rng = np.random.default_rng(0)
    draws = Draws(None, 10, False, rng.normal(0.3, 0.1, 6), rng.normal(0.3, 0.1, 6))
    verdict = judge(draws)
    low, high = stats.ttest_rel(draws.measured, draws.dealt).confidence_interval(CONFIDENCE)
    assert (verdict.difference - verdict.half, verdict.difference + verdict.half) == pytest.approx((low, high))


def test_equal_draws_prove_no_more_than_their_items() -> None:
    nothing = np.zeros(3)
    verdict = judge(Draws(0.1, 90, True, nothing, nothing))
    assert verdict.half == pytest.approx(stats.t.ppf((1 + CONFIDENCE) / 2, 2) * (0.1 * 0.9 / 90 / 3) ** 0.5)
    assert not judge(Draws(0.1, 900, True, nothing, nothing), value=0.6).inside


def test_renaming_deals_every_name_but_the_fixed_one() -> None:
    counts = np.random.default_rng(1).integers(0, 9, (5, 4))
    by_hand = []
    for order in itertools.permutations(range(3)):
        mixed = counts.copy()
        mixed[list(order)] = counts[:3]
        by_hand.append(mean_iou(mixed, "gt").value)
    assert renamed(counts, 3, 0, 3000) == pytest.approx(np.mean(by_hand), abs=0.01)


def test_guessing() -> None:
    known = {
        "fg-ovd": 1 / 11, "coco-box": 1 / 28, "boxclass-cn": 1 / 308, "coco": 1 / 48, "dci": 1 / 48,
        "imagenet-1k": 1 / 1000, "voc-20": None, "lvis-val": None, "gqa": 0.0,
    }  # fmt: skip
    planned = plan(None, list(known), data_root="mini").datasets
    assert {each.spec.id: guess(each) for each in planned} == pytest.approx(known)


@pytest.mark.slow
def test_random_weights_are_at_chance_and_trained_ones_are_not(tmp_path_factory: pytest.TempPathFactory) -> None:
    found = draw(LIGHT, range(4), 2, tmp_path_factory.mktemp("draws"))
    assert {key.dataset for key in found} == set(LIGHT)
    assert [key for key, draws in found.items() if not judge(draws).inside] == []
    expected = read_expectation().datasets
    for key, draws in found.items():
        value = next(
            each.value
            for each in expected[key.dataset].scores
            if (each.subset, each.metric) == (key.subset, key.metric)
        )
        assert not judge(draws, value).inside, key
    assert len(rows(found)) == len(found)
    assert Key("coco", "*", "i2t_r1") in found
