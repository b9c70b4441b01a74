"""Every dataset, from files in its published layouts to its numbers, which are computed a second time with loops."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fgbench
from fgbench.adapter import Adapter
from fgbench.models import load_adapter
from fgbench.runner.plan import PlannedDataset
from fgbench.selection import datasets, select

from .archived import Archived
from .brute_force import Reference, Result
from .comparing import Run, compare, evaluate
from .expected_results import (
    CLASSES,
    EXPECTED,
    boxes,
    coco_box,
    everything,
    few_lines,
    filled,
    imagenet,
    imagenet_labels,
    lvis_names,
    read,
    write,
)
from .shapes.layouts import write_layouts
from .shapes.scenes import make_scenes

if TYPE_CHECKING:
    from fgbench.spec import DatasetSpec

    from .conftest import Thumbnail

SCENES = 12
MAIN = [spec.id for _, spec in select(None, None)]
OPTIONAL = ["coco-karpathy", "coco-cn-human", "imagenet-1k-zh", "imagenet-v2-zh"]
MADE = [name for name in MAIN if name in {
    "fg-ovd", "coco-box", "lvis-box", "boxclass-cn", "sharegpt4v", "dci", "lit-cn", "dci-cn", "docci-cn",
    "coco", "flickr30k", "flickr30k-cna", "coco-cn", "imagenet-1k", "imagenet-v2",
}]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def few_classes() -> Iterator[None]:
    """80,000 prompts take half a minute and show nothing that 640 do not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fgbench.tasks.classification.lines", few_lines)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("datasets")


@pytest.fixture(scope="module")
def base(folder: Path) -> Path:
    """Loose files in the layouts of the miniature suite; capital letters are added, so that casing matters."""
    root = folder / "base"
    write_layouts(make_scenes(SCENES, seed=7), root)
    for path in [*root.glob("*/*.txt"), root / "BoxClass-CN/jsonfile/valid_category_data_total_zh.json"]:
        text = path.read_text(encoding="utf-8")
        write(path, text.replace("圆", "O圆").replace("方", "L方").replace("星", "X星").replace("十", "T十"))
    for path in (root / "coco/annotations/instances_val2017.json", root / "lvis/lvis_v1_val.json"):
        content = read(path)
        for row in content["categories"]:
            row["name"] = f"Big_{row['name'].upper()}"
        write(path, content)
    return root


@pytest.fixture(scope="module")
def pictures(base: Path) -> dict[int, bytes]:
    """Files by number of the scene."""
    return {int(path.stem): path.read_bytes() for path in sorted((base / "coco/val2017").iterdir())}


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    return load_adapter("fgclip2-untrained")


@pytest.fixture(scope="module")
def model(adapter: Adapter, pictures: dict[int, bytes]) -> Reference:
    adapter.module.eval()
    return Reference(adapter, pictures)


@pytest.fixture(scope="module")
def archived(base: Path, folder: Path, pictures: dict[int, bytes]) -> Path:
    Archived(base, folder / "archived", pictures).write()
    return folder / "archived"


@pytest.fixture(scope="module")
def expected(model: Reference, base: Path) -> Callable[[str], Result]:
    """Results of a dataset in the first layout, computed once."""
    known: dict[str, Result] = {}

    def compute(dataset: str) -> Result:
        if dataset not in known:
            known[dataset] = EXPECTED[dataset](model, base)
        return known[dataset]

    return compute


@pytest.fixture(scope="module")
def from_files(adapter: Adapter, base: Path, folder: Path) -> Run:
    """Everything from loose files, in one run."""
    chosen = [*MADE, "imagenet-1k-zh", "imagenet-v2-zh"]
    return evaluate(adapter, chosen, data_root=base, output=folder / "results")


@pytest.fixture(scope="module")
def from_archives(adapter: Adapter, archived: Path, folder: Path, from_files: Run) -> Run:
    """Everything in the other layouts."""
    chosen = [*MADE, *OPTIONAL]
    return evaluate(adapter, chosen, data_root=archived, output=folder / "results")


@pytest.mark.parametrize("dataset", [*MADE, "imagenet-1k-zh", "imagenet-v2-zh"])
def test_loose_files(from_files: Run, expected: Callable[[str], Result], dataset: str) -> None:
    compare(from_files, dataset, expected(dataset))


def test_every_built_in_dataset_is_here() -> None:
    tasks = {datasets().get(name)[1].task for name in MADE}
    built_in = {name for name in datasets() if datasets().get(name)[1].task in tasks}
    assert built_in == set(EXPECTED) == {*MADE, *OPTIONAL}
    assert len(MADE) == 15


def test_q1_every_picture_is_encoded_once_for_all_datasets_and_once_more_for_the_fixed_budget(
    from_files: Run,
) -> None:
    """None of these pictures is so large that its own budget would be 1,024."""
    assert from_files.counters["image_passes"] == from_files.counters["images_decoded"] + SCENES == 2 * SCENES


def test_q2_fg_ovd_has_one_share_per_subset_over_all_of_its_lines(from_files: Run, base: Path) -> None:
    found = from_files.record("fg-ovd")
    lines_of = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in (base / "fgovd").iterdir()}
    assert [(row["subset"], row["metric"], row["n"]) for row in found["scores"]] == [
        ("hard", "top1", lines_of["h_attributes_llava.jsonl"]),
        ("medium", "top1", lines_of["m_attributes_llava.jsonl"]),
        ("easy", "top1", lines_of["e_attributes_llava.jsonl"]),
        ("trivial", "top1", lines_of["shuffle_negatives_llava.jsonl"]),
    ]


CHANGED = {"coco-box", "lvis-box", "imagenet-1k", "imagenet-1k-zh"}
UNCHANGED = [name for name in (*MADE, *OPTIONAL) if name not in CHANGED]


@pytest.mark.parametrize("dataset", UNCHANGED)
def test_other_layouts(from_archives: Run, expected: Callable[[str], Result], dataset: str) -> None:
    compare(from_archives, dataset, expected(dataset))


def test_crowd_regions_are_a_subset(from_archives: Run, model: Reference, archived: Path) -> None:
    path = archived / "coco/annotations/instances_val2017.json"
    wanted = boxes(model, path, filled, all=everything, non_crowd=lambda number, image: number % 5 != 0)
    assert wanted.metrics["all", "top1"].n > wanted.metrics["non-crowd", "top1"].n
    compare(from_archives, "coco-box", wanted)


def test_lvis_over_both_parts_of_coco(from_archives: Run, model: Reference, archived: Path) -> None:
    path = archived / "coco/annotations/lvis_v1_val.json"
    wanted = boxes(model, path, lvis_names, full=everything, val2017=lambda number, image: image % 2 == 1)
    assert wanted.metrics["full", "top1"].n > wanted.metrics["val2017", "top1"].n > 0
    compare(from_archives, "lvis-box", wanted)


def test_q8_lvis_without_train2017_is_another_number_and_says_so(
    adapter: Adapter, base: Path, archived: Path, folder: Path, from_archives: Run
) -> None:
    files = {"lvis-box.annotations": archived / "coco/annotations/lvis_v1_val.json"}
    result = evaluate(adapter, "lvis-box", data_root=base, output=folder / "results", files=files)
    found, both = result.record("lvis-box"), from_archives.record("lvis-box")
    assert found["scores"] == [row for row in both["scores"] if row["subset"] == "val2017"]
    assert [(row["subset"], row["value"] is None) for row in found["main"]] == [("full", True), ("val2017", False)]
    left_out = both["counts"]["expected"] - found["counts"]["expected"]
    [note] = found["notes"]
    assert f"{left_out} boxes on {SCENES // 2} train2017 pictures were left out" in note


@pytest.mark.parametrize("dataset", ["imagenet-1k", "imagenet-1k-zh"])
def test_of_two_classes_of_one_name_the_lower_one_is_predicted(
    from_archives: Run, model: Reference, base: Path, dataset: str
) -> None:
    labels = {**imagenet_labels(base), 1: CLASSES - 1}
    wanted = imagenet(model, labels, lambda number: (labels[number], number), chinese=dataset.endswith("zh"))
    compare(from_archives, dataset, wanted)
    assert from_archives.record(dataset)["counts"]["ties"]["rank"] == sum(
        label in (1, CLASSES - 1) for label in labels.values()
    )


def test_equal_pictures_are_not_encoded_again_whatever_they_are_called(from_archives: Run) -> None:
    """The texts of the human-written set are new in part; the pictures are those of the first run."""
    found = from_archives.counters
    assert (found["image_passes"], found["regions_pooled"]) == (0, 0)
    assert found["texts_encoded"] == 1


def test_prototypes_of_classes_whose_prompts_differ_more_or_less(
    thumbnail: Thumbnail, base: Path, pictures: dict[int, bytes], folder: Path
) -> None:
    """With random weights all prompts of FG-CLIP 2 are nearly parallel and of one length.

    Here the prompts of a short name go apart and those of a long one do not: normalising the mean matters.
    """
    content = read(base / "coco/annotations/instances_val2017.json")
    names = ("i", "W" * 60, "jazz quiz", "~", "mmmm " * 9, "zebra crossing")
    for row, name in zip(content["categories"], names, strict=True):
        row["name"] = name
    path = folder / "other names.json"
    write(path, content)
    files = {"coco-box.annotations": path}
    run = evaluate(thumbnail, "coco-box", data_root=base, output=folder / "thumbnail", files=files)
    model = Reference(thumbnail, pictures)
    compare(run, "coco-box", boxes(model, path, filled, all=everything, non_crowd=everything))


def place(planned: PlannedDataset, role: str) -> Path:
    """Where a role was found."""
    return next(path for path in planned.files.places(role) if path.exists())


@pytest.fixture(scope="module")
def elsewhere(base: Path, folder: Path) -> dict[str, str | Path]:
    """Copies of every file in folders of strange names, as ``--set`` takes them."""
    files: dict[str, str | Path] = {}
    for planned in fgbench.plan(dataset=MADE, data_root=base).datasets:
        spec: DatasetSpec = planned.spec
        for role in spec.files:
            target = folder / "else where" / f"{spec.id} {role}{'/' if role == 'images' else ''}"
            source = place(planned, role)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(source, target)
            files[f"{spec.id}.{role}"] = str(target)
    # COCO-CN's pictures in a tree of 2017, half of them in the other folder.
    tree = folder / "else where/coco-cn images"
    (tree / "train2017").mkdir()
    for path in list((tree / "val2017").iterdir())[::2]:
        path.rename(tree / "train2017" / path.name)
    return files


def test_places_that_the_user_names(
    adapter: Adapter,
    folder: Path,
    elsewhere: dict[str, str | Path],
    from_files: Run,
    expected: Callable[[str], Result],
) -> None:
    """Nothing is in the data root; all 15 datasets are found by ``--set dataset.role=path``."""
    (folder / "empty").mkdir()
    result = evaluate(adapter, MADE, data_root=folder / "empty", output=folder / "results", files=elsewhere)
    for dataset in MADE:
        compare(result, dataset, expected(dataset))
        first, second = from_files.record(dataset), result.record(dataset)
        assert first["scores"] == second["scores"]
        assert first["data"]["images_sha256"] == second["data"]["images_sha256"]
    assert result.counters["image_passes"] == result.counters["texts_encoded"] == 0


def test_forked_workers_read_archives(
    adapter: Adapter, archived: Path, folder: Path, expected: Callable[[str], Result]
) -> None:
    """Zip and tar, from two workers, in small batches; nothing stored before is used."""
    chosen = ["boxclass-cn", "sharegpt4v", "lit-cn", "coco-karpathy"]
    result = evaluate(adapter, chosen, data_root=archived, output=folder / "workers", workers=2, batch_size=3)
    assert result.counters["image_passes"] == SCENES
    for dataset in chosen:
        compare(result, dataset, expected(dataset))


RETRIEVAL = [name for name in MADE if datasets().get(name)[1].task.endswith("retrieval")]


def test_q24_one_picture_is_a_set(adapter: Adapter, base: Path, folder: Path, from_files: Run) -> None:
    result = evaluate(adapter, RETRIEVAL, data_root=base, output=folder / "results", limit=1)
    for dataset in RETRIEVAL:
        found = result.record(dataset)
        assert {row["value"] for row in found["scores"]} == {1.0}
        assert found["counts"]["evaluated"] == 1


def test_q7_boxes_that_cannot_be_evaluated_are_counted_and_fail_by_default(
    adapter: Adapter, base: Path, folder: Path, from_files: Run, model: Reference
) -> None:
    """The official scripts leave them out of numerator and denominator and say nothing."""
    content = read(base / "coco/annotations/instances_val2017.json")
    good = len(content["annotations"])
    first = content["annotations"][0]
    bad = [{**first, "bbox": [5, 5, 0, 9]}, {**first, "bbox": [9000, 5, 9, 9]}, {**first, "category_id": 1234}]
    content["annotations"] += [{**row, "id": 10_000 + number} for number, row in enumerate(bad)]
    path = folder / "bad boxes.json"
    write(path, content)
    options: dict[str, Any] = {
        "data_root": base, "output": folder / "results", "files": {"coco-box.annotations": path},
    }  # fmt: skip
    failed = evaluate(adapter, "coco-box", **options)
    assert (len(failed.result.records), failed.result.exit_code) == (0, 1)
    assert "unknown_category 1" in failed.result.not_evaluated[0].reason
    partial = evaluate(adapter, "coco-box", on_error="skip", **options)
    counts = partial.record("coco-box")["counts"]
    assert counts["skipped"] == {"box_outside_image": 1, "degenerate_box": 1, "unknown_category": 1}
    assert (counts["expected"], counts["evaluated"]) == (good + 3, good)
    wanted = coco_box(model, base)
    for row in partial.record("coco-box")["scores"]:
        bounds = wanted.metrics[row["subset"], row["metric"]]
        assert row["n"] == good
        assert bounds.low <= row["value"] <= bounds.high
