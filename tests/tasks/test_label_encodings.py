"""What the numbers in label maps mean: the worked examples of every published form, and the lists they refer to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.errors import DataError
from fgbench.metrics.confusion import class_iou, confusion
from fgbench.runner.windows import target_size
from fgbench.tasks import label_encodings as forms
from fgbench.tasks.label_encodings import FOLDS, IGNORE, Encoding, Labels, object_ids, paint, resize_nearest
from fgbench.tasks.resources import lines, table

NO = IGNORE
LISTS = {
    "ade150_classnames": (150, "wall", "flag"),
    "ade847_classnames": (847, "wall", "adding machine, totalizer, totaliser"),
    "pc59_classnames": (59, "aeroplane", "wood"),
    "pc459_classnames": (459, "accordion", "wool"),
    "voc20_classnames": (20, "aeroplane", "tvmonitor"),
    "voc21_classnames": (21, "aeroplane", "background"),
    "voc21_prompts_pas20b": (59, "aeroplane", "wood"),
}


def labels(values: Any) -> Labels:
    return np.array(values, dtype=np.uint16)


@pytest.mark.parametrize(
    ("name", "raw", "decoded"),
    [
        ("ADE150_RAW", [[0, 1, 2], [150, 1, 0]], [[NO, 0, 1], [149, 0, NO]]),
        ("ADE150_PREPARED", [[255, 0, 1], [149, 0, 255]], [[NO, 0, 1], [149, 0, NO]]),
        ("ADE847_OBJECT_IDS", [[2978, 312, 2420], [1, 0, 3156]], [[0, 1, 2], [NO, NO, 358]]),
        ("ADE847_PREPARED", [[0, 1, 255], [65535, 846, 358]], [[0, 1, 255], [NO, 846, 358]]),
        ("PC459_NUMBERS", [[2, 360, 431], [459, 1, 420]], [[1, 359, 430], [458, 0, 419]]),
        ("PC459_NUMBERS", [[256, 0]], [[255, NO]]),
        ("PC459_PREPARED", [[0, 255, 458], [459, 65535, 430]], [[0, 255, 458], [NO, NO, 430]]),
        ("PC59_NUMBERS", [[2, 397, 0], [458, 9, 1]], [[0, 49, NO], [58, 1, NO]]),
        ("PC59_PREPARED", [[0, 49, 255], [58, 1, 255]], [[0, 49, NO], [58, 1, NO]]),
        ("PC59_MMSEGMENTATION", [[1, 50, 0], [59, 2, 0]], [[0, 49, NO], [58, 1, NO]]),
        ("VOC20_RAW", [[0, 1, 20], [255, 15, 0]], [[NO, 0, 19], [NO, 14, NO]]),
        ("VOC20_PREPARED", [[255, 0, 19], [255, 14, 255]], [[NO, 0, 19], [NO, 14, NO]]),
        ("VOC21_RAW", [[0, 1, 20], [255, 15, 0]], [[20, 0, 19], [NO, 14, 20]]),
        ("VOC21_PREPARED", [[20, 0, 19], [255, 14, 20]], [[20, 0, 19], [NO, 14, 20]]),
    ],
)
def test_worked_examples(name: str, raw: Any, decoded: Any) -> None:
    encoding: Encoding = getattr(forms, name)
    found = encoding.decode(labels(raw), "here")
    assert found.dtype == np.uint16
    assert found.tolist() == decoded


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("ADE150_RAW", 151), ("ADE150_RAW", 255), ("ADE150_PREPARED", 150), ("ADE847_PREPARED", 847),
        ("PC459_NUMBERS", 461), ("PC459_PREPARED", 460), ("PC59_PREPARED", 59), ("PC59_MMSEGMENTATION", 60),
        ("VOC20_RAW", 21), ("VOC20_PREPARED", 20), ("VOC21_RAW", 21), ("VOC21_PREPARED", 21),
    ],
)  # fmt: skip
def test_a_value_outside_the_list_is_named_with_its_number_of_pixels(name: str, bad: int) -> None:
    with pytest.raises(DataError, match=rf"^a\.png: 2 pixels with labels {bad}; expected \d+"):
        getattr(forms, name).decode(labels([[1, bad], [bad, 1]]), "a.png")


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        (150, ["ADE150_RAW", "ADE150_PREPARED"]),
        (847, ["ADE847_OBJECT_IDS", "ADE847_PREPARED"]),
        (459, ["PC459_NUMBERS", "PC459_PREPARED"]),
        (59, ["PC59_NUMBERS", "PC59_PREPARED", "PC59_MMSEGMENTATION"]),
        (20, ["VOC20_RAW", "VOC20_PREPARED"]),
        (21, ["VOC21_RAW", "VOC21_PREPARED"]),
    ],
)
def test_every_form_has_every_class_once(classes: int, names: list[str]) -> None:
    for name in names:
        values = getattr(forms, name).lookup
        assert sorted(values[values < 65_534].tolist()) == list(range(classes))


def test_id_255_is_scored_as_the_class_it_is() -> None:
    """``monkey`` of PASCAL-Context-459 and ``pier`` of ADE20K-847."""
    assert (lines("ade847_classnames")[255], lines("pc459_classnames")[255]) == ("pier", "monkey")
    for encoding, classes, raw in ((forms.PC459_NUMBERS, 459, 256), (forms.ADE847_PREPARED, 847, 255)):
        truth = encoding.decode(labels([raw, raw]), "here")
        counts = confusion(labels([255, 0]), truth, classes, ignore=IGNORE)
        assert class_iou(counts)[255] == 0.5


def test_object_ids_come_from_red_and_green() -> None:
    rgb = np.array([[(110, 162, 1), (10, 56, 1), (90, 116, 1)], [(0, 1, 1), (0, 0, 0), (120, 84, 7)]], dtype=np.uint8)
    assert object_ids(rgb).tolist() == [[2978, 312, 2420], [1, 0, 3156]]
    assert object_ids(np.full((1, 1, 3), 255, dtype=np.uint8)).tolist() == [[25 * 256 + 255]]


class TestResizing:
    @pytest.mark.parametrize(
        ("size", "expected"),
        [((1536, 2048), (512, 683)), ((900, 600), (768, 512)), *((s, s) for s in ((683, 512), (512, 683), (500, 900)))],
    )
    def test_the_short_side_is_512(self, size: tuple[int, int], expected: tuple[int, int]) -> None:
        height, width = size
        assert target_size((width, height), 512)[::-1] == expected

    def test_nearest_takes_the_first_pixel_of_each_cell(self) -> None:
        """Pillow's nearest takes the middle one: 1, 3 of this row."""
        assert resize_nearest(labels([[0, 1, 2, 3]]), (1, 2)).tolist() == [[0, 2]]
        assert resize_nearest(labels([[0], [1], [2]]), (2, 1)).tolist() == [[0], [1]]
        assert resize_nearest(labels([[0, 1]]), (2, 5)).tolist() == [[0, 0, 0, 1, 1]] * 2

    @given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
    def test_every_target_has_a_source(self, height: int, width: int, new_height: int, new_width: int) -> None:
        source = np.arange(height * width, dtype=np.uint16).reshape(height, width)
        found = resize_nearest(source, (new_height, new_width))
        assert found.shape == (new_height, new_width)
        assert found[0, 0] == 0
        assert (np.diff(found.astype(int), axis=0) >= 0).all()
        assert (np.diff(found.astype(int), axis=1) >= 0).all()
        if (new_height, new_width) == (height, width):
            np.testing.assert_array_equal(found, source)


class TestFolding:
    def test_all_prompts_after_the_objects_are_background(self) -> None:
        assert FOLDS["pas20b"][[0, 19, 20, 58]].tolist() == [0, 19, 20, 20]

    def test_voc_s_own_numbering(self) -> None:
        assert FOLDS["voc-native"][[0, 1, 20]].tolist() == [20, 0, 19]

    @pytest.mark.parametrize(("name", "last"), [("pas20b", 58), ("voc-native", 20)])
    def test_the_rest_is_no_class(self, name: str, last: int) -> None:
        assert (FOLDS[name][last + 1 :] == NO).all()


FIRST: dict[str, Any] = {"size": [2, 3], "counts": "024"}
SECOND: dict[str, Any] = {"size": [2, 3], "counts": [1, 3, 2]}


class TestPainting:
    def test_the_later_mask_wins(self) -> None:
        assert paint((2, 3), [(2, FIRST), (9, SECOND)], "here").tolist() == [[2, 9, 0], [9, 9, 0]]
        assert paint((2, 3), [(9, SECOND), (2, FIRST)], "here").tolist() == [[2, 9, 0], [2, 9, 0]]

    def test_without_masks_nothing_is_there(self) -> None:
        assert paint((2, 3), [], "here").tolist() == [[0, 0, 0]] * 2

    def test_a_mask_of_another_size_is_refused(self) -> None:
        with pytest.raises(DataError, match="here: a mask of 3×2 pixels for a picture of 2×3"):
            paint((3, 2), [(2, FIRST)], "here")


class TestLists:
    @pytest.mark.parametrize("name", LISTS)
    def test_number_first_and_last(self, name: str) -> None:
        found = lines(name)
        assert (len(found), found[0], found[-1]) == LISTS[name]
        assert all(line == line.strip() != "" for line in found)

    @pytest.mark.parametrize("name", [*LISTS, "pascal_context_val_ids", "ade847_dataset_ids", "pc59_source_ids"])
    def test_they_are_the_collected_ones(self, shared: Path, name: str) -> None:
        [path] = (shared / "data/segmentation").glob(f"{name}.*")
        here = Path(forms.__file__).parent / "data" / path.name
        assert here.read_bytes() == path.read_bytes()

    def test_ids_of_ade847_go_with_its_names(self) -> None:
        rows = table("ade847_dataset_ids")
        assert [int(row["index"]) for row in rows] == list(range(847))
        assert tuple(row["name"] for row in rows) == lines("ade847_classnames")
        ids = [int(row["dataset_id"]) for row in rows]
        assert (len(set(ids)), min(ids), max(ids), ids[-1]) == (847, 6, 3156, 3148)

    def test_numbers_of_pc59_go_with_both_name_lists(self) -> None:
        rows = table("pc59_source_ids")
        assert tuple(row["name_pc59"] for row in rows) == lines("pc59_classnames")
        numbers = [int(row["pascal_context_id"]) for row in rows]
        assert numbers == sorted(set(numbers))
        names = [lines("pc459_classnames")[number - 1] for number in numbers]
        assert names == [row["name_pc459"] for row in rows]
        differing = [
            (ours, theirs) for ours, theirs in zip(lines("pc59_classnames"), names, strict=True) if ours != theirs
        ]
        assert differing == [("diningtable", "table")]

    def test_voc21_prompts_are_the_59_with_the_20_in_front(self) -> None:
        prompts = lines("voc21_prompts_pas20b")
        assert prompts[:20] == lines("voc20_classnames") == lines("voc21_classnames")[:20]
        assert set(prompts) == set(lines("pc59_classnames"))

    def test_synonyms_of_ade847(self) -> None:
        names = [name.split(", ") for name in lines("ade847_classnames")]
        flat = [each for synonyms in names for each in synonyms]
        assert sum(len(each) > 1 for each in names) == 217
        assert (len(flat), len(set(flat)), max(map(len, names))) == (1281, 1235, 10)
        assert len({each[0] for each in names}) == 837

    def test_5104_pictures_of_pascal_context(self) -> None:
        ids = lines("pascal_context_val_ids")
        assert list(ids) == sorted(set(ids))
        assert [sum(name.startswith(year) for name in ids) for year in ("2008", "2009", "2010")] == [2221, 1360, 1523]
