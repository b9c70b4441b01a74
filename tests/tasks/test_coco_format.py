from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fgbench.errors import DataError
from fgbench.tasks.coco_format import read_boxes, read_coco

IMAGES = [{"id": 30, "file_name": "c.jpg"}, {"id": 10, "file_name": "a.jpg"}, {"id": 20, "file_name": "b.jpg"}]


def written(folder: Path, **content: Any) -> Path:
    path = folder / "file.json"
    path.write_text(json.dumps(content))
    return path


def test_images_come_by_ascending_id(tmp_path: Path) -> None:
    assert list(read_coco(written(tmp_path, images=IMAGES, annotations=[])).images) == [10, 20, 30]


def test_of_a_file_with_boxes_pictures_and_categories_come_by_ascending_id(tmp_path: Path) -> None:
    categories = [{"id": 90, "name": "z"}, {"id": 1, "name": "y"}]
    found = read_boxes(written(tmp_path, images=IMAGES, annotations=[], categories=categories))
    assert found.image_ids.tolist() == [10, 20, 30]
    assert [IMAGES[row]["id"] for row in found.image_rows] == [10, 20, 30]
    assert (found.category_ids.tolist(), found.category_names) == ([1, 90], ["y", "z"])


def test_boxes_know_their_picture_or_that_it_is_not_listed(tmp_path: Path) -> None:
    annotations = [{"image_id": image} for image in (30, 5, 10, 99)]
    found = read_boxes(written(tmp_path, images=IMAGES, annotations=annotations, categories=[]))
    assert found.image_of().tolist() == [2, -1, 0, -1]
    nothing = read_boxes(written(tmp_path, images=[], annotations=annotations, categories=[]))
    assert nothing.image_of().tolist() == [-1] * 4


def test_categories_are_not_asked_of_a_caption_file(tmp_path: Path) -> None:
    path = written(tmp_path, images=IMAGES, annotations=[])
    assert read_coco(path).annotations == []
    with pytest.raises(DataError, match=f"{path}: field 'categories' is missing"):
        read_boxes(path)


def test_annotations_come_by_image_then_in_file_order_and_strangers_last(tmp_path: Path) -> None:
    annotations = [{"image_id": image, "mark": mark} for mark, image in enumerate([30, 5, 10, 30, 10, 99, 20])]
    coco = read_coco(written(tmp_path, images=IMAGES, annotations=annotations))
    found = [(image, row["mark"]) for image, _, row in coco.by_image()]
    assert found == [(10, 2), (10, 4), (20, 6), (30, 0), (30, 3), (5, 1), (99, 5)]


def test_every_annotation_knows_its_place_in_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, images=IMAGES, annotations=[{"image_id": 20}, {"image_id": 10}])
    assert [where for _, where, _ in read_coco(path).by_image()] == [
        f"{path}: annotations[1]",
        f"{path}: annotations[0]",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"annotations": []}, "field 'images' is missing; present are 'annotations'"),
        ({"images": IMAGES}, "field 'annotations' is missing"),
        ({"images": {}, "annotations": []}, "field 'images' should be a list, found an object"),
        ({"images": IMAGES, "annotations": {}}, "field 'annotations' should be a list"),
        ({"images": [3], "annotations": []}, r"images\[0\] should be an object, found 3"),
        ({"images": IMAGES, "annotations": [{}, "x"]}, r"annotations\[1\] should be an object, found 'x'"),
        ({"images": [{"file_name": "a"}], "annotations": []}, r"images\[0\]: field 'id' is missing"),
        ({"images": [{"id": "7"}], "annotations": []}, r"images\[0\]: field 'id' should be an integer, found a string"),
        ({"images": [{"id": True}], "annotations": []}, r"images\[0\]: field 'id' should be an integer"),
        ({"images": [*IMAGES, {"id": 10}], "annotations": []}, r"images\[3\]: id 10 occurs twice"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    path = written(tmp_path, **content)
    with pytest.raises(DataError, match=f"{path}: {message}"):
        read_coco(path)
    boxes = written(tmp_path, **content, categories=[])
    with pytest.raises(DataError, match=f"{path}: {message.split(';')[0]}"):
        read_boxes(boxes)


@pytest.mark.parametrize(
    "rows", [[{"id": 1}], [{"id": 1, "name": 3}], [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]]
)
def test_a_wrong_category_is_named(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    path = written(tmp_path, images=IMAGES, annotations=[], categories=rows)
    with pytest.raises(DataError, match=f"{path}: (category 1|categories)"):
        assert read_boxes(path).category_names


def test_an_annotation_without_picture_is_named(tmp_path: Path) -> None:
    coco = read_coco(written(tmp_path, images=IMAGES, annotations=[{"image_id": 10}, {"id": 4}]))
    with pytest.raises(DataError, match=r"annotations\[1\]: field 'image_id' is missing"):
        list(coco.by_image())


@pytest.mark.parametrize("text", ["[]", "3", "null", '"x"'])
def test_another_kind_of_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "file.json").write_text(text)
    with pytest.raises(DataError, match="expected an object with 'images' and 'annotations'"):
        read_coco(tmp_path / "file.json")
