"""Result files of other detectors: what is kept, dropped and counted, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbench.data.detection_results import ImportReport, read_results, write_results
from fgbench.data.proposals import Proposals
from fgbench.errors import DataError, StoreError

IDS, SIZES, CATEGORIES = [5, 9, 12], np.array([[640, 480], [100, 50], [640, 427]]), [1, 3, 1203]

Entry = dict[str, Any]


def entry(image: Any = 5, category: Any = 1, box: Any = (10, 20, 30, 40), score: Any = 0.5) -> Entry:
    return {"image_id": image, "category_id": category, "bbox": list(box), "score": score}


def read(path: Path, *entries: Entry | str) -> tuple[Proposals, ImportReport]:
    texts = [each if isinstance(each, str) else json.dumps(each) for each in entries]
    path.write_text(f"[{', '.join(texts)}]", encoding="utf-8")
    return read_results(path, IDS, SIZES, CATEGORIES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.json"


def test_kept_as_it_is(path: Path) -> None:
    found, report = read(path, entry(9), entry(5, 1203, score=0.25), entry(5, 3, score=1), entry(box=(0, 0, 640, 480)))
    assert found.image_ids.tolist() == IDS
    assert found.box.tolist() == [[10, 20, 40, 60], [0, 0, 640, 480], [10, 20, 40, 50]]
    assert found.box_image.tolist() == [0, 0, 1]
    assert found.det_box.tolist() == [0, 0, 1, 2]
    assert found.det_category.tolist() == [1203, 3, 1, 1]
    assert found.det_score.tolist() == [0.25, 1.0, 0.5, 0.5]
    assert report == ImportReport(entries=4, kept=4, dropped={}, clipped=1, images=3, images_without=1)
    assert report.lines() == [
        "4 of 4 entries kept",
        "1 boxes clipped to the picture",
        "1 of 3 pictures have no entry",
    ]
    assert found.metadata["import"] == report.as_json()


def test_order_of_the_datasets_pictures_does_not_matter(path: Path) -> None:
    path.write_text(json.dumps([entry(9, box=(0, 0, 200, 200)), entry(5)]), encoding="utf-8")
    found, _ = read_results(path, IDS[::-1], SIZES[::-1], CATEGORIES)
    assert found.image_ids.tolist() == IDS
    assert found.box.tolist() == [[10, 20, 40, 60], [0, 0, 100, 50]]


@pytest.mark.parametrize("box", [(9, 9, 0, 40), (9, 9, 30, 0), (9, 9, -3, 40), (9, 9, -3, -4), (630, 1, 1e-9, 9)])
def test_boxes_without_an_area_are_dropped_and_counted(path: Path, box: Any) -> None:
    found, report = read(path, entry(), entry(box=box))
    assert len(found) == report.kept == 1
    assert report.dropped == {"empty_box": 1}
    assert "1 dropped: width or height not above 0" in report.lines()


@pytest.mark.parametrize("box", [(640, 0, 5, 5), (700, 0, 5, 5), (-5, 0, 5, 5), (0, 480, 5, 5), (0, -9, 5, 5)])
def test_boxes_outside_are_dropped_and_counted(path: Path, box: Any) -> None:
    found, report = read(path, entry(), entry(box=box))
    assert len(found) == 1
    assert report.dropped == {"outside_image": 1}


def test_boxes_partly_outside_are_clipped_and_counted(path: Path) -> None:
    found, report = read(path, entry(box=(-5, -6, 20, 21)), entry(9, box=(90, 40, 20, 20)))
    assert found.box.tolist() == [[0, 0, 15, 15], [90, 40, 100, 50]]
    assert (report.clipped, report.dropped) == (2, {})


def test_repeated_entries_are_dropped_and_counted(path: Path) -> None:
    """A picture that two processes handled: all its entries are there twice."""
    once = [entry(), entry(score=0.25), entry(category=3), entry(9)]
    found, report = read(path, *once, *once[:3])
    assert len(found) == 4
    assert report.dropped == {"repeated": 3}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (entry(score=float("nan")), "row 1: image 5: score nan is not a finite number"),
        (entry(score=float("inf")), "row 1: image 5: score inf"),
        ('{"image_id": 5, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1e999}', "row 1: image 5: score inf"),
        (entry(box=(1, 2, float("nan"), 4)), r"row 1: image 5: bbox \[1.0, 2.0, nan, 4.0\] should be four finite"),
        (entry(7), r"row 1: image_id 7 is not in the dataset"),
        (entry(category=2), r"row 1: category_id 2 is not in the dataset, whose ids are 1 to 1203"),
        (entry(category=0), r"row 1: category_id 0"),
        (entry("5"), r"row 1: field 'image_id' should be an integer, found a string"),
        (entry(True), r"row 1: field 'image_id'"),
        (entry(10**30), r"row 1: field 'image_id' should be a number of at most 64 bits"),
        (entry(score="0.5"), r"row 1: field 'score' should be a number"),
        (entry(score=None), r"row 1: field 'score'"),
        (entry(box=(1, 2, 3)), r"row 1: field 'bbox' should be \[x, y, width, height\]"),
        (entry(box=(1, 2, 3, "4")), r"row 1: field 'bbox'"),
        ({"image_id": 5, "category_id": 1, "score": 0.5, "segmentation": {}}, r"row 1: field 'bbox' is missing"),
        ("17", r"row 1 should be an object"),
        ('{"image_id": ', r"row 1 is not valid JSON"),
    ],
)
def test_broken_entries_are_refused_by_name(path: Path, broken: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"results.json: {message}"):
        read(path, entry(), broken)


def test_how_many_more_have_the_problem(path: Path) -> None:
    with pytest.raises(DataError, match=r"row 1: image_id 7 .* 2 more entries have the same problem"):
        read(path, entry(), entry(7), entry(5), entry(7), entry(8))


@pytest.mark.parametrize("content", ['{"annotations": []}', "", "[1", '[{"image_id": 5}', "\x00"])
def test_other_files(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"results\.json"):
        read_results(path, IDS, SIZES, CATEGORIES)


def test_no_detections_at_all(path: Path) -> None:
    found, report = read(path)
    assert (len(found), found.image_ids.tolist(), report.images_without) == (0, IDS, 3)
    write_results(path, found)
    assert json.loads(path.read_text(encoding="utf-8")) == []


def test_long_entries_and_long_files(path: Path) -> None:
    """Entries longer than what is read at a time (some tools write outlines), and more of them than one block."""
    outline = [entry() | {"segmentation": {"counts": "x" * 50_000}, "score": 0.75}]
    found, _ = read(path, *outline, *[entry(9, score=number / 1000) for number in range(1000)])
    assert len(found) == 1001
    assert found.det_score[0] == 0.75
    assert np.allclose(found.det_score[1:], np.arange(1000) / 1000)


coordinate = st.floats(0, 400, width=32)
entries = st.lists(
    st.builds(
        entry,
        st.sampled_from(IDS),
        st.sampled_from(CATEGORIES),
        st.tuples(coordinate, coordinate, coordinate, coordinate),
        st.floats(0, 1, width=32),
    ),
    max_size=30,
)


@settings(max_examples=40)
@given(entries)
def test_export_brings_everything_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Entry]) -> None:
    path = tmp_path_factory.mktemp("r") / "results.json"
    found, _ = read(path, *rows)
    assert write_results(path, found) == len(found)
    written = json.loads(path.read_text(encoding="utf-8"))
    keys = [(row["image_id"], -row["score"]) for row in written]
    assert keys == sorted(keys)
    again, report = read_results(path, IDS, SIZES, CATEGORIES)
    assert (report.dropped, report.clipped) == ({}, 0)
    assert sorted(_rows(again)) == sorted(_rows(found))


def _rows(found: Proposals) -> list[tuple[Any, ...]]:
    image = found.image_ids[found.det_image].tolist()
    box = map(tuple, found.box[found.det_box].tolist())
    return list(zip(image, box, found.det_category.tolist(), found.det_score.tolist(), strict=True))


def test_export_is_atomic(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = read(path, entry())
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr("os.fsync", _full)
    with pytest.raises(StoreError, match="no space left"):
        write_results(path, found)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert path.read_text(encoding="utf-8") == "old"


def _full(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_real_result_files(shared: Path) -> None:
    """Of the reference material: everything comes through, and nothing has to be dropped."""
    truth = json.loads((shared / "data/lvis/synthetic_gt.json").read_text(encoding="utf-8"))
    results = shared / "data/lvis/synthetic_dets.json"
    rows = json.loads(results.read_text(encoding="utf-8"))
    ids = [image["id"] for image in truth["images"]]
    sizes = np.array([[image["width"], image["height"]] for image in truth["images"]])
    found, report = read_results(results, ids, sizes, [each["id"] for each in truth["categories"]])
    assert report.entries == len(rows)
    assert report.kept + sum(report.dropped.values()) == len(rows)
    assert report.kept == len(found) > 0.9 * len(rows)
