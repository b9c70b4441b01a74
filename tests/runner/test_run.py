from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from fgbench.adapter import RegionMode
from fgbench.errors import CapabilityError, DataError, DataMissingError, ModelError
from fgbench.requests import ClassPrompts, Embeddings, ImageRef, Images, Regions, Request, Texts
from fgbench.runner.embedding import EmbeddingEngine
from fgbench.runner.encode import Encoder
from fgbench.runner.plan import make_plan
from fgbench.runner.progress import Bars, Progress, Silent
from fgbench.runner.run import OnError, Outcome, RunReport, run
from fgbench.spec import DatasetSpec
from fgbench.task import Loaded, Scores

from ..fakes import FakeAdapter, FakeTask, fake_encoder, save_picture, save_pictures

Wanted = Mapping[str, Request] | Exception


class Recorder:
    """Remembers the stages and their steps."""

    def __init__(self) -> None:
        self.stages: dict[str, tuple[int, list[int]]] = {}

    @contextlib.contextmanager
    def stage(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        self.stages[title] = (total, [])
        yield self.stages[title][1].append


def evaluated(
    folder: Path,
    task: FakeTask,
    *,
    adapter: FakeAdapter | None = None,
    mode: RegionMode = "roi",
    on_error: OnError = "fail",
    progress: Progress | None = None,
    encoder: Encoder | None = None,
) -> RunReport:
    encoder = encoder or fake_encoder(adapter or FakeAdapter(), folder / "store")
    plan = make_plan(task.selection(), folder)
    return run(plan, EmbeddingEngine(encoder, mode), on_error=on_error, progress=progress or Silent())


def by_name(report: RunReport) -> dict[str, Outcome]:
    return {outcome.planned.spec.id: outcome for outcome in report.outcomes}


def regions(images: list[ImageRef], *boxes: tuple[float, float, float, float]) -> Regions:
    return Regions(images, np.arange(len(boxes)) % len(images), np.array(boxes, dtype=np.float64))


WHOLE = (0.0, 0.0, 24.0, 16.0)


@pytest.fixture
def pictures(tmp_path: Path) -> list[ImageRef]:
    return save_pictures(tmp_path / "pictures", 4)


def damage(picture: ImageRef, keep: int) -> None:
    path = Path(picture.path)
    path.write_bytes(path.read_bytes()[:keep])


class TestWhole:
    def test_every_request_is_answered_under_its_name(self, tmp_path: Path, pictures: list[ImageRef]) -> None:
        requests: dict[str, Request] = {
            "images": Images(pictures),
            "regions": regions(pictures, WHOLE, (1, 1, 5, 5)),
            "texts": Texts(["a", "b", "a"], "short"),
            "classes": ClassPrompts(["x", "y"], ["a {}", "the {}"], "box"),
        }
        task = FakeTask({"one": requests})
        (outcome,) = evaluated(tmp_path, task).outcomes
        found = task.seen["one"]
        assert {name: len(each.vectors) for name, each in found.items()} == {
            "images": 4, "regions": 2, "texts": 3, "classes": 2
        }  # fmt: skip
        for each in found.values():
            assert np.linalg.norm(each.vectors, axis=1) == pytest.approx(1, abs=1e-6)
        assert (found["texts"].vectors[0] == found["texts"].vectors[2]).all()
        assert outcome.scores is not None
        assert outcome.scores.evaluated == 11
        assert (outcome.distinct_texts, outcome.truncated, outcome.uses_regions) == (2 + 4, 0, True)

    def test_datasets_share_their_inputs(self, tmp_path: Path, pictures: list[ImageRef]) -> None:
        one: dict[str, Request] = {"i": Images(pictures), "t": Texts(["a", "b"], "short")}
        two: dict[str, Request] = {"r": regions(pictures[:2], WHOLE, WHOLE), "t": Texts(["b", "c"], "short")}
        adapter = FakeAdapter()
        report = evaluated(tmp_path, FakeTask({"one": one, "two": two}), adapter=adapter)
        assert all(outcome.scores for outcome in report.outcomes)
        assert adapter.images_encoded == 4
        assert sorted(adapter.texts_encoded) == ["a", "b", "c"]

    def test_outcomes_come_in_the_order_of_the_plan(self, tmp_path: Path) -> None:
        wanted: dict[str, Wanted] = {name: {"t": Texts([name], "short")} for name in ("z", "a", "m")}
        assert list(by_name(evaluated(tmp_path, FakeTask(wanted)))) == ["z", "a", "m"]

    def test_truncated_texts_are_counted_per_dataset(self, tmp_path: Path) -> None:
        long = "x" * 31
        wanted: dict[str, Wanted] = {
            "one": {"t": Texts([long, long, "a"], "short")},
            "two": {"t": Texts(["a"], "short")},
        }
        found = by_name(evaluated(tmp_path, FakeTask(wanted)))
        assert [(each.truncated, each.distinct_texts) for each in found.values()] == [(1, 2), (0, 1)]

    def test_the_digest_of_the_pictures_is_that_of_their_contents(self, tmp_path: Path) -> None:
        def digest(*refs: ImageRef) -> str:
            return evaluated(tmp_path, FakeTask({"one": {"i": Images(refs)}})).outcomes[0].images_sha256

        a, b = save_picture(tmp_path / "a.png", 1), save_picture(tmp_path / "b.png", 2)
        renamed = save_picture(tmp_path / "sub/c.png", 1)
        assert digest(a, b) == digest(b, renamed) == digest(a, b, a)
        assert digest(a, b) != digest(a)
        contents = sorted(hashlib.sha256(Path(ref.path).read_bytes()).hexdigest() for ref in (a, b))
        assert digest(a, b) == hashlib.sha256("\n".join(contents).encode()).hexdigest()

    def test_a_dataset_of_texts_only_has_no_picture_digest(self, tmp_path: Path) -> None:
        assert evaluated(tmp_path, FakeTask({"one": {"t": Texts(["a"], "short")}})).outcomes[0].images_sha256 == ""

    def test_every_stage_is_told_and_completed(self, tmp_path: Path, pictures: list[ImageRef]) -> None:
        recorder = Recorder()
        requests: dict[str, Request] = {"i": Images(pictures), "t": Texts(["a", "b"], "short")}
        report = evaluated(tmp_path, FakeTask({"one": requests}), progress=recorder)
        assert {title: (total, sum(steps)) for title, (total, steps) in recorder.stages.items()} == {
            "checking pictures": (4, 4), "images": (4, 4), "texts": (2, 2), "scoring": (1, 1)
        }  # fmt: skip
        assert list(report.seconds) == ["probe", "encode_texts", "encode_images", "score"]

    def test_progress_bars_stay_off_standard_output(
        self, tmp_path: Path, pictures: list[ImageRef], capsys: pytest.CaptureFixture[str]
    ) -> None:
        evaluated(tmp_path, FakeTask({"one": {"i": Images(pictures)}}), progress=Bars())
        assert capsys.readouterr().out == ""

    def test_an_empty_plan_has_an_empty_report(self, tmp_path: Path) -> None:
        assert evaluated(tmp_path, FakeTask({})).outcomes == ()


class TestProblems:
    """A dataset with a problem gets its reason; the others are evaluated."""

    GOOD: ClassVar[Wanted] = {"t": Texts(["a"], "short")}

    @pytest.mark.parametrize("problem", [DataMissingError("no file"), DataError("broken"), CapabilityError("cannot")])
    @pytest.mark.parametrize("on_error", ["fail", "skip"])
    def test_what_the_plan_found_is_passed_on(self, tmp_path: Path, problem: Exception, on_error: OnError) -> None:
        found = by_name(evaluated(tmp_path, FakeTask({"bad": problem, "good": self.GOOD}), on_error=on_error))
        assert found["bad"].problem is problem
        assert found["bad"].scores is None
        assert found["good"].scores is not None

    def test_missing_pictures_leave_the_dataset_out(self, tmp_path: Path, pictures: list[ImageRef]) -> None:
        gone = ImageRef(str(tmp_path / "gone.png"))
        adapter = FakeAdapter()
        task = FakeTask({"bad": {"i": Images([*pictures, gone])}, "good": self.GOOD})
        found = by_name(evaluated(tmp_path, task, adapter=adapter))
        assert isinstance(found["bad"].problem, DataMissingError)
        message = str(found["bad"].problem)
        for part in ("bad: 1 of its pictures", "gone.png", "Ask for it.", "--on-error skip"):
            assert part in message
        assert adapter.images_encoded == 0, "nothing is encoded for a dataset that is left out"
        assert found["good"].scores is not None

    def test_missing_pictures_can_be_skipped_and_are_counted(self, tmp_path: Path, pictures: list[ImageRef]) -> None:
        gone = ImageRef(str(tmp_path / "gone.png"))
        task = FakeTask({"one": {"i": Images([*pictures, gone]), "r": regions([gone], WHOLE, WHOLE)}})
        (outcome,) = evaluated(tmp_path, task, on_error="skip").outcomes
        assert outcome.scores is not None
        assert outcome.scores.evaluated == 4
        assert outcome.scores.skipped == {"image_missing": 3}

    @pytest.mark.parametrize("keep", [0, 40], ids=["no header", "half the pixels"])
    def test_broken_pictures_leave_the_dataset_out(self, tmp_path: Path, pictures: list[ImageRef], keep: int) -> None:
        damage(pictures[1], keep)
        task = FakeTask({"bad": {"i": Images(pictures)}, "good": {"i": Images(pictures[2:])}})
        found = by_name(evaluated(tmp_path, task))
        assert isinstance(found["bad"].problem, DataError)
        assert f"bad: 1 pictures cannot be read:\n  {pictures[1]}" in str(found["bad"].problem)
        assert found["good"].scores is not None

    @pytest.mark.parametrize("keep", [0, 40], ids=["no header", "half the pixels"])
    def test_broken_pictures_can_be_skipped(self, tmp_path: Path, pictures: list[ImageRef], keep: int) -> None:
        damage(pictures[1], keep)
        requests: dict[str, Request] = {"i": Images(pictures), "r": regions(pictures, WHOLE, WHOLE)}
        (outcome,) = evaluated(tmp_path, FakeTask({"one": requests}), on_error="skip").outcomes
        assert outcome.scores is not None
        assert outcome.scores.skipped == {"image_unreadable": 2}
        assert outcome.scores.evaluated == 4

    def test_of_many_broken_pictures_five_are_named(self, tmp_path: Path) -> None:
        pictures = save_pictures(tmp_path / "many", 8)
        for picture in pictures:
            damage(picture, 3)
        (outcome,) = evaluated(tmp_path, FakeTask({"one": {"i": Images(pictures)}})).outcomes
        message = str(outcome.problem)
        assert sum(str(picture) in message for picture in pictures) == 5
        assert "and 3 more" in message

    def test_unusable_boxes_leave_the_dataset_out(self, tmp_path: Path, pictures: list[ImageRef]) -> None:
        requests: dict[str, Request] = {"r": regions(pictures, WHOLE, (0, 0, 0, 5), (99, 0, 5, 5), (1, 1, -2, 2))}
        (outcome,) = evaluated(tmp_path, FakeTask({"one": requests})).outcomes
        assert isinstance(outcome.problem, DataError)
        assert "box_outside_image 1, degenerate_box 2" in str(outcome.problem)
        (outcome,) = evaluated(tmp_path, FakeTask({"one": requests}), on_error="skip").outcomes
        assert outcome.scores is not None
        assert outcome.scores.skipped == {"degenerate_box": 2, "box_outside_image": 1}

    def test_rejected_items_leave_the_dataset_out_before_anything_is_encoded(self, tmp_path: Path) -> None:
        adapter = FakeAdapter()
        task = FakeTask({"one": self.GOOD}, rejected={"unknown_category": 2})
        (outcome,) = evaluated(tmp_path, task, adapter=adapter).outcomes
        assert isinstance(outcome.problem, DataError)
        assert "unknown_category 2" in str(outcome.problem)
        assert adapter.texts_encoded == []

    def test_rejected_items_can_be_skipped(self, tmp_path: Path) -> None:
        task = FakeTask({"one": self.GOOD}, rejected={"unknown_category": 2})
        (outcome,) = evaluated(tmp_path, task, on_error="skip").outcomes
        assert outcome.scores is not None
        assert outcome.scores.skipped == {"unknown_category": 2}

    @pytest.mark.parametrize("on_error", ["fail", "skip"])
    def test_what_was_wrong_with_the_first_item_of_a_reason_is_said(self, tmp_path: Path, on_error: OnError) -> None:
        class Choosy(FakeTask):
            def score(self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Embeddings]) -> Scores:
                examples = {"mask_size": "a.png has 3×2 pixels", "mask_values": "b.png: 77"}
                return Scores([], 0, Counter(mask_size=2, mask_values=1), {}, examples=examples)

        (outcome,) = evaluated(tmp_path, Choosy({"one": self.GOOD}), on_error=on_error).outcomes
        assert outcome.scores is None
        assert "mask_size 2, mask_values 1.\n  a.png has 3×2 pixels\n  b.png: 77\n" in str(outcome.problem)

    def test_if_nothing_is_left_there_is_no_result(self, tmp_path: Path, pictures: list[ImageRef]) -> None:
        gone: Wanted = {"i": Images([ImageRef(str(tmp_path / "gone.png"))])}
        unusable: Wanted = {"r": regions(pictures, (0, 0, 0, 0))}
        found = by_name(evaluated(tmp_path, FakeTask({"gone": gone, "unusable": unusable}), on_error="skip"))
        assert isinstance(found["gone"].problem, DataMissingError)
        assert isinstance(found["unusable"].problem, DataError)
        assert "degenerate_box 1" in str(found["unusable"].problem)

    def test_a_model_without_dense_features_cannot_pool_regions(self, tmp_path: Path, pictures: list[ImageRef]) -> None:
        task = FakeTask({"boxes": {"r": regions(pictures, WHOLE)}, "good": {"i": Images(pictures)}})
        found = by_name(evaluated(tmp_path, task, adapter=FakeAdapter(dense=False)))
        assert isinstance(found["boxes"].problem, CapabilityError)
        assert "--region-mode crop" in str(found["boxes"].problem)
        assert found["good"].scores is not None
        report = evaluated(tmp_path, task, adapter=FakeAdapter(dense=False), mode="crop")
        assert all(outcome.scores for outcome in report.outcomes)

    def test_a_broken_model_stops_the_run_but_keeps_finished_chunks(
        self, tmp_path: Path, pictures: list[ImageRef], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("fgbench.runner.jobs.CHUNK_PASSES", 2)
        adapter = FakeAdapter()
        adapter.spoil_images = lambda features: (
            features._replace(pooled=features.pooled * float("nan")) if len(adapter.image_batches) > 1 else features
        )
        with pytest.raises(ModelError, match="NaN"):
            evaluated(tmp_path, FakeTask({"one": {"i": Images(pictures)}}), adapter=adapter)
        again = FakeAdapter()
        evaluated(tmp_path, FakeTask({"one": {"i": Images(pictures)}}), adapter=again)
        assert again.images_encoded == 2

    def test_damaged_features_are_encoded_again(self, tmp_path: Path, pictures: list[ImageRef]) -> None:
        task = FakeTask({"one": {"i": Images(pictures), "t": Texts(["a"], "short")}})
        evaluated(tmp_path, task)
        expected = task.seen["one"]["i"].vectors
        for path in (tmp_path / "store").iterdir():
            path.write_bytes(path.read_bytes()[:-3])
        adapter = FakeAdapter()
        encoder = fake_encoder(adapter, tmp_path / "store")
        evaluated(tmp_path, task, encoder=encoder)
        assert len(encoder.store.damaged) == 2
        assert (adapter.images_encoded, len(adapter.texts_encoded)) == (4, 1)
        assert (task.seen["one"]["i"].vectors == expected).all()

    def test_a_picture_that_went_away_meanwhile_is_reported(
        self, tmp_path: Path, pictures: list[ImageRef], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Deleting(Recorder):
            @contextlib.contextmanager
            def stage(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
                if title == "images":
                    Path(pictures[2].path).unlink()
                yield lambda _: None

        (outcome,) = evaluated(tmp_path, FakeTask({"one": {"i": Images(pictures)}}), progress=Deleting()).outcomes
        assert isinstance(outcome.problem, DataError)
        assert str(pictures[2]) in str(outcome.problem)
