"""LVIS box AP: recorded figures of the ``lvis`` package, a plain loop, and what must or must not change the number."""

from __future__ import annotations

import copy
import gzip
import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbench.metrics.lvis_ap import METRICS, BoxAP, Detections, GroundTruth, box_ap

from . import lvis_loop
from .lvis_loop import Row, arrays

PROTOCOLS: dict[str, dict[str, Any]] = {
    "fixed_top_10000_per_category": {},
    "fixed_top_20_per_category": {"per_category": 20},
    "max_300_per_image": {"per_category": None, "per_image": 300},
}
Pair = tuple[Row, list[Row]]


@pytest.fixture(scope="module")
def pairs(shared: Path) -> dict[str, Pair]:
    """Annotations and detections by name of the set."""
    folder = shared / "data/lvis"
    with gzip.open(folder / "lvis_v0.5_val_100.json.gz") as file:
        real = json.load(file)
    return {
        "lvis_v0.5_val_100": (real, json.loads((folder / "lvis_v0.5_val_100_synthetic_dets.json").read_text())),
        "synthetic": (
            json.loads((folder / "synthetic_gt.json").read_text()),
            json.loads((folder / "synthetic_dets.json").read_text()),
        ),
    }


@pytest.fixture(scope="module")
def synthetic(pairs: dict[str, Pair]) -> Pair:
    return pairs["synthetic"]


def ap(truth: Row, found: list[Row], **options: Any) -> float:
    return box_ap(*arrays(truth, found), **options).mean("ap").value


class TestRecorded:
    @pytest.mark.parametrize("block", [1 << 18, 100], ids=["one block", "many blocks"])
    @pytest.mark.parametrize("protocol", PROTOCOLS)
    @pytest.mark.parametrize("name", ["lvis_v0.5_val_100", "synthetic"])
    def test_every_recorded_number(
        self, shared: Path, pairs: dict[str, Pair], name: str, protocol: str, block: int
    ) -> None:
        expected = json.loads((shared / "data/lvis/expected_ap.json").read_text())[name][protocol]
        result = box_ap(*arrays(*pairs[name]), **PROTOCOLS[protocol], block=block)
        spelt = {key: key.lower().replace("_300", "") for key in expected["metrics"]}
        found = {key: result.mean(metric).value for key, metric in spelt.items()}
        assert found == {key: pytest.approx(value, abs=1e-9) for key, value in expected["metrics"].items()}
        by_category = {str(n): value for n, value in enumerate(result.categories("ap"), start=1) if not np.isnan(value)}
        assert by_category == {k: pytest.approx(value, abs=1e-9) for k, value in expected["per_category_ap"].items()}
        assert result.mean("ap").categories == expected["num_categories_with_gt"]

    def test_the_cap_per_picture_makes_a_difference_on_the_real_set(self, pairs: dict[str, Pair]) -> None:
        real = pairs["lvis_v0.5_val_100"]
        assert ap(*real) == pytest.approx(0.576273, abs=1e-6)
        assert ap(*real, per_category=None, per_image=300) == pytest.approx(0.573769, abs=1e-6)

    @pytest.mark.skipif(importlib.util.find_spec("lvis") is None, reason="the lvis package is not installed")
    def test_the_package_says_the_same(self, synthetic: Pair) -> None:
        from benchmarks.lvis import package_ap

        assert package_ap(*synthetic) == pytest.approx(ap(*synthetic), abs=1e-12)


class TestProperties:
    def test_ap_is_the_mean_of_rare_common_and_frequent_by_their_categories(self, synthetic: Pair) -> None:
        result = box_ap(*arrays(*synthetic))
        parts = [result.mean(metric) for metric in ("apr", "apc", "apf")]
        assert [part.categories for part in parts] == [9, 10, 10]
        assert result.mean("ap").value == pytest.approx(sum(v * n for v, n in parts) / 29, abs=1e-15)

    @pytest.mark.parametrize(
        "transform",
        [np.sqrt, np.log, lambda score: 5 * score - 9, lambda score: score**3],
        ids=["root", "logarithm", "linear", "cube"],
    )
    def test_increasing_transforms_of_all_scores_change_nothing(
        self, synthetic: Pair, transform: Callable[[Any], Any]
    ) -> None:
        truth, found = arrays(*synthetic)
        changed = replace(found, score=transform(found.score))
        for protocol in PROTOCOLS.values():
            np.testing.assert_array_equal(
                box_ap(truth, changed, **protocol).precision, box_ap(truth, found, **protocol).precision
            )

    def test_fixed_ap_allows_another_transform_for_each_category(self, synthetic: Pair) -> None:
        truth, found = arrays(*synthetic)
        factor = np.random.default_rng(0).uniform(0.1, 3, truth.categories)
        changed = replace(found, score=found.score * factor[found.category])
        np.testing.assert_array_equal(box_ap(truth, changed).precision, box_ap(truth, found).precision)
        cap: dict[str, Any] = {"per_category": None, "per_image": 20}
        assert box_ap(truth, changed, **cap).mean("ap") != box_ap(truth, found, **cap).mean("ap")

    @pytest.mark.parametrize(
        ("field", "expected"), [("neg_category_ids", 0.521943), ("not_exhaustive_category_ids", 0.421479)]
    )
    def test_both_federated_lists_matter(self, synthetic: Pair, field: str, expected: float) -> None:
        truth = copy.deepcopy(synthetic[0])
        for row in truth["images"]:
            row[field] = []
        assert ap(truth, synthetic[1]) == pytest.approx(expected, abs=1e-6)
        assert ap(*synthetic) == pytest.approx(0.461299, abs=1e-6)

    def test_the_order_of_rows_decides_only_ties(self, synthetic: Pair) -> None:
        truth, found = arrays(*synthetic)
        order = np.random.default_rng(1).permutation(len(found.score))
        distinct = replace(found, score=np.random.default_rng(2).permutation(len(found.score)) / 3000)
        mixed = Detections(
            distinct.box, distinct.box_image, order, distinct.category[order], distinct.score[order]
        )  # the boxes stay where they are
        np.testing.assert_array_equal(box_ap(truth, distinct).precision, box_ap(truth, mixed).precision)


class TestEdgeCases:
    """What the harness measures on the synthetic set where files are not clean."""

    def extra(self, synthetic: Pair, box: list[float]) -> Pair:
        """Forty invented detections with high scores, of categories that are annotated there."""
        truth, found = synthetic
        rows = [{**row, "bbox": box, "score": 0.99} for row in truth["annotations"][:40]]
        return truth, [*rows, *found]

    @pytest.mark.parametrize("box", [[5.0, 5.0, 0.0, 9.0], [5.0, 5.0, 9.0, 0.0], [5.0, 5.0, -2.0, 9.0]])
    def test_boxes_without_area_do_not_count(self, synthetic: Pair, box: list[float]) -> None:
        assert ap(*self.extra(synthetic, box)) == ap(*synthetic)

    def test_boxes_outside_the_picture_do_count(self, synthetic: Pair) -> None:
        """Hence the readers clip and drop them."""
        assert ap(*self.extra(synthetic, [5000.0, 5000.0, 30.0, 30.0])) < 0.45

    def test_a_picture_processed_twice_costs(self, synthetic: Pair) -> None:
        """Hence the proposal store refuses repeats."""
        truth, found = synthetic
        assert ap(truth, [*found, *found]) == pytest.approx(0.347920, abs=1e-6)

    def test_no_detections_are_no_success(self, synthetic: Pair) -> None:
        result = box_ap(*arrays(synthetic[0], []))
        assert {result.mean(metric).value for metric in METRICS} == {0.0}
        assert result.mean("ap").categories == 29

    def test_no_objects_give_no_number(self, synthetic: Pair) -> None:
        result = box_ap(*arrays({**synthetic[0], "annotations": []}, synthetic[1]))
        assert np.isnan(result.mean("ap").value)
        assert result.mean("ap").categories == 0

    def test_numbering_from_zero_changes_nothing(self, synthetic: Pair) -> None:
        """The package takes annotation id 0 for 'unmatched'; here flags decide. Annotation ids are not even passed."""
        truth = copy.deepcopy(synthetic[0])
        for number, row in enumerate(truth["annotations"]):
            row["id"] = number
        assert ap(truth, synthetic[1]) == ap(*synthetic)

    def test_ignored_objects_are_neither_found_nor_missed(self, synthetic: Pair) -> None:
        truth = copy.deepcopy(synthetic[0])
        for row in truth["annotations"][::3]:
            row["ignore"] = 1
        precision, recall = lvis_loop.box_ap(truth, synthetic[1])
        result = box_ap(*arrays(truth, synthetic[1]))
        np.testing.assert_allclose(result.precision, precision, atol=1e-12)
        np.testing.assert_allclose(result.recall, recall, atol=1e-12)

    def test_boxes_may_be_shared_by_categories(self, synthetic: Pair) -> None:
        truth, found = arrays(*synthetic)
        box, index = np.unique(np.c_[found.box_image, found.box], axis=0, return_inverse=True)
        unique = replace(found, box=box[:, 1:], box_image=box[:, 0].astype(np.int64), box_index=index.reshape(-1))
        np.testing.assert_array_equal(box_ap(truth, unique).precision, box_ap(truth, found).precision)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    @pytest.mark.parametrize("field", ["box", "score"])
    def test_values_that_are_not_finite_are_refused_with_their_picture(self, field: str, value: float) -> None:
        content: dict[str, Any] = {"box": np.ones((3, 4)), "score": np.ones(3)}
        content[field][1] = value
        where = np.array([4, 7, 9])
        with pytest.raises(ValueError, match=rf"`{field}` to be finite, but row 1 \(picture 7\)"):
            Detections(box_image=where, box_index=np.arange(3), category=np.zeros(3, dtype=int), **content)

    @pytest.mark.parametrize("field", ["box_image", "category"])
    def test_unknown_pictures_and_categories_are_refused(self, synthetic: Pair, field: str) -> None:
        truth, found = arrays(*synthetic)
        with pytest.raises(ValueError, match=f"`{field}` to lie in"):
            box_ap(truth, replace(found, **{field: getattr(found, field) + 30}))

    def test_an_unknown_metric_is_refused(self) -> None:
        with pytest.raises(ValueError, match="got 'map'"):
            BoxAP(np.zeros((4, 10, 1)), np.zeros((4, 10, 1)), np.array(["r"])).mean("map")


def boxes(draw: st.DrawFn) -> list[float]:
    """Few different boxes, so that many overlap, some exactly alike; sides near the limits of the size buckets."""
    x, y = draw(st.sampled_from([0, 2, 4, 60])), draw(st.sampled_from([0, 2, 5]))
    return [float(v) for v in (x, y, draw(st.sampled_from([10, 12, 32, 96])), draw(st.sampled_from([10, 32, 97])))]


@st.composite
def cases(draw: st.DrawFn) -> Pair:
    """A small data set with ties in scores and overlaps, ignored objects and federated lists."""
    images, categories = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    some = st.lists(st.integers(1, categories), unique=True)
    number, category = st.integers(1, images), st.integers(1, categories)
    truth = {
        "images": [
            {"id": n, "neg_category_ids": draw(some), "not_exhaustive_category_ids": draw(some)}
            for n in draw(st.permutations(range(1, images + 1)))
        ],
        "annotations": [
            {"image_id": draw(number), "category_id": draw(category), "bbox": boxes(draw)}
            | {"area": draw(st.sampled_from([50.0, 1024.0, 1025.0, 9216.0, 9300.0])), "ignore": draw(st.booleans())}
            for _ in range(draw(st.integers(0, 8)))
        ],
        "categories": [{"id": n, "frequency": draw(st.sampled_from("rcf"))} for n in range(1, categories + 1)],
    }
    score = st.sampled_from([0.1, 0.25, 0.5, 0.75])
    found = [
        {"image_id": draw(number), "category_id": draw(category), "bbox": boxes(draw), "score": draw(score)}
        for _ in range(draw(st.integers(0, 12)))
    ]
    return truth, found


@settings(max_examples=60)
@given(cases(), st.sampled_from([{}, {"per_category": 2}, {"per_category": None, "per_image": 3}]), st.integers(1, 9))
def test_any_small_set_gives_what_the_loop_gives(case: Pair, budget: dict[str, Any], block: int) -> None:
    precision, recall = lvis_loop.box_ap(*case, **budget)
    result = box_ap(*arrays(*case), **budget, block=block)
    np.testing.assert_allclose(result.precision, precision, atol=1e-12)
    np.testing.assert_allclose(result.recall, recall, atol=1e-12)


def test_one_budget_after_the_other(synthetic: Pair) -> None:
    truth: GroundTruth
    truth, found = arrays(*synthetic)
    both = box_ap(truth, found, per_image=50, per_category=20)
    precision, _ = lvis_loop.box_ap(*synthetic, per_image=50, per_category=20)
    np.testing.assert_allclose(both.precision, precision, atol=1e-12)
