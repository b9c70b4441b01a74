from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fgbench
from fgbench import api
from fgbench.api import Evaluation, NotEvaluated, evaluate, plan
from fgbench.errors import ModelError, StoreError, UsageError

from .fakes import FakeAdapter
from .layouts import coco_captions, coco_instances, coco_pictures, fg_ovd, instance

CAPTIONS = [(image, f"Caption {number} of {image}") for number in range(5) for image in (1, 2, 3)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Captions and boxes of three pictures, and FG-OVD on the first of them."""
    root = tmp_path / "data"
    coco_pictures(root, (1, 2, 3))
    coco_captions(root, CAPTIONS)
    coco_instances(root, [instance(10 + image, image, 7) for image in (1, 2, 3)], (1, 2, 3), {7: "cat", 9: "dog"})
    fg_ovd(root)
    return root


Run = Callable[..., Evaluation]


@pytest.fixture
def run(root: Path, tmp_path: Path) -> Run:
    def call(adapter: FakeAdapter | str | None = None, dataset: str = "coco", **options: Any) -> Evaluation:
        options = {"data_root": root, "output": tmp_path / "results", **options}
        return evaluate(adapter or FakeAdapter(), None, dataset, **options)

    return call


class TestResult:
    def test_there_is_a_record_for_every_dataset(self, run: Run, tmp_path: Path) -> None:
        result = run(dataset="fg-ovd,coco-box,coco")
        assert [record["dataset"] for record in result.records] == ["fg-ovd", "coco-box", "coco"]
        assert result.not_evaluated == ()
        assert result.exit_code == 0
        assert result.folder == tmp_path / "results/fake"
        assert sorted(path.name for path in result.folder.iterdir()) == [
            "coco-box.items.npz", "coco-box.json", "coco-box.sizes.csv",
            "coco.caption-length.csv", "coco.items.npz", "coco.json",
            "fg-ovd.attributes.csv", "fg-ovd.items.npz", "fg-ovd.json",
        ]  # fmt: skip
        for record in result.records:
            assert json.loads((result.folder / f"{record['dataset']}.json").read_text(encoding="utf-8")) == record

    def test_the_table_of_all_results_grows(self, run: Run, tmp_path: Path) -> None:
        run(dataset="coco-box")
        run(dataset="coco")
        with (tmp_path / "results/results.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["dataset"] for row in rows] == ["coco-box"] * 4 + ["coco"] * 6
        assert {row["model"] for row in rows} == {"fake"}

    def test_datasets_share_one_run(self, run: Run) -> None:
        adapter = FakeAdapter()
        run(adapter, dataset="fg-ovd,coco-box,coco")
        assert adapter.images_encoded == 3

    def test_a_second_run_reuses_the_embeddings_of_the_first(self, run: Run) -> None:
        first, second = FakeAdapter(), FakeAdapter()
        before = run(first, dataset="coco")
        after = run(second, dataset="coco")
        assert (second.images_encoded, second.texts_encoded) == (0, [])
        assert before.records[0]["scores"] == after.records[0]["scores"]

    def test_fresh_encodes_again(self, run: Run) -> None:
        run()
        adapter = FakeAdapter()
        run(adapter, fresh=True)
        assert adapter.images_encoded == 3

    @pytest.mark.parametrize(
        "change", [{"seed": 1}, {"settings": {"x": 1}}, {"text_length": {"short": 9, "box": 9, "long": 9}}]
    )
    def test_another_model_reuses_nothing(self, run: Run, change: dict[str, Any]) -> None:
        run()
        adapter = FakeAdapter(**change)
        run(adapter)
        assert adapter.images_encoded == 3

    def test_damaged_embeddings_are_noted(self, run: Run, tmp_path: Path) -> None:
        expected = run().records[0]["scores"]
        for path in (tmp_path / "results/features").rglob("*.safetensors"):
            path.write_bytes(path.read_bytes()[:-2])
        result = run()
        assert result.records[0]["scores"] == expected
        assert result.notes == ("2 damaged feature files were found and encoded again.",)

    def test_the_model_is_put_into_evaluation_mode(self, run: Run) -> None:
        adapter = FakeAdapter()
        adapter.module.train()
        run(adapter)
        assert not adapter.module.training


class TestNames:
    """Every choice of a run that changes numbers is part of the name under which they are published."""

    def name(self, run: Run, adapter: FakeAdapter | None = None, **options: Any) -> str:
        (record,) = run(adapter, **options).records
        return str(record["model"]["name"])

    def test_with_defaults_it_is_the_adapter_s(self, run: Run) -> None:
        assert self.name(run) == self.name(run, region_mode="roi", precision="fp32") == "fake"

    def test_region_mode_and_precision_are_added(self, run: Run) -> None:
        assert self.name(run, region_mode="crop") == "fake?region=crop"
        assert self.name(run, precision="bf16") == "fake?precision=bf16"
        assert self.name(run, region_mode="crop", precision="bf16") == "fake?region=crop&precision=bf16"

    def test_they_follow_the_options_of_the_model_string(self, run: Run) -> None:
        assert self.name(run, FakeAdapter(name="fake?budget=256"), region_mode="crop") == "fake?budget=256&region=crop"

    def test_the_model_s_own_region_mode_is_not(self, run: Run) -> None:
        adapter = FakeAdapter(region_default="crop")
        assert self.name(run, adapter) == "fake"
        assert self.name(run, adapter, region_mode="roi") == "fake?region=roi"

    def test_different_choices_have_different_folders(self, run: Run, tmp_path: Path) -> None:
        for mode in ("roi", "crop"):
            run(dataset="coco-box", region_mode=mode)
        assert sorted(path.parent.name for path in (tmp_path / "results").glob("*/coco-box.json")) == [
            "fake", "fake_region=crop"
        ]  # fmt: skip

    def test_a_second_checkpoint_of_the_same_name_has_its_own_folder(self, run: Run) -> None:
        first, second = run(FakeAdapter(seed=1)), run(FakeAdapter(seed=2))
        assert first.folder.name == "fake"
        assert second.folder.name == f"fake-{second.records[0]['model']['sha256'][:8]}"
        assert run(FakeAdapter(seed=1)).folder == first.folder
        assert run(FakeAdapter(seed=2)).folder == second.folder

    def test_a_limited_run_leaves_the_full_record_alone(self, run: Run) -> None:
        full = run().folder / "coco.json"
        before = full.read_bytes()
        limited = run(limit=1)
        assert full.read_bytes() == before
        assert (limited.folder / "coco.limit-1.json").is_file()
        assert limited.records[0]["counts"]["expected"] == 1

    def test_a_name_cannot_leave_the_results_folder(self, run: Run, tmp_path: Path) -> None:
        result = run(FakeAdapter(name="../../evil"))
        assert result.folder.parent == tmp_path / "results"


class TestNotEvaluated:
    def test_missing_data_is_told_and_the_rest_is_evaluated(self, run: Run) -> None:
        result = run(dataset="coco,flickr30k")
        assert [record["dataset"] for record in result.records] == ["coco"]
        (missing,) = result.not_evaluated
        assert (missing.dataset, missing.task, missing.failed) == ("flickr30k", "short-retrieval", False)
        assert "flickr30k: no annotations found" in missing.reason
        assert result.exit_code == 3

    def test_broken_data_is_a_failure(self, run: Run, root: Path) -> None:
        (root / "coco/annotations/captions_val2017.json").write_text("{")
        result = run(dataset="coco,coco-box,flickr30k")
        assert [(each.dataset, each.failed) for each in result.not_evaluated] == [("coco", True), ("flickr30k", False)]
        assert result.exit_code == 1

    def test_pictures_that_are_not_there_can_be_skipped(self, run: Run, root: Path) -> None:
        (root / "coco/val2017/000000000002.png").unlink()
        assert run().exit_code == 3
        (record,) = run(on_error="skip").records
        assert record["counts"]["skipped"] == {"image_missing": 1}

    @pytest.mark.parametrize(
        ("failed", "code"), [([], 0), ([False], 3), ([True], 1), ([False, True], 1), ([True, False], 1)]
    )
    def test_the_exit_code_is_that_of_the_worst(self, failed: list[bool], code: int) -> None:
        missing = tuple(NotEvaluated("a", "b", "c", each) for each in failed)
        assert Evaluation((), missing, Path()).exit_code == code

    def test_without_any_result_there_is_no_model_folder(self, run: Run) -> None:
        result = run(dataset="flickr30k")
        assert result.records == ()
        assert not result.folder.exists()


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"limit": 0}, "limit is 0; expected at least 1"),
            ({"limit": -3}, "limit is -3"),
            ({"batch_size": 0}, "batch_size is 0"),
            ({"workers": -1}, "workers is -1"),
            ({"device": "gpu"}, "Device 'gpu' cannot be used here"),
            ({"dataset": "coc"}, "There is no dataset 'coc'"),
            ({"data_root": "/nowhere/at/all"}, "Data root /nowhere/at/all does not exist"),
            ({"files": {"coco": "x"}}, "'coco': expected <dataset>.<role>"),
            ({"files": {"coco.": "x"}}, "expected <dataset>.<role>"),
            ({"files": {"coc.images": "x"}}, "There is no dataset 'coc'"),
            ({"files": {"coco.pictures": "x"}}, "coco has no files called 'pictures'; it has: annotations, images"),
        ],
    )
    def test_a_wrong_option_is_a_usage_error_before_anything_is_encoded(
        self, run: Run, options: dict[str, Any], message: str
    ) -> None:
        adapter = FakeAdapter()
        with pytest.raises(UsageError, match=message):
            run(adapter, **options)
        assert (adapter.images_encoded, adapter.texts_encoded) == (0, [])

    def test_a_model_without_dense_features_cannot_be_asked_for_roi(self, run: Run) -> None:
        with pytest.raises(UsageError, match="fake has no dense features, so --region-mode roi is impossible"):
            run(FakeAdapter(dense=False), region_mode="roi")
        (record,) = run(FakeAdapter(dense=False), dataset="coco-box").records
        assert record["protocol"]["region_mode"] == "crop"

    def test_files_may_lie_elsewhere(self, run: Run, root: Path, tmp_path: Path) -> None:
        (root / "coco").rename(tmp_path / "elsewhere")
        places = {
            "coco.annotations": tmp_path / "elsewhere/annotations/captions_val2017.json",
            "coco.images": str(tmp_path / "elsewhere/val2017"),
        }
        assert run(files=places).exit_code == 0
        assert run().exit_code == 3

    def test_a_home_folder_may_be_shortened(self, run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(root.parent))
        (root / "coco/annotations/captions_val2017.json").rename(root.parent / "mine.json")
        assert run(files={"coco.annotations": "~/mine.json"}).exit_code == 0
        assert run(data_root="~/data", dataset="coco-box").exit_code == 0

    def test_a_model_string_is_loaded(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(api, "load_model", lambda text: FakeAdapter(name=text))
        (record,) = run("untrained:fgclip2?seed=3").records
        assert record["model"]["name"] == "untrained:fgclip2?seed=3"

    def test_a_mistyped_model_is_found_before_anything_is_read(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(api, "plan", lambda *_, **__: pytest.fail("annotations were read"))
        with pytest.raises(UsageError, match=r"There is no model 'fgclip-2'.*Did you mean 'fgclip2'"):
            run("fgclip-2")

    def test_an_output_that_cannot_be_written_is_a_store_error(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match="cannot be written"):
            run(output=tmp_path / "file")

    def test_a_model_that_returns_no_numbers_is_a_model_error(self, run: Run, tmp_path: Path) -> None:
        adapter = FakeAdapter()
        adapter.spoil_texts = lambda features: features._replace(vectors=features.vectors / 0 * 0)
        with pytest.raises(ModelError, match="NaN"):
            run(adapter)
        assert not (tmp_path / "results/fake").exists()


class TestPlan:
    def test_it_counts_what_would_be_encoded(self, root: Path) -> None:
        total = plan(dataset="coco,coco-box,fg-ovd", data_root=root).summary()["total"]
        assert total["items"] == 3 + 3 + 8
        assert total["distinct_images"] == 3
        assert total["regions"] == 3 + 8
        assert total["texts"] == 15 + 2 * 80 + 8 * 3
        assert total["missing"] == 0

    def test_the_limit_applies(self, root: Path) -> None:
        assert plan(dataset="coco-box", data_root=root, limit=2).summary()["total"]["items"] == 2

    def test_it_reports_missing_data_instead_of_failing(self, root: Path) -> None:
        assert plan(dataset="flickr30k", data_root=root).summary()["datasets"]["flickr30k"]["status"] == "missing"


class TestPackage:
    def test_public_names_can_be_imported(self) -> None:
        assert all(getattr(fgbench, name) is not None for name in fgbench.__all__)
        assert fgbench.evaluate is evaluate

    def test_an_unknown_name_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match="has no attribute 'evaluat'"):
            fgbench.evaluat  # noqa: B018

    def test_every_public_name_is_listed(self) -> None:
        assert set(fgbench.__all__) <= set(dir(fgbench))


def test_the_adapter_s_facts_are_not_changed_by_a_run(run: Run) -> None:
    adapter = FakeAdapter()
    before = dataclasses.replace(adapter.info)
    run(adapter, region_mode="crop")
    assert adapter.info == before
