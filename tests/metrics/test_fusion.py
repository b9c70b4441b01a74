"""Fusing detector and image-text scores: the properties of the geometric mean, and the three label modes by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbench.metrics.fusion import Fused, Labels, fuse
from fgbench.metrics.lvis_ap import Detections, GroundTruth, box_ap
from fgbench.requests import ClassScores

TEMPERATURES = (0.01, 0.1)


def answered(cosines: Any, box: Any, category: Any) -> ClassScores:
    """The answer for boxes with these cosines [n, C] with all categories."""
    table = np.asarray(cosines, dtype=np.float32)
    logits = np.stack([table.astype(np.float64) / t for t in TEMPERATURES], axis=2)
    return ClassScores(
        cosine=table[box, category],
        log_normaliser=np.log(np.exp(logits).sum(axis=1)).astype(np.float32),
        best_class=table.argmax(axis=1),
        best_cosine=table.max(axis=1),
    )


COSINES = [[0.30, 0.20, 0.10], [0.10, 0.15, 0.12]]
BOX, CATEGORY = np.array([0, 0, 1, 1]), np.array([1, 2, 0, 2])
SCORE = np.array([0.5, 0.6, 0.9, 0.3], dtype=np.float32)
PROBABILITY = np.exp(np.array(COSINES) / 0.1) / np.exp(np.array(COSINES) / 0.1).sum(axis=1, keepdims=True)


def toy(labels: Labels, alpha: float = 0.5) -> Fused:
    answer = answered(COSINES, BOX, CATEGORY)
    return fuse(BOX, CATEGORY, SCORE, answer, temperature=0.1, column=1, alpha=alpha, labels=labels)


class TestByHand:
    def test_keep(self) -> None:
        found = toy("keep")
        np.testing.assert_array_equal(found.box, BOX)
        np.testing.assert_array_equal(found.category, CATEGORY)
        np.testing.assert_allclose(found.score, np.sqrt(SCORE * PROBABILITY[BOX, CATEGORY]), rtol=1e-6)

    def test_argmax_scores_takes_the_better_of_the_detector_s_own_pairs(self) -> None:
        """Box 0: 0.5·p(1) against 0.6·p(2), where p(1) = e·p(2). Box 1: 0.9·p(0) against 0.3·p(2)."""
        found = toy("argmax_scores")
        np.testing.assert_array_equal(found.box, [0, 1])
        np.testing.assert_array_equal(found.category, [1, 0])
        np.testing.assert_allclose(found.score, [np.sqrt(0.5 * PROBABILITY[0, 1]), np.sqrt(0.9 * PROBABILITY[1, 0])])

    def test_argmax_clip_takes_the_label_from_all_categories_and_the_best_score(self) -> None:
        found = toy("argmax_clip")
        np.testing.assert_array_equal(found.category, [0, 1])
        expected = [np.sqrt(np.float32(0.6) * PROBABILITY[0, 0]), np.sqrt(np.float32(0.9) * PROBABILITY[1, 1])]
        np.testing.assert_allclose(found.score, expected, rtol=1e-6)

    def test_of_equal_pairs_the_first_stays(self) -> None:
        box, category = np.array([0, 0, 0]), np.array([2, 0, 1])
        answer = answered([[0.2, 0.2, 0.2]], box, category)
        score = np.array([0.5, 0.5, 0.4], dtype=np.float32)
        found = fuse(box, category, score, answer, temperature=0.1, column=1, alpha=0.5, labels="argmax_scores")
        assert found.category.tolist() == [2]

    @pytest.mark.parametrize("labels", ["keep", "argmax_scores", "argmax_clip"])
    def test_boxes_without_a_cosine_are_left_out(self, labels: Labels) -> None:
        answer = answered(COSINES, BOX, CATEGORY)
        lost = replace(
            answer,
            cosine=np.where(BOX == 0, np.nan, answer.cosine).astype(np.float32),
            best_class=np.array([-1, 1]),
            failed={0: "image_missing"},
        )
        found = fuse(BOX, CATEGORY, SCORE, lost, temperature=0.1, column=1, alpha=0.5, labels=labels)
        assert set(found.box) == {1}
        assert np.isfinite(found.score).all()
        np.testing.assert_array_equal(found.score, toy(labels).score[toy(labels).box == 1])

    @pytest.mark.parametrize("labels", ["keep", "argmax_scores", "argmax_clip"])
    def test_nothing_in_nothing_out(self, labels: Labels) -> None:
        none = np.zeros(0, dtype=np.int64)
        answer = answered(np.zeros((0, 3)).tolist() or np.zeros((0, 3)), none, none)
        score = np.zeros(0, dtype=np.float32)
        assert len(fuse(none, none, score, answer, temperature=0.1, column=1, alpha=0.5, labels=labels).score) == 0

    def test_a_score_of_zero_stays_zero_unless_the_detector_has_no_say(self) -> None:
        answer = answered(COSINES, BOX, CATEGORY)
        zero = np.zeros(4, dtype=np.float32)
        for alpha in (0.0, 0.5):
            found = fuse(BOX, CATEGORY, zero, answer, temperature=0.1, column=1, alpha=alpha)
            assert found.score.tolist() == [0.0] * 4
        alone = fuse(BOX, CATEGORY, zero, answer, temperature=0.1, column=1, alpha=1.0)
        np.testing.assert_allclose(alone.score, PROBABILITY[BOX, CATEGORY], rtol=1e-6)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"alpha": 1.1}, "`alpha` to lie in"),
            ({"alpha": float("nan")}, "`alpha` to lie in"),
            ({"labels": "best"}, "`labels` to be keep"),
            ({"score": -SCORE}, "`score` to be at least 0"),
            ({"score": SCORE * np.float32("nan")}, "`score` to be at least 0"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, change: dict[str, Any], message: str) -> None:
        arguments: dict[str, Any] = {"score": SCORE, "temperature": 0.1, "column": 1, "alpha": 0.5} | change
        with pytest.raises(ValueError, match=message):
            fuse(BOX, CATEGORY, answer=answered(COSINES, BOX, CATEGORY), **arguments)


def scene(seed: int) -> tuple[GroundTruth, Detections, ClassScores]:
    """Eight pictures of four categories, everything annotated; ten boxes each, three categories per box."""
    rng = np.random.default_rng(seed)
    images, categories, boxes = 8, 4, 10
    everything = np.stack(np.meshgrid(np.arange(images), np.arange(categories)), axis=-1).reshape(-1, 2)
    objects = rng.integers(0, 40, (24, 4)).astype(np.float64)
    objects[:, 2:] = 20
    image = np.repeat(np.arange(images), 3)
    truth = GroundTruth(
        images, np.array(["r", "c", "f", "f"]), image, rng.integers(0, categories, 24), objects,
        np.full(24, 400.0), np.zeros(24, dtype=bool), everything, everything[:0],
    )  # fmt: skip
    box_image = np.repeat(np.arange(images), boxes)
    near = objects[3 * box_image + rng.integers(0, 3, len(box_image))]
    box_index = np.repeat(np.arange(len(box_image)), 3)
    category = np.concatenate([rng.permutation(categories)[:3] for _ in box_image])
    score = rng.uniform(0.05, 0.95, len(box_index)).astype(np.float32)
    found = Detections(near + rng.normal(0, 2, near.shape), box_image, box_index, category, score)
    return truth, found, answered(rng.uniform(-0.2, 0.4, (len(box_image), categories)), box_index, category)


def precision(truth: GroundTruth, found: Detections, score: Any, **options: Any) -> Any:
    return box_ap(truth, replace(found, score=score), **options).precision


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([{}, {"per_category": None, "per_image": 7}]))
def test_the_ends_and_the_middle(seed: int, protocol: dict[str, Any]) -> None:
    truth, found, answer = scene(seed)
    probability = np.exp(answer.cosine.astype(float) / 0.1 - answer.log_normaliser[found.box_index, 1])

    def fused(alpha: float, answer: ClassScores = answer) -> Any:
        box, category = found.box_index.astype(np.int64), found.category.astype(np.int64)
        score = found.score.astype(np.float32)
        return fuse(box, category, score, answer, temperature=0.1, column=1, alpha=alpha).score

    alone = precision(truth, found, found.score, **protocol)
    np.testing.assert_array_equal(precision(truth, found, fused(0.0), **protocol), alone)
    np.testing.assert_array_equal(
        precision(truth, found, fused(0.5), **protocol), precision(truth, found, found.score * probability, **protocol)
    )
    np.testing.assert_array_equal(
        precision(truth, found, fused(1.0), **protocol), precision(truth, found, probability, **protocol)
    )
    third = precision(truth, found, found.score.astype(float) ** 2 * probability, **protocol)
    np.testing.assert_array_equal(precision(truth, found, fused(1 / 3), **protocol), third)

    flat = replace(answer, cosine=np.full_like(answer.cosine, 0.2), log_normaliser=answer.log_normaliser * 0 + 4)
    np.testing.assert_array_equal(precision(truth, found, fused(0.9, flat), **protocol), alone)


def test_logarithms_carry_what_a_product_of_small_numbers_would_lose() -> None:
    box, category = np.array([0, 0]), np.array([0, 1])
    answer = answered([[-1.0, -0.99, 1.0]], box, category)
    score = np.array([1e-30, 1e-30], dtype=np.float32)
    found = fuse(box, category, score, answer, temperature=0.01, column=0, alpha=0.5)
    assert 0 < found.score[0] < found.score[1]
    direct = np.exp(np.array([-200.0, -199.0])) * score.astype(np.float64)
    np.testing.assert_allclose(found.score, np.sqrt(direct), rtol=1e-5)
