from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fgbench.api import evaluate
from fgbench.errors import DataError, StoreError
from fgbench.results.record import SCHEMA, Record, read_record, write_record

from ..fakes import FakeAdapter
from ..layouts import coco_captions, coco_instances, coco_pictures, instance

CAPTIONS = [(image, f"Caption {number} of {image}") for number in range(5) for image in (1, 2, 3)]

TYPES: dict[str, Any] = {
    "schema": str,
    "dataset": str,
    "task": str,
    "language": str,
    "protocol": {"id": str, "text": dict, "budget": (int, type(None)), "details": dict},
    "model": {
        "name": str, "adapter": str, "source": str, "revision": (str, type(None)), "sha256": str, "parameters": int,
        "dim": int, "licence": str, "languages": list, "preprocess": str, "dense": (str, type(None)),
        "dense_pooling": (str, type(None)), "text_length": dict, "text_path": dict, "settings": dict, "files": dict,
        "paper": (list, type(None)), "notes": list,
    },
    "scores": list,
    "main": list,
    "counts": {
        "expected": int, "evaluated": int, "skipped": dict, "published": (int, type(None)), "ties": dict,
        "texts": int, "texts_truncated": int,
    },
    "notes": list,
    "data": {"annotations": dict, "images": int, "images_sha256": str},
    "environment": {
        "packages": dict, "python": str, "system": str, "device": str, "precision": str, "threads": int, "tf32": bool,
        "byte_order": str,
    },
    "arguments": {"passed": dict, "effective": dict},
    "timings": {"seconds": dict, "counters": dict},
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three pictures with captions and four boxes, one of a class that is not listed."""
    root = tmp_path / "secret" / "data"
    coco_pictures(root, (1, 2, 3))
    coco_captions(root, CAPTIONS)
    boxes = [instance(10, 1, 7), instance(11, 2, 7, crowd=1), instance(12, 3, 9), instance(13, 3, 8)]
    coco_instances(root, boxes, (1, 2, 3), {7: "cat", 9: "dog"})
    return root


Evaluate = Callable[..., Record]


@pytest.fixture
def record_of(root: Path, tmp_path: Path) -> Evaluate:
    def run(dataset: str, adapter: FakeAdapter | None = None, **options: Any) -> Record:
        options = {"data_root": root, "output": tmp_path / "secret" / "results", **options}
        (record,) = evaluate(adapter or FakeAdapter(), None, dataset, **options).records
        return record

    return run


def check(found: Any, expected: Any, where: str) -> None:
    if isinstance(expected, dict):
        assert set(expected) <= set(found), where
        for name, kind in expected.items():
            check(found[name], kind, f"{where}.{name}")
    else:
        assert isinstance(found, expected), where


class TestContent:
    def test_every_field_is_there_with_its_type(self, record_of: Evaluate) -> None:
        record = record_of("coco")
        assert list(record) == list(TYPES)
        check(record, TYPES, "record")
        assert record["schema"] == SCHEMA
        for score in record["scores"]:
            check(score, {"subset": str, "metric": str, "value": float, "n": int}, "scores")
            assert 0 <= score["value"] <= 1

    def test_every_field_is_documented(self, record_of: Evaluate) -> None:
        guide = (Path(__file__).parents[2] / "docs" / "records.md").read_text(encoding="utf-8")
        undocumented = [
            f"{name}.{field}" if field else name
            for name, fields in record_of("coco-box", on_error="skip").items()
            for field in (
                [None] if name in {"environment", "scores", "main"} or not isinstance(fields, dict) else fields
            )
            if f"`{name}" not in guide or (field and f"`{field}`" not in guide and f"`{name}.{field}`" not in guide)
        ]
        assert undocumented == []

    def test_what_was_evaluated_adds_up(self, record_of: Evaluate) -> None:
        counts = record_of("coco-box", on_error="skip")["counts"]
        assert counts["expected"] == 4
        assert counts["evaluated"] == 3
        assert counts["skipped"] == {"unknown_category": 1}
        assert counts["published"] == 36_781
        assert counts["texts"] == 2 * 80

    def test_the_main_numbers_are_among_the_scores(self, record_of: Evaluate) -> None:
        record = record_of("coco")
        scores = {(score["subset"], score["metric"]): score["value"] for score in record["scores"]}
        assert [main["metric"] for main in record["main"]] == ["i2t_r1", "t2i_r1"]
        assert all(scores[main["subset"], main["metric"]] == main["value"] for main in record["main"])

    def test_the_region_mode_is_said_where_it_matters(self, record_of: Evaluate) -> None:
        assert record_of("coco-box", on_error="skip")["protocol"]["region_mode"] == "roi"
        assert record_of("coco-box", on_error="skip", region_mode="crop")["protocol"]["region_mode"] == "crop"
        assert "region_mode" not in record_of("coco")["protocol"]

    def test_annotations_are_named_below_the_data_root_with_their_digest(self, record_of: Evaluate, root: Path) -> None:
        before = record_of("coco")["data"]["annotations"]
        assert list(before) == ["coco/annotations/captions_val2017.json"]
        path = root / "coco/annotations/captions_val2017.json"
        path.write_text(path.read_text().replace("Caption 0 of 1", "Caption 9 of 1"))
        assert record_of("coco")["data"]["annotations"] != before

    def test_truncated_texts_are_counted(self, record_of: Evaluate) -> None:
        adapter = FakeAdapter(text_length={"short": 3, "box": 3, "long": 3})
        counts = record_of("coco", adapter)["counts"]
        assert (counts["texts"], counts["texts_truncated"]) == (15, 15)

    def test_no_folder_of_the_user_is_in_it(self, record_of: Evaluate, root: Path, tmp_path: Path) -> None:
        elsewhere = tmp_path / "secret" / "mine.json"
        (root / "coco/annotations/captions_val2017.json").rename(elsewhere)
        files = {"coco.annotations": elsewhere, "coco.images": root / "coco/val2017"}
        record = record_of("coco", files=files, on_error="skip")
        text = json.dumps(record)
        assert "secret" not in text
        assert str(tmp_path) not in text
        assert list(record["data"]["annotations"]) == ["mine.json"]
        assert record["arguments"]["passed"]["files"] == {"coco.annotations": "mine.json", "coco.images": "val2017"}

    def test_arguments_are_those_given_and_those_in_force(self, record_of: Evaluate) -> None:
        arguments = record_of("coco", batch_size=3, limit=2)["arguments"]
        assert arguments["passed"] == {
            "dataset": "coco", "data_root": "data", "output": "results", "batch_size": 3, "limit": 2
        }  # fmt: skip
        effective = arguments["effective"]
        assert effective["task"] == ["short-retrieval"]
        assert effective["dataset"] == ["coco"]
        assert (effective["device"], effective["precision"], effective["region_mode"]) == ("cpu", "fp32", "roi")
        assert (effective["batch_size"], effective["workers"], effective["limit"]) == (3, 0, 2)

    def test_only_timings_differ_between_two_runs(self, record_of: Evaluate) -> None:
        first, second = record_of("coco-box", on_error="skip"), record_of("coco-box", on_error="skip")
        assert first.pop("timings")["counters"]["image_passes"] == 3
        assert second.pop("timings")["counters"]["image_passes"] == 0
        assert first == second

    def test_batches_workers_and_a_fresh_start_change_no_number(self, record_of: Evaluate) -> None:
        first = record_of("coco-box", on_error="skip")
        second = record_of("coco-box", on_error="skip", batch_size=1, fresh=True)
        for name in ("scores", "main", "counts", "data", "model", "protocol"):
            assert first[name] == second[name]


class TestFiles:
    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        record = {"schema": SCHEMA, **{name: {} for name in list(TYPES)[1:]}, "notes": ["图", "\u2028"]}
        write_record(record, tmp_path / "a.json")
        assert read_record(tmp_path / "a.json") == record
        assert "图" in (tmp_path / "a.json").read_text(encoding="utf-8")

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_a_number_that_is_none_is_refused_and_the_old_record_stays(self, tmp_path: Path, value: float) -> None:
        path = tmp_path / "a.json"
        path.write_text("old")
        with pytest.raises(ValueError, match="JSON compliant"):
            write_record({"schema": SCHEMA, "value": value}, path)
        assert path.read_text() == "old"

    def test_a_place_that_cannot_be_written_is_a_store_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match="cannot be written"):
            write_record({}, tmp_path / "file" / "a.json")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "not a readable result record"),
            (b'{"schema": "fgbench.res', "not a readable result record"),
            (b"\xff\xfe", "not a readable result record"),
            (b"[1]", "schema is None"),
            (b"{}", "schema is None"),
            (b'{"schema": "fgbench.result/2"}', "schema is 'fgbench.result/2', this version reads 'fgbench.result/1'"),
            (b'{"schema": "fgbench.result/1", "dataset": "x"}', "lacks .*model"),
        ],
    )
    def test_what_is_no_record_is_refused(self, tmp_path: Path, content: bytes, message: str) -> None:
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(DataError, match=rf"{tmp_path}/a.json: {message}"):
            read_record(tmp_path / "a.json")

    def test_a_missing_record_is_a_data_error(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="No such file"):
            read_record(tmp_path / "none.json")
