"""LVIS as ground truth for detection."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fgbench.data.files import DatasetFiles
from fgbench.errors import DataError, DataMissingError
from fgbench.metrics.lvis_ap import box_ap
from fgbench.selection import datasets
from fgbench.tasks.lvis import LvisSplit, read_lvis

from ..metrics import lvis_loop
from .lvis_files import VAL, categories, content, image, lvis, thing
from .reading import touch


def read(root: Path, *, minival: bool = False, limit: int | None = None) -> LvisSplit:
    spec = datasets().get("lvis-minival" if minival else "lvis-val")[1]
    return read_lvis(DatasetFiles(spec, root), minival=minival, limit=limit)


def ids(split: LvisSplit) -> list[int]:
    return list(split.pictures.image_ids.tolist())


MIXED = content(
    [image(30, "train2017"), image(20, neg_category_ids=[3], not_exhaustive_category_ids=[1]), image(10, "train2017")],
    [thing(1, 30, 1), thing(2, 20, 2, (1, 2, 3, 4.5)), thing(3, 10, 1), thing(4, 20, 1, ignore=1)],
)


class TestSplits:
    def test_val_has_all_pictures_by_id(self, tmp_path: Path) -> None:
        lvis(tmp_path, MIXED)
        touch(tmp_path, "coco/train2017/000000000010.png", "coco/val2017/000000000020.png")
        split = read(tmp_path)
        assert ids(split) == [10, 20, 30]
        assert [str(ref).removeprefix(f"{tmp_path}/") for ref in split.pictures.images] == [
            "coco/train2017/000000000010.png",
            "coco/val2017/000000000020.png",
            "coco/train2017/000000000030.png",
        ]
        assert split.truth.image.tolist() == [2, 1, 0, 1]
        assert split.truth.category.tolist() == [0, 1, 0, 0]
        assert split.truth.ignore.tolist() == [False, False, False, True]
        assert split.truth.box[1].tolist() == [1, 2, 3, 4.5]
        assert split.truth.area[1] == pytest.approx(0.7 * 3 * 4.5)
        assert split.truth.negative.tolist() == [[1, 2]]
        assert split.truth.not_exhaustive.tolist() == [[1, 0]]
        assert split.truth.frequency.tolist() == ["r", "c", "f", "f"]
        assert any("COCO train2017, on which LLMDet" in note for note in split.notes)

    def test_minival_is_the_part_in_val2017(self, tmp_path: Path) -> None:
        lvis(tmp_path, MIXED)
        split = read(tmp_path, minival=True)
        assert ids(split) == [20]
        assert (split.truth.images, split.truth.image.tolist()) == (1, [0, 0])
        assert split.truth.negative.tolist() == [[0, 2]]
        assert split.pictures.sizes.tolist() == [[24, 16]]
        assert split.known_ids.tolist() == [10, 20, 30]
        assert split.notes == (
            "The annotation file has 1 pictures of this split instead of 4,809.",
            "The annotation file has 4 categories instead of 1,203.",
        )

    def test_minival_may_have_a_file_of_its_own_which_goes_first(self, tmp_path: Path) -> None:
        lvis(tmp_path, MIXED)
        own = content([image(21, file_name="COCO_val2014_000000000021.jpg")], [])
        lvis(tmp_path, own, "lvis/lvis_v1_minival_inserted_image_name.json")
        assert ids(read(tmp_path, minival=True)) == [21]
        assert ids(read(tmp_path)) == [20]

    def test_without_train2017_the_rest_is_evaluated_and_a_note_has_the_numbers(self, tmp_path: Path) -> None:
        lvis(tmp_path, MIXED)
        touch(tmp_path, "coco/val2017/000000000020.png")
        split = read(tmp_path)
        assert ids(split) == [20]
        assert "has no train2017: 2 pictures of it were left out" in split.notes[0]

    def test_the_first_pictures_only(self, tmp_path: Path) -> None:
        lvis(tmp_path, MIXED)
        (tmp_path / "coco/train2017").mkdir(parents=True)
        split = read(tmp_path, limit=2)
        assert ids(split) == [10, 20]
        assert split.truth.image.tolist() == [1, 0, 1]

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(DataMissingError, match="lvis-val: no annotations found"):
            read(tmp_path)


class TestReal:
    def test_the_invented_set_has_30_of_40_pictures_in_minival(self, tmp_path: Path, shared: Path) -> None:
        truth = json.loads((shared / "data/lvis/synthetic_gt.json").read_text())
        lvis(tmp_path, truth)
        split = read(tmp_path, minival=True)
        assert len(ids(split)) == 30
        inside = [row for row in truth["images"] if "/val2017/" in row["coco_url"]]
        kept = {row["id"] for row in inside}
        objects = [row for row in truth["annotations"] if row["image_id"] in kept]
        expected, _ = lvis_loop.arrays({**truth, "images": inside, "annotations": objects}, [])
        for name, value in vars(expected).items():
            np.testing.assert_array_equal(getattr(split.truth, name), value, err_msg=name)

    def test_real_annotations_give_the_recorded_ap(self, tmp_path: Path, shared: Path) -> None:
        folder = shared / "data/lvis"
        real = json.loads(gzip.decompress((folder / "lvis_v0.5_val_100.json.gz").read_bytes()))
        lvis(tmp_path, real)
        split = read(tmp_path, minival=True)
        assert len(ids(split)) == 100
        assert len(split.pictures.names) == 1230
        _, found = lvis_loop.arrays(real, json.loads((folder / "lvis_v0.5_val_100_synthetic_dets.json").read_text()))
        expected = json.loads((folder / "expected_ap.json").read_text())["lvis_v0.5_val_100"]
        value = expected["fixed_top_10000_per_category"]["metrics"]["AP"]
        assert box_ap(split.truth, found).mean("ap").value == pytest.approx(value, abs=1e-9)


def file(**changes: Any) -> Any:
    base = content([image(1)], [thing(1, 1, 1)])
    return {**base, **changes}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ([], "expected an object with 'images'"),
        (file(categories=[]), "category ids should be 1 to 0"),
        (file(categories=categories()[1:]), "category ids should be 1 to 3 without gaps, as in LVIS v1; found 2, 3, 4"),
        (file(categories=[{"id": 1, "name": "x"}]), "category 1: field 'frequency' is missing"),
        (file(categories=categories(frequency="x")), "category 1: field 'frequency' should be 'r', 'c' or 'f'"),
        (file(categories=[{"id": 1, "frequency": "r"}]), "category 1: field 'name' is missing"),
        (file(images=[image(1), image(1)]), r"images\[1\]: id 1 occurs twice"),
        (file(images=[image(1, width=0)]), "image 1: 'width' and 'height' should be at least 1"),
        (file(images=[image(1, height="16")]), "image 1: field 'height' should be an integer"),
        (file(images=[image(1, coco_url=None)]), "image 1: field 'coco_url' should be a string"),
        (file(images=[image(1, neg_category_ids=None)]), "image 1: field 'neg_category_ids' should be a list"),
        (file(images=[image(1, neg_category_ids=[9])]), "'neg_category_ids' holds 9, which is no category"),
        (file(images=[image(1, not_exhaustive_category_ids=["1"])]), "'not_exhaustive_category_ids' holds '1'"),
        (file(annotations=[3]), r"annotations\[0\] should be an object"),
        (file(annotations=[thing(1, 1, 1), thing(1, 1, 2)]), r"annotations\[1\]: id 1 occurs twice"),
        (file(annotations=[thing(1, 2, 1)]), r"annotations\[0\]: image_id 2 or category_id 1 is not in the file"),
        (file(annotations=[thing(1, 1, 5)]), "category_id 5 is not in the file"),
        (file(annotations=[thing(1, 1, 1, iscrowd=1)]), "'iscrowd' is set"),
        (file(annotations=[thing(1, 1, 1, area=None)]), "field 'area' should be a number"),
        (file(annotations=[thing(1, 1, 1, area=float("nan"))]), "'bbox' and 'area' should be finite"),
        (file(annotations=[thing(1, 1, 1, (1, 2, float("inf"), 4))]), "'bbox' and 'area' should be finite"),
        (file(annotations=[thing(1, 1, 1, (1, 2, 3, 4), bbox=[1, 2])]), "field 'bbox' should be"),
    ],
)
def test_a_broken_file_is_refused_and_the_place_is_named(tmp_path: Path, broken: Any, message: str) -> None:
    path = lvis(tmp_path, broken)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, minival=True)
    assert str(path) in str(caught.value)
    assert path == tmp_path / VAL


def test_a_url_that_climbs_is_refused(tmp_path: Path) -> None:
    lvis(tmp_path, content([image(1, "..")], []))
    touch(tmp_path, "coco/train2017/x.png")
    with pytest.raises(DataError, match="would leave the image folder"):
        read(tmp_path)
