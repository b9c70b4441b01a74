"""Confusion matrices and mean IoU against scikit-learn, worked examples and brute force."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, jaccard_score

from fgbench.metrics.confusion import (
    CONVENTIONS,
    Counts,
    class_accuracy,
    class_iou,
    confusion,
    frequency_weighted_iou,
    mean_iou,
    pixel_accuracy,
    predicted_pixels,
    true_pixels,
)

IGNORE = 65_535
Labels = npt.NDArray[np.uint16]


def labels(values: Any) -> Labels:
    return np.array(values, dtype=np.uint16)


class Set:
    """Some pixels of K classes, not all of which occur, in one or the other; with ignored and unpredicted pixels."""

    def __init__(self, classes: int, seed: int, *, ids: int = 6, pixels: int = 400) -> None:
        random = np.random.default_rng(seed)
        self.classes = classes
        true, predicted = (random.choice(classes, min(classes, ids), replace=False) for _ in range(2))
        predicted[: ids // 2] = true[: ids // 2]
        self.truth, self.prediction = labels(random.choice(true, pixels)), labels(random.choice(predicted, pixels))
        self.truth[random.random(pixels) < 0.2] = IGNORE
        self.prediction[random.random(pixels) < 0.1] = IGNORE
        self.counts = confusion(self.prediction, self.truth, classes, ignore=IGNORE)

    @property
    def scored(self) -> tuple[Labels, Labels]:
        """(truth, prediction) of the scored pixels; no class = K."""
        keep = self.truth != IGNORE
        return self.truth[keep], np.minimum(self.prediction[keep], self.classes)

    def jaccard(self) -> npt.NDArray[np.float64]:
        """IoU of every class, 0 where undefined."""
        found: npt.NDArray[np.float64] = jaccard_score(
            *self.scored, labels=range(self.classes), average=None, zero_division=0
        )
        return found


SETS = [(30, 0), (40, 1), (300, 2), (459, 3), (847, 4)]


@pytest.fixture(params=SETS, ids=[f"{classes} classes" for classes, _ in SETS])
def some(request: pytest.FixtureRequest) -> Set:
    return Set(*request.param)


class TestAgainstScikitLearn:
    def test_the_matrix_is_theirs_transposed(self, some: Set) -> None:
        theirs = confusion_matrix(*some.scored, labels=range(some.classes + 1))
        assert not theirs[-1].any()
        np.testing.assert_array_equal(some.counts, theirs[:-1].T)
        assert some.counts.dtype == np.int64

    def test_iou_of_each_class(self, some: Set) -> None:
        np.testing.assert_allclose(np.nan_to_num(class_iou(some.counts), nan=0.0), some.jaccard(), rtol=1e-12)

    def test_mean_iou_in_three_conventions(self, some: Set) -> None:
        truth, prediction = some.scored
        jaccard = some.jaccard()
        present = sorted(set(truth.tolist()))
        either = sorted(set(truth.tolist()) | set(prediction.tolist()) - {some.classes})
        assert len(present) < len(either) < some.classes
        for convention, averaged in (("gt", present), ("union", either), ("all", range(some.classes))):
            found = mean_iou(some.counts, convention)  # type: ignore[arg-type]
            assert found.value == pytest.approx(jaccard[list(averaged)].mean(), rel=1e-12)
            assert found.classes == len(averaged)

    def test_accuracies_and_weighted_iou(self, some: Set) -> None:
        truth, prediction = some.scored
        assert pixel_accuracy(some.counts) == pytest.approx(accuracy_score(truth, prediction), rel=1e-12)
        present = [k for k in range(some.classes) if (truth == k).any()]
        recall = np.mean([(prediction[truth == k] == k).mean() for k in present])
        assert class_accuracy(some.counts) == pytest.approx(recall, rel=1e-12)
        weighted = jaccard_score(truth, prediction, average="weighted", zero_division=0)
        assert frequency_weighted_iou(some.counts) == pytest.approx(weighted, rel=1e-12)

    def test_class_accuracy_is_balanced_accuracy_of_dense_predictions(self) -> None:
        random = np.random.default_rng(5)
        truth, prediction = random.integers(0, 5, (2, 200))
        counts = confusion(prediction, truth, 9, ignore=IGNORE)
        assert class_accuracy(counts) == pytest.approx(balanced_accuracy_score(truth, prediction), rel=1e-12)


class TestWorkedExamples:
    TRUTH = labels([0, 0, 1, 1, 255])

    def test_a_class_that_is_only_predicted(self) -> None:
        counts = confusion(labels([0, 2, 1, 1, 0]), self.TRUTH, 4, ignore=255)
        np.testing.assert_array_equal(class_iou(counts), [0.5, 1.0, 0.0, np.nan])
        assert [mean_iou(counts, each) for each in CONVENTIONS] == [(0.75, 2), (0.5, 3), (0.375, 4)]
        assert mean_iou(counts) == mean_iou(counts, "gt")

    def test_what_is_predicted_on_ignored_pixels_changes_nothing(self) -> None:
        counts = [confusion(labels([0, 2, 1, 1, value]), self.TRUTH, 4, ignore=255) for value in (0, 3, 255)]
        assert all((each == counts[0]).all() for each in counts)

    def test_no_class_is_a_miss_and_no_false_alarm(self) -> None:
        counts = confusion(labels([0, 255, 1, 1, 0]), self.TRUTH, 4, ignore=255)
        assert counts[4].tolist() == [1, 0, 0, 0]
        assert [mean_iou(counts, each).value for each in CONVENTIONS] == [0.75, 0.75, 0.375]
        assert pixel_accuracy(counts) == 0.75
        assert true_pixels(counts).tolist() == [2, 2, 0, 0]
        assert predicted_pixels(counts).tolist() == [1, 2, 0, 0]

    def test_pictures_are_summed_and_not_averaged(self) -> None:
        first = confusion(labels([0, 0]), labels([0, 0]), 2, ignore=IGNORE)
        second = confusion(labels([1, 1]), labels([0, 1]), 2, ignore=IGNORE)
        np.testing.assert_allclose(class_iou(first + second), [2 / 3, 1 / 2])
        assert mean_iou(first + second).value == pytest.approx(0.58333, abs=1e-5)
        assert (mean_iou(first).value + mean_iou(second).value) / 2 == pytest.approx(0.625)

    def test_255_is_a_class_like_any_other(self) -> None:
        truth = labels([255, 255, 458, IGNORE])
        counts = confusion(labels([255, 0, 458, 255]), truth, 459, ignore=IGNORE)
        assert counts[255, 255] == 1
        assert class_iou(counts)[[0, 255, 458]].tolist() == [0, 0.5, 1]

    def test_without_scored_pixels_nothing_is_defined(self) -> None:
        counts = confusion(labels([[1, 0]]), labels([[IGNORE, IGNORE]]), 2, ignore=IGNORE)
        assert counts.shape == (3, 2)
        undefined = (mean_iou(counts).value, pixel_accuracy(counts), class_accuracy(counts))
        assert all(map(math.isnan, (*undefined, frequency_weighted_iou(counts))))
        assert [mean_iou(counts, each).classes for each in CONVENTIONS] == [0, 0, 2]
        assert mean_iou(counts, "all").value == 0


PAIRS = arrays.arrays(np.uint16, (2, 30), elements=st.sampled_from([0, 1, 2, 3, 4, IGNORE]))


def count(pair: npt.NDArray[Any]) -> Counts:
    """(prediction, truth) of 5 classes, counted."""
    return confusion(pair[0], pair[1], 5, ignore=IGNORE)


def numbers(counts: Counts) -> list[float]:
    means = [mean_iou(counts, each).value for each in CONVENTIONS]
    return [*means, pixel_accuracy(counts), class_accuracy(counts), frequency_weighted_iou(counts)]


class TestProperties:
    @given(PAIRS, st.integers(0, 30))
    def test_merging_is_concatenation(self, pair: Labels, cut: int) -> None:
        parts = [count(half) for half in (pair[:, :cut], pair[:, cut:])]
        np.testing.assert_array_equal(sum(parts), count(pair))

    @given(PAIRS, st.permutations(range(5)))
    def test_the_order_of_classes_does_not_matter(self, pair: Labels, order: list[int]) -> None:
        table = np.full(IGNORE + 1, IGNORE, dtype=np.uint16)
        table[:5] = order
        here, there = (count(each) for each in (pair, table[pair]))
        np.testing.assert_array_equal(class_iou(there)[order], class_iou(here))
        np.testing.assert_allclose(numbers(there), numbers(here), rtol=1e-12)

    @given(PAIRS)
    def test_a_perfect_prediction_has_1_and_nothing_exceeds_it(self, pair: Labels) -> None:
        counts = count(pair)
        values = [mean_iou(counts, each).value for each in CONVENTIONS]
        if counts.sum():
            assert all(0 <= value <= 1 for value in values)
            assert values[0] >= values[1] >= values[2]
            perfect = confusion(pair[1], pair[1], 5, ignore=IGNORE)
            assert mean_iou(perfect, "gt").value == mean_iou(perfect, "union").value == pixel_accuracy(perfect) == 1
        assert true_pixels(counts).sum() == (pair[1] != IGNORE).sum() == counts.sum()

    @given(PAIRS, st.integers(1, 9))
    def test_only_pixels_count_not_their_place_or_number_format(self, pair: Labels, seed: int) -> None:
        order = np.random.default_rng(seed).permutation(30)
        there = count(pair[:, order].reshape(2, 5, 6).astype(np.int32))
        np.testing.assert_array_equal(there, count(pair))


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (labels([0, 1]), labels([0]), "one shape"),
        (labels([0, 1]), labels([0, 5]), r"truth in 0\.\.4 or 65535, but got 0 to 5"),
        (labels([0, 1]), np.array([0, -1]), r"got -1 to 0"),
        (np.array([0.0, 1.0]), labels([0, 1]), "integers"),
    ],
)
def test_nonsense_is_refused(prediction: Any, truth: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        confusion(prediction, truth, 5, ignore=IGNORE)


def test_negative_predictions_are_no_class() -> None:
    assert confusion(np.array([-1, 7]), np.array([0, 1]), 2, ignore=IGNORE)[2].tolist() == [1, 1]
