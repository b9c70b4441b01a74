"""Whatever is wrong with files, pictures or boxes: a clear message, an honest denominator, nothing lost."""

from __future__ import annotations

import contextlib
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fgbench.runner.progress import Progress

from .results import Run, counters, record, skipped

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Data


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be huge."""

    def block(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + block(b"IHDR", header) + block(b"IDAT", zlib.compress(b"")) + block(b"IEND", b"")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[: len(content) // 2], "damaged picture"),
        (lambda content: content[:20], "not a picture that can be opened"),
        (lambda content: b"", "an empty file"),
        (
            lambda content: b"<html>404</html>",
            "not a picture that can be opened (16 bytes starting with b'<html>404</h'",
        ),
        (lambda content: bomb(12_000, 10_000), "12000×10000 pixels, more than the limit of 100,000,000"),
        (lambda content: bomb(60_000, 60_000), "DecompressionBombError"),
    ],
    ids=["truncated", "header cut", "empty", "web page", "bomb", "bomb that Pillow refuses"],
)
def test_a_broken_picture(run: Run, data: Data, damage: Callable[[bytes], bytes], message: str) -> None:
    picture = data.add_picture()
    content = picture.read_bytes()
    picture.write_bytes(damage(content))

    failed = run()
    assert [each["dataset"] for each in failed.records] == ["fg-ovd", "coco-box"]
    [problem] = failed.not_evaluated
    assert (problem.dataset, problem.failed, failed.exit_code) == ("coco", True, 1)
    assert str(picture) in problem.reason
    assert message in problem.reason
    assert "--on-error skip" in problem.reason

    partial = run(on_error="skip")
    assert partial.exit_code == 0
    assert skipped(partial, "coco") == {"image_unreadable": 1}
    assert record(partial, "coco")["counts"]["expected"] == 13
    assert {score["metric"][:3]: score["n"] for score in record(partial, "coco")["scores"]} == {"i2t": 12, "t2i": 60}
    assert counters(partial)["image_passes"] == 0

    picture.write_bytes(content)
    whole = run()
    assert skipped(whole, "coco") == {}
    assert (counters(whole)["image_passes"], counters(whole)["texts_encoded"]) == (1, 0)


class At:
    """Does something at the beginning of a stage of the run."""

    def __init__(self, stage: str, action: Callable[[], object]) -> None:
        self._stage = stage
        self._action = action

    @contextlib.contextmanager
    def stage(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """See :class:`fgbench.runner.progress.Progress`."""
        if title == self._stage:
            self._action()
        yield lambda _: None


@pytest.mark.parametrize("stage", ["checking pictures", "images"])
def test_a_picture_that_disappears_after_the_plan(run: Run, data: Data, stage: str) -> None:
    picture = data.add_picture()
    content = picture.read_bytes()
    vanish: Progress = At(stage, picture.unlink)
    failed = run(progress=vanish)
    assert [each["dataset"] for each in failed.records] == ["fg-ovd", "coco-box"]
    [problem] = failed.not_evaluated
    assert problem.dataset == "coco"
    assert f"{picture}: cannot be read (No such file or directory)" in problem.reason

    picture.write_bytes(content)
    partial = run(progress=vanish, on_error="skip")
    assert skipped(partial, "coco") == {"image_unreadable": 1}
    assert counters(partial)["image_passes"] == 0

    picture.write_bytes(content)
    assert counters(run())["image_passes"] == 1


def pack(pictures: Path, archive: Path) -> None:
    """Put a folder of pictures into a zip file, which takes the place of an older one."""
    with zipfile.ZipFile(archive.with_suffix(".new"), "w") as content:
        for picture in sorted(pictures.iterdir()):
            content.write(picture, picture.name)
    archive.with_suffix(".new").replace(archive)


def test_a_broken_archive(run: Run, data: Data, tmp_path: Path) -> None:
    archive = tmp_path / "pictures.zip"
    files = {"coco.images": archive}
    pictures = data.picture().parent
    pack(pictures, archive)
    content = archive.read_bytes()
    archive.write_bytes(content[:-40])
    failed = run(files=files)
    assert [each["dataset"] for each in failed.records] == ["fg-ovd", "coco-box"]
    [problem] = failed.not_evaluated
    assert (problem.dataset, problem.failed) == ("coco", True)
    assert f"{archive}: not a readable archive" in problem.reason

    archive.write_bytes(content)
    assert counters(run(files=files))["image_passes"] == 0

    (damaged := bytearray(content))[200:230] = bytes(30)
    archive.write_bytes(damaged)
    partial = run(files=files, on_error="skip")
    assert skipped(partial, "coco") == {"image_unreadable": 1}


def test_an_archive_that_is_replaced(run: Run, data: Data, tmp_path: Path) -> None:
    archive = tmp_path / "pictures.zip"
    files = {"coco.images": archive}
    pictures = tmp_path / "pictures"
    shutil.copytree(data.picture().parent, pictures)
    lost = sorted(pictures.iterdir())[4]
    content = lost.read_bytes()
    lost.unlink()
    pack(pictures, archive)
    [problem] = run(files=files).not_evaluated
    assert lost.name in problem.reason
    lost.write_bytes(content)
    pack(pictures, archive)
    assert run(files=files).exit_code == 0


def change(data: Data, path: Path, name: str, row: int, **fields: Any) -> None:
    """Change fields of one row of a COCO file."""
    data.edit(path, **{name: lambda rows: [*rows[:row], {**rows[row], **fields}, *rows[row + 1 :]]})


def broken_json(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8")[:-30].replace("[", "[\n", 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("dataset", "damage", "messages"),
    [
        ("coco", lambda data: broken_json(data.captions), ["captions_val2017.json: not valid JSON at line", "cut off"]),
        ("coco", lambda data: data.captions.write_text("[]"), ["expected an object with 'images' and 'annotations'"]),
        ("coco", lambda data: data.captions.write_bytes(b'{"images": "\xff"}'), ["not UTF-8 (byte 12)"]),
        (
            "coco",
            lambda data: change(data, data.captions, "annotations", 4, caption=5),
            ["annotations[4]", "field 'caption' should be a string, found an integer (5)"],
        ),
        (
            "coco",
            lambda data: change(data, data.captions, "images", 0, file_name="../../x.jpg"),
            ["'../../x.jpg' would leave the image folder"],
        ),
        (
            "coco-box",
            lambda data: change(data, data.instances, "annotations", 0, bbox=[1, 2, 3]),
            ["annotations[0]", "field 'bbox' should be [x, y, width, height] in pixels, found [1, 2, 3]"],
        ),
        (
            "coco-box",
            lambda data: data.edit(data.instances, images=lambda rows: [rows[0], *rows]),
            ["images[1]: id", "occurs twice"],
        ),
        (
            "fg-ovd",
            lambda data: data.hard.write_text('{"img_path": \n', encoding="utf-8"),
            ["h_attributes_llava.jsonl:1: not valid JSON at column"],
        ),
        (
            "fg-ovd",
            lambda data: data.hard.write_text("\n\n[1]\n", encoding="utf-8"),
            ["h_attributes_llava.jsonl:3: expected one JSON object per line, found a list"],
        ),
    ],
    ids=["cut", "list", "not UTF-8", "caption", "climbing name", "box of three", "id twice", "line", "line type"],
)
def test_broken_annotations_name_the_place(
    run: Run, data: Data, dataset: str, damage: Callable[[Data], object], messages: list[str]
) -> None:
    damage(data)
    result = run()
    assert [each["dataset"] for each in result.records] == [name for name in data.IDS if name != dataset]
    [problem] = result.not_evaluated
    assert (problem.dataset, problem.failed, result.exit_code) == (dataset, True, 1)
    for message in messages:
        assert message in problem.reason


def test_categories_and_boxes_that_cannot_be_judged_are_counted(run: Run, data: Data) -> None:
    first = json.loads(data.instances.read_text(encoding="utf-8"))["annotations"][0]
    bad: list[dict[str, Any]] = [
        {"category_id": 12345},
        {"image_id": 54321},
        {"bbox": [5, 5, 0, 10]},
        {"bbox": [5, 5, 10, -1]},
        {"bbox": [float("nan"), 5, 10, 10]},
        {"bbox": [0, 0, 1e9, 1e9]},
        {"bbox": [1000, 5, 10, 10]},
        {"bbox": [-20, 5, 20, 10]},
    ]
    good: list[dict[str, Any]] = [
        {"bbox": [-5, -5, 10, 10]},
        {"bbox": [5, 5, 0.25, 0.25]},
        {"bbox": [0, 0, 2000, 2000]},
    ]
    before = run()
    boxes = record(before, "coco-box")["counts"]["expected"]
    added = [{**first, **change, "id": 7000 + number} for number, change in enumerate([*bad, *good])]
    data.edit(data.instances, annotations=lambda rows: rows + added)

    failed = run()
    assert [each["dataset"] for each in failed.records] == ["fg-ovd", "coco"]
    [problem] = failed.not_evaluated
    assert problem.failed
    for reason in ("unknown_category 1", "unknown_image 1", "--on-error skip"):
        assert reason in problem.reason

    for mode in ("roi", "crop"):
        result = run(on_error="skip", region_mode=mode)
        assert skipped(result, "coco-box") == {
            "unknown_category": 1,
            "unknown_image": 1,
            "degenerate_box": 4,
            "box_outside_image": 2,
        }
        assert record(result, "coco-box")["counts"]["expected"] == boxes + len(bad) + len(good)
        [top1] = [
            score
            for score in record(result, "coco-box")["scores"]
            if (score["subset"], score["metric"]) == ("all", "top1")
        ]
        assert top1["n"] == boxes + len(good)


def test_boxes_alone_are_a_reason_to_fail(run: Run, data: Data) -> None:
    change(data, data.instances, "annotations", 0, bbox=[5, 5, 0, 0])
    [problem] = run().not_evaluated
    assert problem.dataset == "coco-box"
    assert "degenerate_box 1" in problem.reason


def test_a_dataset_of_nothing_but_bad_items_has_no_score(run: Run, data: Data) -> None:
    data.edit(data.instances, annotations=lambda rows: [{**row, "category_id": 12345} for row in rows])
    result = run(on_error="skip")
    assert [each["dataset"] for each in result.records] == ["fg-ovd", "coco"]
    [problem] = result.not_evaluated
    assert "unknown_category" in problem.reason


def test_a_dataset_without_items_has_no_score(run: Run, data: Data) -> None:
    data.edit(data.instances, annotations=[])
    data.edit(data.captions, annotations=[], images=[])
    for path in (data.root / "fgovd").iterdir():
        path.write_text("", encoding="utf-8")
    result = run(on_error="skip")
    assert not result.records
    assert [problem.dataset for problem in result.not_evaluated] == list(data.IDS)
