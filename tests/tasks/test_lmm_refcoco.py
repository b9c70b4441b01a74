"""RefCOCO: the hub's tables, JSON lines, and the copy that is wrong."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from fgbench.errors import DataError, DataMissingError
from fgbench.tasks import lmm_refcoco

from .lmm_files import ask, json_lines, parquet, refcoco_row
from .reading import touch, write

VAL = "refcoco/data/validation-00000-of-00001-abc.parquet"


def sentences(*ids: int) -> list[dict[str, Any]]:
    return [{"sent_id": number, "sent": f"Man {number}", "raw": "x", "tokens": ["x"]} for number in ids]


def hub(root: Path) -> None:
    parquet(root / VAL, [refcoco_row()])
    parquet(root / "refcoco/data/test-00000-of-00001.parquet", [refcoco_row(split="testA", sentences=sentences(30))])
    parquet(root / "refcoco/data/testB-00000-of-00001.parquet", [refcoco_row(split="testB", sentences=sentences(1, 2))])
    parquet(root / "refcoco/data/train-00000-of-00001.parquet", [refcoco_row(split="train", sentences=sentences(99))])


def line(**changes: Any) -> dict[str, Any]:
    picture = "coco/train2014/COCO_train2014_000000000222.jpg"
    return {"image": picture, "sent": "Man on left", "bbox": [10, 20, 110, 70], "width": 640, "height": 480, **changes}


def test_the_hub_s_tables_give_one_question_per_expression(tmp_path: Path) -> None:
    hub(tmp_path)
    touch(tmp_path, "coco/train2014/COCO_train2014_000000000222.jpg")
    found = ask("refcoco", tmp_path)
    assert found.ids == ["20", "21", "30", "1", "2"]
    assert found.loaded.size == {"val": 2, "testA": 1, "testB": 2}
    assert found.texts[0] == (
        "Please provide the bounding box coordinate of the region this sentence describes: man on left."
    )
    assert found.texts[2].endswith("describes: man 30.")
    assert found.paths() == ["coco/train2014/COCO_train2014_000000000222.jpg"]
    assert (found.rows[0].box, found.rows[0].size) == ((10.5, 20.0, 110.5, 70.0), (640, 480))
    assert found.prompts[0].max_tokens == 100
    assert len(found.files.read) == 3


def test_boxes_are_in_the_frame_of_the_padded_square(tmp_path: Path) -> None:
    """640×480: 80 pixels above. The padded frame's y is (y + 80) / 640."""
    hub(tmp_path)
    found = ask("refcoco", tmp_path)
    right = "[0.0164, 0.15625, 0.17266, 0.234375]"
    unpadded = "[0.0164, 0.0417, 0.17266, 0.1458]"
    values = found.values(right, "I cannot see it", unpadded, right, f"The box is {right}.")
    assert values == {
        "val/acc_iou50": 0.5,
        "val/unparsed": 0.5,
        "testA/acc_iou50": 0.0,
        "testA/unparsed": 0.0,
        "testB/acc_iou50": 1.0,
        "testB/unparsed": 0.0,
    }
    other = ask("refcoco", tmp_path, scorer="lmms-eval")
    assert other.values(right, "", unpadded, right, "")["testA/acc_iou50"] == 1.0


def test_json_lines(tmp_path: Path) -> None:
    json_lines(tmp_path / "refcoco/refcoco_testA.jsonl", [line(), line(sent="B")])
    json_lines(tmp_path / "refcoco/refcoco_val.jsonl", [line(bbox=[0.5, 1, 2, 3])])
    touch(tmp_path, "coco/train2014/COCO_train2014_000000000222.jpg")
    found = ask("refcoco", tmp_path)
    assert found.ids == ["val_1", "testA_1", "testA_2"]
    assert found.rows[0].box == (0.5, 1, 2, 3)
    assert found.paths() == ["coco/train2014/COCO_train2014_000000000222.jpg"]
    assert found.loaded.notes[0] == "No file of testB: not evaluated."


def test_the_limit_holds_for_each_subset(tmp_path: Path) -> None:
    hub(tmp_path)
    found = ask("refcoco", tmp_path, limit=1)
    assert (found.ids, found.loaded.size) == (["20", "30", "1"], {"val": 1, "testA": 1, "testB": 1})


def test_the_wrong_copy_of_val_is_refused_by_its_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lmm_refcoco.WRONG_VAL == (8811, 23962)
    monkeypatch.setattr(lmm_refcoco, "WRONG_VAL", (3, 5))
    row = {"question_id": "1", "question": "x", "answer": ["man"], "bbox": [1.0, 2.0, 3.0, 4.0], "file_name": "x.jpg"}
    path = parquet(tmp_path / "refcoco/data/val-00000-of-00001.parquet", [row] * 3)
    with pytest.raises(DataError, match=r"3 rows, as in the val split of lmms-lab/RefCOCO.*Take the tables of jxu124"):
        ask("refcoco", tmp_path)
    parquet(path, [row] * 2)
    with pytest.raises(DataError, match="lmms-lab/RefCOCO lack the size of the pictures"):
        ask("refcoco", tmp_path)
    path.unlink()
    json_lines(tmp_path / "refcoco/data/refcoco_val.jsonl", [line()] * 5)
    with pytest.raises(DataError, match="mixes the val splits"):
        ask("refcoco", tmp_path)


def test_the_pickle_is_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "trapped",))

    write(tmp_path / "refcoco/refs(unc).p", pickle.dumps([Trap()]))
    with pytest.raises(DataMissingError, match="is a pickle and is not read"):
        ask("refcoco", tmp_path)
    with pytest.raises(DataError):
        ask("refcoco", tmp_path, places={"annotations": tmp_path / "refcoco/refs(unc).p"})
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bbox": [10.5, 20.0, 100.0, 50.0]}, None),
        ({"bbox": [1.0, 2.0, 3.0, 4.0]}, "is neither the box"),
        ({"bbox": [1.0, 2.0, 3.0]}, "is neither the box"),
        ({"raw_anns": "{"}, "field 'raw_anns' should be JSON"),
        ({"raw_anns": "[1]"}, "field 'raw_anns' should be a JSON object"),
        ({"raw_anns": '{"id": 1}'}, "field 'raw_anns': field 'bbox' is missing"),
        ({"raw_anns": "[" * 50_000}, "field 'raw_anns' should be JSON"),
        ({"region": [1.0, 2.0, 0.0, 4.0]}, "has no area"),
        ({"raw_image_info": '{"file_name": "../x.jpg", "width": 1, "height": 1}'}, "would leave the image folder"),
        ({"raw_image_info": '{"file_name": "x.jpg", "width": "1", "height": 1}'}, "'width' should be an integer"),
        ({"sentences": [{"sent_id": 1, "sent": None}]}, "field 'sent' should be a string"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, change: dict[str, Any], message: str | None) -> None:
    path = parquet(tmp_path / VAL, [refcoco_row(**change)])
    if message is None:
        assert ask("refcoco", tmp_path).rows[0].box == (10.5, 20.0, 110.5, 70.0)
        return
    with pytest.raises(DataError, match=message) as caught:
        ask("refcoco", tmp_path)
    assert f"{path}: row 0" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("refcoco_val.jsonl", [line(bbox=[5, 5, 1, 1])], r"refcoco_val\.jsonl:1: the box with corners"),
        ("refcoco_val.jsonl", [line(bbox=[float("nan")] * 4)], "has no area"),
        ("refcoco_val.jsonl", [line(bbox=[0, 0, float("inf"), 5])], "has no area"),
        ("refcoco_val.jsonl", [line(width=0)], "has no area"),
        ("refcoco_val.jsonl", [line(), line(image="/x.jpg")], "would leave the image folder"),
        ("refcoco_val.jsonl", [line(), ["x"]], r"jsonl:2: expected one JSON object per line"),
        ("refcoco_val_x.jsonl", [line()], "expected a name that ends in _val, _testA or _testB"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, name: str, rows: list[Any], message: str) -> None:
    json_lines(tmp_path / "refcoco/data" / name, rows)
    with pytest.raises(DataError, match=message):
        ask("refcoco", tmp_path)


def test_sentence_ids_that_come_twice_are_counted(tmp_path: Path) -> None:
    parquet(tmp_path / VAL, [refcoco_row(), refcoco_row()])
    with pytest.raises(DataError, match="2 question ids come more than once, the first is '20'"):
        ask("refcoco", tmp_path)
