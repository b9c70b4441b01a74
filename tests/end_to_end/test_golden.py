"""On the same weights and files, fgbench gives the figures that the official evaluation code gave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import fgbench
from fgbench.api import Evaluation

DATASETS = ("fg-ovd", "coco-box", "coco")


def values(result: Evaluation) -> dict[str, float]:
    """Every score as ``dataset/subset/metric``."""
    return {
        f"{record['dataset']}/{score['subset']}/{score['metric']}": score["value"]
        for record in result.records
        for score in record["scores"]
    }


def passes(result: Evaluation) -> int:
    """Pictures and crops that went through the vision tower."""
    return int(result.records[0]["timings"]["counters"]["image_passes"])


@pytest.fixture(scope="module")
def expected(golden: Path) -> Any:
    """The figures of the tiny FG-CLIP 2."""
    return json.loads((golden / "expected.json").read_text(encoding="utf-8"))["fgclip2"]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results folder of this module."""
    return tmp_path_factory.mktemp("golden") / "results"


def run(golden: Path, output: Path, *datasets: str, **options: Any) -> Evaluation:
    """Evaluate the tiny FG-CLIP 2."""
    return fgbench.evaluate(
        str(golden / "fgclip2-tiny"),
        None,
        datasets,
        data_root=options.pop("data_root", golden / "data"),
        output=output,
        **options,
    )


@pytest.fixture(scope="module")
def evaluated(golden: Path, output: Path) -> Evaluation:
    """Everything at once, with RoI features."""
    return run(golden, output, *DATASETS, on_error="skip")


@pytest.fixture(scope="module")
def cropped(golden: Path, output: Path, evaluated: Evaluation) -> Evaluation:
    """The boxes as crops, into the same results folder."""
    return run(golden, output, "coco-box", on_error="skip", region_mode="crop")


def test_retrieval_equals_the_official_figures(evaluated: Evaluation, expected: Any) -> None:
    for metric, value in expected["coco_retrieval"]["metrics"].items():
        assert values(evaluated)[f"coco/*/{metric}"] == value, metric


@pytest.mark.parametrize(
    ("subset", "script"),
    [
        ("hard", "fgovd_h_attributes"),
        ("medium", "fgovd_m_attributes"),
        ("easy", "fgovd_e_attributes"),
        ("trivial", "fgovd_shuffle_negatives"),
    ],
)
def test_fine_grained_equals_the_official_figures(
    evaluated: Evaluation, expected: Any, subset: str, script: str
) -> None:
    metrics = expected[script]["metrics"]
    [record] = [each for each in evaluated.records if each["dataset"] == "fg-ovd"]
    [score] = [each for each in record["scores"] if each["subset"] == subset]
    assert (score["metric"], score["value"], score["n"]) == ("top1", metrics["accuracy"], metrics["count"])


@pytest.mark.parametrize(
    ("mode", "script"),
    [("roi", "coco_box_cls"), ("crop", "coco_box_cls_crop"), ("crop", "coco_box_cls_crop_axis_right")],
)
def test_boxes_equal_the_official_figures(
    evaluated: Evaluation, cropped: Evaluation, expected: Any, mode: str, script: str
) -> None:
    result = evaluated if mode == "roi" else cropped
    [record] = [each for each in result.records if each["dataset"] == "coco-box"]
    assert record["protocol"]["region_mode"] == mode
    scores = {score["metric"]: score for score in record["scores"] if score["subset"] == "all"}
    for metric in ("top1", "top5"):
        assert scores[metric]["value"] == expected[script]["metrics"][metric]
        assert scores[metric]["n"] == expected[script]["metrics"]["total"]


@pytest.mark.parametrize("dataset", ["dci-cn", "docci-cn", "lit-cn"])
def test_long_chinese_retrieval_equals_the_official_figures(
    golden: Path, tmp_path: Path, expected: Any, dataset: str
) -> None:
    places = {"annotations": golden / "data/long_cn/image_caption_trans.txt", "images": golden / "data"}
    result = run(golden, tmp_path, dataset, files={f"{dataset}.{role}": path for role, path in places.items()})
    assert values(result) == {
        f"{dataset}/*/{metric}": value for metric, value in expected["long_cn"]["metrics"].items()
    }
    assert result.records[0]["counts"]["evaluated"] == 14
    assert result.records[0]["counts"]["texts_truncated"] == 0


def test_what_was_left_out_is_counted(evaluated: Evaluation, expected: Any) -> None:
    [record] = [each for each in evaluated.records if each["dataset"] == "coco-box"]
    official = expected["coco_box_cls"]["counts"]
    assert record["counts"]["expected"] == official["annotations_in_file"] == 58
    assert record["counts"]["evaluated"] == official["counted"] == 54
    assert record["counts"]["skipped"] == {
        "image_missing": official["annotations_of_unreadable_images"],
        "unknown_category": official["annotations_with_unlisted_category"],
    }
    assert record["counts"]["published"] == 36781


def test_without_skip_the_dataset_is_left_out_and_the_picture_named(golden: Path, tmp_path: Path) -> None:
    result = run(golden, tmp_path / "results", "coco-box", "fg-ovd")
    assert [record["dataset"] for record in result.records] == ["fg-ovd"]
    [problem] = result.not_evaluated
    assert problem.dataset == "coco-box"
    instances = json.loads((golden / "data/coco/annotations/instances_val2017.json").read_text(encoding="utf-8"))
    names = {row["file_name"] for row in instances["images"]}
    [absent] = [name for name in sorted(names) if not (golden / "data/coco/val2017" / name).exists()]
    assert absent in problem.reason
    assert "--on-error skip" in problem.reason
    assert not problem.failed
    assert result.exit_code == 3
    assert not (tmp_path / "results/fgclip2-tiny/coco-box.json").exists()


def test_crops_have_a_name_of_their_own(evaluated: Evaluation, cropped: Evaluation, output: Path) -> None:
    assert evaluated.records[0]["model"]["name"] == "fgclip2-tiny"
    assert cropped.records[0]["model"]["name"] == "fgclip2-tiny?region=crop"
    assert (output / "fgclip2-tiny/coco-box.json").exists()
    assert (cropped.folder / "coco-box.json").exists()
    assert cropped.folder != evaluated.folder
    rows = (output / "results.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert len(rows) == len(values(evaluated)) + len(values(cropped))


def test_a_second_run_encodes_nothing(golden: Path, output: Path, evaluated: Evaluation) -> None:
    again = run(golden, output, *DATASETS, on_error="skip")
    counters = again.records[0]["timings"]["counters"]
    assert {name: count for name, count in counters.items() if count} == {
        "rows_reused": evaluated.records[0]["timings"]["counters"]["texts_encoded"]
        + evaluated.records[0]["timings"]["counters"]["regions_pooled"]
        + passes(evaluated)
    }
    for first, second in zip(evaluated.records, again.records, strict=True):
        assert without_timings(first) == without_timings(second)


def test_another_dataset_encodes_only_its_new_pictures(golden: Path, tmp_path: Path, evaluated: Evaluation) -> None:
    output = tmp_path / "results"
    first = run(golden, output, "fg-ovd")
    second = run(golden, output, "coco")
    fg_ovd, coco = first.records[0]["data"]["images"], second.records[0]["data"]["images"]
    everything = passes(evaluated)
    assert passes(first) == fg_ovd == 13
    assert coco == 14
    assert passes(second) == everything - fg_ovd < coco
    assert {**values(first), **values(second)}.items() <= values(evaluated).items()


def without_timings(record: Mapping[str, Any]) -> dict[str, Any]:
    """What two runs of the same evaluation have in common."""
    return {name: value for name, value in record.items() if name != "timings"}


def test_real_photographs_equal_the_official_figures(golden: Path, coco_mini: Path, tmp_path: Path) -> None:
    wanted = json.loads((golden / "coco-mini-expected.json").read_text(encoding="utf-8"))
    output = tmp_path / "results"
    roi = run(golden, output, *DATASETS, data_root=coco_mini)
    crop = run(golden, output, "coco-box", data_root=coco_mini, region_mode="crop")
    assert not roi.not_evaluated
    assert not crop.not_evaluated
    assert passes(roi) == 67
    found = values(roi) | {name.replace("coco-box", "coco-box-crop"): value for name, value in values(crop).items()}
    assert wanted["metrics"].items() <= found.items()
    counts = {
        f"{record['dataset']}/{score['subset']}": score["n"] for record in roi.records for score in record["scores"]
    }
    assert wanted["n"].items() <= counts.items()
    assert all(record["counts"]["evaluated"] == record["counts"]["expected"] for record in roi.records)
    assert crop.records[0]["model"]["name"].endswith("region=crop")
