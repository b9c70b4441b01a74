from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from fgbench.errors import CapabilityError, DataError, DataMissingError, UsageError
from fgbench.requests import ClassPrompts, ImageRef, Images, Regions, Request, Texts
from fgbench.runner.plan import Plan, PlannedDataset, counts, make_plan
from fgbench.spec import DatasetSpec
from fgbench.task import Loaded

from ..fakes import FakeTask, dataset_spec, save_pictures


def plan_of(root: Path, **wanted: Mapping[str, Request] | Exception) -> Plan:
    return make_plan(FakeTask(wanted).selection(), root)


def regions(images: list[ImageRef], count: int) -> Regions:
    return Regions(images, np.arange(count) % len(images), np.ones((count, 4)))


def test_no_picture_is_opened_and_nothing_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"not a picture")
    (planned,) = plan_of(tmp_path, one={"x": Images([ImageRef(str(tmp_path / "a.jpg"))])}).datasets
    assert planned.status == "ready"


def test_pictures_that_are_not_on_disk_are_listed(tmp_path: Path) -> None:
    here, gone = *save_pictures(tmp_path / "a", 1), ImageRef(str(tmp_path / "b/gone.png"))
    (planned,) = plan_of(tmp_path, one={"x": Images([here, gone, gone]), "y": regions([gone], 3)}).datasets
    assert planned.missing == {gone}
    assert planned.status == "incomplete"
    assert planned.problem is None


def test_a_picture_in_an_archive_is_there_if_the_archive_is(tmp_path: Path) -> None:
    (tmp_path / "a.zip").touch()
    refs = [ImageRef(str(tmp_path / name), "x.png") for name in ("a.zip", "b.zip")]
    (planned,) = plan_of(tmp_path, one={"x": Images(refs)}).datasets
    assert planned.missing == {refs[1]}


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (DataMissingError("no file"), "missing"),
        (DataError("broken file"), "broken"),
        (CapabilityError("not possible"), "missing"),
    ],
)
def test_a_dataset_that_cannot_be_read_does_not_stop_the_others(
    tmp_path: Path, problem: Exception, status: str
) -> None:
    made = plan_of(tmp_path, one=problem, two={"x": Texts(["a"], "short")})
    assert [planned.status for planned in made.datasets] == [status, "ready"]
    summary = made.summary()["datasets"]
    assert summary["one"]["problem"] == str(problem)
    assert summary["two"]["problem"] is None


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (DataMissingError("no proposals"), "missing"),
        (CapabilityError("not possible"), "missing"),
        (DataError("broken proposals"), "broken"),
    ],
)
def test_items_are_kept_where_only_the_requests_are_impossible(tmp_path: Path, problem: Exception, status: str) -> None:
    """Predictions can be scored without what a model would need."""

    class Unaskable(FakeTask):
        def requests(self, spec: DatasetSpec, loaded: Loaded) -> Mapping[str, Request]:
            raise problem

    (planned,) = make_plan(Unaskable({"one": {}}).selection(), tmp_path).datasets
    assert planned.loaded is not None
    assert (planned.problem, planned.status, planned.requests) == (problem, status, {})
    total = counts([planned])
    assert (total["items"], total["missing"]) == (3, isinstance(problem, DataMissingError))


def test_a_bug_in_a_task_is_not_swallowed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        plan_of(tmp_path, one=ZeroDivisionError())


def test_an_override_of_an_unknown_role_stops_the_plan(tmp_path: Path) -> None:
    task = FakeTask({"one": {}})
    with pytest.raises(UsageError, match="one has no files called 'pictures'"):
        make_plan(task.selection(), tmp_path, overrides={"one": {"pictures": tmp_path}})


class TestCounts:
    def test_work_asked_for_is_set_against_work_to_do(self, tmp_path: Path) -> None:
        images = save_pictures(tmp_path, 3)
        one: dict[str, Request] = {"i": Images(images), "t": Texts(["a", "b", "a"], "short")}
        two: dict[str, Request] = {"r": regions(images[:2], 5), "t": Texts(["a", "c"], "short", mentions=10)}
        three: dict[str, Request] = {"c": ClassPrompts(["x", "y"], ["{}", "a {}"], "box"), "t": Texts(["a"], "box")}
        made = plan_of(tmp_path, one=one, two=two, three=three)
        assert made.summary()["total"] == {
            "items": 9,
            "images": 3 + 5,
            "distinct_images": 3,
            "regions": 5,
            "texts": 3 + 10 + 4 + 1,
            "distinct_texts": 3 + 5,
            "missing": 0,
        }
        assert made.summary()["datasets"]["two"] == {
            "items": 3, "images": 5, "distinct_images": 2, "regions": 5, "texts": 10, "distinct_texts": 2,
            "missing": 0, "status": "ready", "problem": None,
        }  # fmt: skip

    def test_a_missing_picture_of_two_datasets_counts_once_in_total(self, tmp_path: Path) -> None:
        gone: dict[str, Request] = {"i": Images([ImageRef(str(tmp_path / "gone.png"))])}
        made = plan_of(tmp_path, one=gone, two=gone, three=DataMissingError("no file"))
        assert [counts([planned])["missing"] for planned in made.datasets] == [1, 1, 1]
        assert counts(made.datasets)["missing"] == 2

    def test_nothing_is_counted_as_nothing(self) -> None:
        assert set(counts([]).values()) == {0}

    def test_a_dataset_knows_its_texts_and_pictures(self, tmp_path: Path) -> None:
        requests: dict[str, Request] = {
            "c": ClassPrompts(["X"], ["a {}"], "box", lowercase=True),
            "t": Texts(["T"], "long"),
        }
        planned = PlannedDataset(dataset_spec(), FakeTask({}), None, requests=requests)  # type: ignore[arg-type]
        assert planned.distinct_texts == {"box": {"a x"}, "long": {"T"}}
        assert list(planned.images()) == []
