"""Readers of labelled boxes: COCO, LVIS, BoxClass-CN."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fgbench.errors import DataError

from ..layouts import coco_image, coco_instances, instance, write_json
from .reading import EXCERPTS, Opened, excerpt, opened, rows, touch, write

COCO = "coco/annotations/instances_val2017.json"
LVIS = "lvis/lvis_v1_val.json"
BOXCLASS = "BoxClass-CN/jsonfile/valid_category_data_total_zh.json"


def ids(found: Opened) -> list[int]:
    return list(found.loaded.items.ids)


def labels(found: Opened) -> list[str]:
    """Class names of the boxes."""
    return [found.prompts.names[index] for index in found.loaded.items.label]


def subset(found: Opened, name: str) -> list[int]:
    """Ids of the boxes in a subset."""
    return [int(number) for number in found.loaded.items.ids[found.loaded.items.subsets[name]]]


class TestCoco:
    def test_q6_a_real_excerpt_crowd_regions_count_and_can_be_left_out(self, tmp_path: Path) -> None:
        write(tmp_path / COCO, (EXCERPTS / "coco_instances.json").read_bytes())
        content = excerpt("coco_instances.json")
        found = opened("coco-box", tmp_path)
        by_image = sorted(content["annotations"], key=lambda row: row["image_id"])  # stable
        assert ids(found) == [row["id"] for row in by_image]
        assert [row["image_id"] for row in content["annotations"]] != [row["image_id"] for row in by_image]
        assert found.regions.boxes.tolist() == [row["bbox"] for row in by_image]
        names = {row["id"]: row["name"] for row in content["categories"]}
        assert labels(found) == [names[row["category_id"]] for row in by_image]
        assert found.paths == [f"coco/val2017/COCO_val2014_{number:012d}.jpg" for number in (73, 775, 1176)]
        assert found.loaded.size == {"all": 21}
        assert subset(found, "all") == ids(found)
        assert sorted(set(ids(found)) - set(subset(found, "non-crowd"))) == [900100001176]

    def test_classes_are_those_of_the_file_by_ascending_id(self, tmp_path: Path) -> None:
        """Ids have gaps: the index is the place in the list, with the names as they are."""
        rows = [instance(1, 1, 90), instance(2, 1, 3)]
        coco_instances(tmp_path, rows, [1], {90: "hair drier", 3: "tv", 8: "Cell Phone"})
        found = opened("coco-box", tmp_path)
        assert list(found.prompts.names) == ["tv", "Cell Phone", "hair drier"]
        assert list(found.loaded.items.label) == [2, 0]
        assert len(found.prompts.templates) == 80
        assert (found.prompts.kind, found.prompts.lowercase) == ("box", True)
        assert "a bad photo of a cell phone." in found.texts

    def test_boxes_are_taken_as_they_are(self, tmp_path: Path) -> None:
        """Fractions, beyond the edge, of no size: nothing is rounded, clipped or judged here."""
        boxes = [[0.07, 0.08, 0.07, 0.08], [-3.5, -1, 1000, 2000.25], [5, 5, 0, 3], [1, 1, -4, 2]]
        coco_instances(tmp_path, [instance(n, 1, 1) | {"bbox": box} for n, box in enumerate(boxes)], [1], {1: "tv"})
        assert opened("coco-box", tmp_path).regions.boxes.tolist() == boxes

    def test_q7_what_cannot_be_evaluated_is_counted_by_reason(self, tmp_path: Path) -> None:
        annotations = [instance(1, 1, 1), instance(2, 1, 77), instance(3, 99, 1), instance(4, 2, 1)]
        coco_instances(tmp_path, annotations, [1, 2], {1: "tv"})
        found = opened("coco-box", tmp_path)
        assert found.loaded.rejected == {"unknown_category": 1, "unknown_image": 1}
        assert found.loaded.size == {"all": 4}
        assert ids(found) == [1, 4]
        regions = rows([1.0, 0], [0, 1])
        scores = found.score(regions=regions, classes=rows([1.0, 0]))
        assert (scores.evaluated, scores.skipped) == (2, {"unknown_category": 1, "unknown_image": 1})

    def test_q12_one_box_is_enough(self, tmp_path: Path) -> None:
        coco_instances(tmp_path, [instance(1, 1, 2, crowd=1)], [1], {1: "tv", 2: "cat"})
        scores = opened("coco-box", tmp_path).score(regions=rows([1.0, 0]), classes=rows([0, 1.0], [1.0, 0.2]))
        assert [(each.subset, each.metric, each.value, each.n) for each in scores.scores] == [
            ("all", "top1", 1.0, 1),
            ("all", "top5", 1.0, 1),
        ]

    def test_the_limit_counts_boxes_in_evaluation_order(self, tmp_path: Path) -> None:
        annotations = [instance(1, 5, 1), instance(2, 1, 1), instance(3, 5, 1), instance(4, 1, 9)]
        coco_instances(tmp_path, annotations, [5, 1], {1: "tv"})
        found = opened("coco-box", tmp_path, limit=3)
        assert ids(found) == [2, 1]
        assert found.loaded.size == {"all": 3}
        assert found.loaded.rejected == {"unknown_category": 1}

    def test_a_tie_goes_to_the_lower_class(self, tmp_path: Path) -> None:
        coco_instances(tmp_path, [instance(1, 1, 1), instance(2, 1, 2)], [1], {1: "tv", 2: "cat"})
        found = opened("coco-box", tmp_path)
        scores = found.score(regions=rows([1.0, 2.0], [1.0, 2.0]), classes=rows([1.0, 2.0], [1.0, 2.0]))
        assert scores.scores[0].value == 0.5
        assert scores.ties == {"rank": 2}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"bbox": [1, 2, 3]}, r"annotations\[1\]: field 'bbox' should be \[x, y, width, height\]"),
            ({"category_id": "1"}, r"annotations\[1\]: field 'category_id' should be an integer"),
            ({"image_id": None}, r"annotations\[1\]: field 'image_id' should be an integer"),
        ],
    )
    def test_a_bad_annotation_is_named(self, tmp_path: Path, change: dict[str, Any], message: str) -> None:
        path = coco_instances(tmp_path, [instance(1, 1, 1), instance(2, 1, 1) | change], [1], {1: "tv"})
        with pytest.raises(DataError, match=message) as caught:
            opened("coco-box", tmp_path)
        assert str(path) in str(caught.value)


def lvis(
    root: Path, images: Sequence[tuple[int, str]], boxes: Sequence[tuple[int, int]], names: Sequence[str] = ("a_b", "c")
) -> Path:
    """An LVIS v1 file; ``images`` are (id, part of COCO), ``boxes`` (image id, category id)."""
    content = {
        "images": [
            {
                "id": number,
                "coco_url": f"http://images.cocodataset.org/{part}/{number:012d}.jpg",
                "width": 24,
                "height": 16,
                "neg_category_ids": [1],
                "not_exhaustive_category_ids": [],
            }
            for number, part in images
        ],
        "annotations": [
            {"id": 100 + n, "image_id": image, "category_id": category, "bbox": [1.0, 2.0, 3.0, 4.5], "area": 13.5}
            for n, (image, category) in enumerate(boxes)
        ],
        "categories": [
            {"id": n, "name": name, "synset": f"{name}.n.01", "synonyms": ["another"], "frequency": "r"}
            for n, name in enumerate(names, start=1)
        ],
    }
    return write_json(root / LVIS, content)


class TestLvis:
    IMAGES = ((30, "train2017"), (20, "val2017"), (10, "train2017"))
    BOXES = ((20, 1), (30, 2), (10, 1), (20, 2), (30, 1))

    @pytest.mark.parametrize("train", ["train2017/000000000010.jpg", "train2017.zip", "train2017.tar"])
    def test_q8_with_train2017_there_are_two_subsets(self, tmp_path: Path, train: str) -> None:
        lvis(tmp_path, self.IMAGES, self.BOXES)
        touch(tmp_path, "coco/val2017/000000000020.jpg")
        if train.endswith(".zip"):
            with zipfile.ZipFile(tmp_path / "coco" / train, "w") as archive:
                archive.writestr("train2017/000000000010.jpg", b"")
        elif train.endswith(".tar"):
            with tarfile.open(tmp_path / "coco" / train, "w") as packed:
                packed.addfile(tarfile.TarInfo("train2017/000000000010.jpg"))
        else:
            touch(tmp_path, f"coco/{train}")
        found = opened("lvis-box", tmp_path)
        assert ids(found) == [102, 100, 103, 101, 104]
        assert subset(found, "full") == ids(found)
        assert subset(found, "val2017") == [100, 103]
        assert found.loaded.size == {"full": 5}
        assert found.loaded.notes == ()
        inside = "" if "/" in train else f"{train}!"
        assert found.paths == [
            f"coco/{inside}train2017/000000000010.jpg",
            "coco/val2017/000000000020.jpg",
            "coco/train2017/000000000030.jpg",
        ]

    def test_q8_without_train2017_only_its_own_subset_is_evaluated_and_a_note_has_the_numbers(
        self, tmp_path: Path
    ) -> None:
        lvis(tmp_path, self.IMAGES, self.BOXES)
        touch(tmp_path, "coco/val2017/000000000020.jpg")
        found = opened("lvis-box", tmp_path)
        assert ids(found) == [100, 103]
        assert list(found.loaded.items.subsets) == ["val2017"]
        assert found.loaded.size == {"val2017": 2}
        [note] = found.loaded.notes
        assert "no train2017: only the subset val2017 was evaluated" in note
        assert "3 boxes on 2 train2017 pictures were left out" in note
        scores = found.score(regions=rows([1.0, 0], [0, 1.0]), classes=rows([1.0, 0], [0, 1.0]))
        assert {each.subset for each in scores.scores} == {"val2017"}

    def test_q8_a_picture_that_is_missing_in_either_part_is_expected_and_not_passed_over(self, tmp_path: Path) -> None:
        lvis(tmp_path, self.IMAGES, self.BOXES)
        touch(tmp_path, "coco/train2017/000000000010.jpg")
        found = opened("lvis-box", tmp_path)
        assert found.loaded.size == {"full": 5}
        assert "coco/val2017/000000000020.jpg" in found.paths

    def test_coco_s_folders_may_lie_in_the_data_root_itself(self, tmp_path: Path) -> None:
        lvis(tmp_path, self.IMAGES, self.BOXES)
        touch(tmp_path, "val2017/000000000020.jpg", "train2017/000000000010.jpg")
        found = opened("lvis-box", tmp_path)
        assert found.paths[:2] == ["train2017/000000000010.jpg", "val2017/000000000020.jpg"]
        assert found.loaded.size == {"full": 5}

    def test_q9_names_keep_their_spelling_but_not_their_underscores(self, tmp_path: Path) -> None:
        names = ("aerosol_can", "bow_(weapon)", "bow-tie", "speaker_(stero_equipment)", "football_(American)")
        lvis(tmp_path, [(1, "val2017")], [(1, 4)], names)
        found = opened("lvis-box", tmp_path)
        assert found.prompts.names == [
            "aerosol can", "bow (weapon)", "bow-tie", "speaker (stero equipment)", "football (American)",
        ]  # fmt: skip
        assert labels(found) == ["speaker (stero equipment)"]
        assert "a bad photo of a football (american)." in found.texts
        assert not any("another" in text for text in found.texts)

    def test_a_real_excerpt_the_picture_is_that_of_the_url(self, tmp_path: Path) -> None:
        """v0.5 has a file_name as well, of another year; v1 has none."""
        write(tmp_path / LVIS, (EXCERPTS / "lvis_v05.json").read_bytes())
        content = excerpt("lvis_v05.json")
        assert content["images"][0]["file_name"].startswith("COCO_val2014")
        touch(tmp_path, "coco/val2017/000000266409.jpg")
        found = opened("lvis-box", tmp_path)
        assert found.paths == ["coco/val2017/000000266409.jpg", "coco/val2017/000000314709.jpg"]
        names = {row["id"]: row["name"].replace("_", " ") for row in content["categories"]}
        by_image = sorted(content["annotations"], key=lambda row: row["image_id"])
        assert labels(found) == [names[row["category_id"]] for row in by_image]
        assert "ski pole" in found.prompts.names

    def test_an_image_without_url_is_named(self, tmp_path: Path) -> None:
        content = {
            "images": [coco_image(5)],
            "annotations": [instance(1, 5, 1)],
            "categories": [{"id": 1, "name": "x"}],
        }
        path = write_json(tmp_path / LVIS, content)
        with pytest.raises(DataError, match=rf"{path}: image 5: field 'coco_url' is missing"):
            opened("lvis-box", tmp_path)

    def test_a_url_that_climbs_is_refused(self, tmp_path: Path) -> None:
        lvis(tmp_path, [(5, "..")], [(5, 1)])
        touch(tmp_path, "coco/train2017/x.jpg")
        with pytest.raises(DataError, match="would leave the image folder"):
            opened("lvis-box", tmp_path)


def boxclass(root: Path, categories: Sequence[tuple[int, str]], place: str = BOXCLASS) -> Path:
    """Invented rows of the shape that the dataset card describes."""
    content = {
        "images": [{"id": 10, "file_name": "000010.jpg"}, {"id": 14, "file_name": "000014.jpg"}],
        "annotations": [
            {"image_id": 14, "bbox": [34.0, 50.5, 120.0, 88.0], "category_id": 2},
            {"image_id": 10, "bbox": [1, 2, 3, 4], "category_id": 1},
        ],
        "categories": [{"id": number, "name": name} for number, name in categories],
    }
    return write_json(root / place, content)


CLASSES = ((1, "连衣裙"), (2, "T恤"), (3, "书桌"))


class TestBoxClassCn:
    @pytest.mark.parametrize("place", [BOXCLASS, "BoxClass-CN/valid_category_data_total_zh.json"])
    def test_q11_the_bare_name_is_the_text_and_the_file_may_lie_at_either_place(
        self, tmp_path: Path, place: str
    ) -> None:
        boxclass(tmp_path, CLASSES, place)
        touch(tmp_path, "BoxClass-CN/images/000010.jpg", "BoxClass-CN/images/000014.jpg")
        found = opened("boxclass-cn", tmp_path)
        assert found.texts == ["连衣裙", "T恤", "书桌"]
        assert (found.prompts.templates, found.prompts.kind, found.prompts.lowercase) == (("{}",), "box", False)
        assert labels(found) == ["连衣裙", "T恤"]
        assert found.paths == ["BoxClass-CN/images/000010.jpg", "BoxClass-CN/images/000014.jpg"]
        assert found.loaded.size == {"all": 2}

    @pytest.mark.parametrize(
        "categories",
        [((2, "T恤"), (1, "连衣裙"), (3, "书桌")), ((0, "a"), (1, "b"), (2, "c")), ((1, "a"), (2, "b"), (4, "c"))],
        ids=["order", "from zero", "gap"],
    )
    def test_q10_where_id_and_position_disagree_the_file_is_refused(
        self, tmp_path: Path, categories: Sequence[tuple[int, str]]
    ) -> None:
        path = boxclass(tmp_path, categories)
        with pytest.raises(DataError, match=rf"{path}: category ids should be 1 to 3 in ascending order"):
            opened("boxclass-cn", tmp_path)

    def test_an_annotation_without_an_id_gets_its_number(self, tmp_path: Path) -> None:
        """A real row could not be seen: the official script does not read ids."""
        boxclass(tmp_path, CLASSES)
        assert ids(opened("boxclass-cn", tmp_path)) == [1, 2]

    @pytest.mark.parametrize("archive", ["BoxClass-CN/images.zip", "BoxClass-CN/images/part_1.zip"])
    def test_pictures_may_stay_in_archives(self, tmp_path: Path, archive: str) -> None:
        boxclass(tmp_path, CLASSES)
        (tmp_path / archive).parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(tmp_path / archive, "w") as packed:
            packed.writestr("images/000010.jpg", b"")
        assert opened("boxclass-cn", tmp_path).paths[0] == f"{archive}!images/000010.jpg"
