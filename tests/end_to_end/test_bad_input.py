"""Whatever is wrong with files, pictures, boxes or the model: a clear message, an honest denominator, nothing lost."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

import fgbench
from fgbench.adapter import ImageFeatures, TextFeatures
from fgbench.api import Evaluation
from fgbench.errors import FgbenchError, ModelError, StoreError, UsageError
from fgbench.runner.progress import Progress

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Data, Shell, Thumbnail

Run = Callable[..., Evaluation]


@pytest.fixture
def run(data: Data, thumbnail: Thumbnail, tmp_path: Path) -> Run:
    """Evaluates the three generated datasets into the same folder every time."""

    def evaluate(**options: Any) -> Evaluation:
        options = {"data_root": data.root, "output": tmp_path / "results", "device": "cpu", **options}
        return fgbench.evaluate(thumbnail, None, data.IDS, **options)

    return evaluate


def record(result: Evaluation, dataset: str) -> dict[str, Any]:
    """The record of a dataset."""
    [found] = [each for each in result.records if each["dataset"] == dataset]
    return found


def counters(result: Evaluation) -> dict[str, int]:
    """What the run encoded."""
    return dict(result.records[0]["timings"]["counters"])


def skipped(result: Evaluation, dataset: str) -> dict[str, int]:
    """What was skipped, after a look at the sum: evaluated and skipped items make up the dataset."""
    counts = record(result, dataset)["counts"]
    assert counts["evaluated"] + sum(counts["skipped"].values()) == counts["expected"]
    return dict(counts["skipped"])


def captioned(data: Data) -> Path:
    """Add a picture that only coco knows."""
    picture = data.picture().with_name("999.png")
    from PIL import Image

    Image.effect_noise((90, 60), 80).save(picture)
    data.edit(
        data.captions,
        images=lambda rows: [*rows, {"id": 999, "file_name": picture.name}],
        annotations=lambda rows: [*rows, {"id": 999, "image_id": 999, "caption": "Noise."}],
    )
    return picture


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
    picture = captioned(data)
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
    picture = captioned(data)
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


def test_nan_for_a_picture_names_it_and_keeps_the_texts(
    run: Run, data: Data, thumbnail: Thumbnail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = captioned(data)
    healthy = thumbnail.encode_images

    def poisoned(batch: Any, *, dense: bool) -> ImageFeatures:
        features = healthy(batch, dense=dense)
        features.pooled[:, 3] = torch.where(grey(batch), torch.nan, features.pooled[:, 3])
        return features

    def grey(batch: Any) -> torch.Tensor:
        return torch.eq(batch["pixels"].amax(2), batch["pixels"].amin(2)).all(1)

    with monkeypatch.context() as patch:
        patch.setattr(thumbnail, "encode_images", poisoned)
        with pytest.raises(ModelError, match=r"thumbnail returned NaN or infinity for 1 of \d+ inputs") as caught:
            run()
    assert str(picture) in str(caught.value)
    assert not list((tmp_path / "results").glob("*/*.json"))
    result = run()
    assert counters(result)["texts_encoded"] == 0
    assert result.exit_code == 0


def test_nan_for_a_text_names_it(run: Run, thumbnail: Thumbnail, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = thumbnail.encode_texts

    def poisoned(texts: Any, kind: Any) -> TextFeatures:
        vectors, truncated = healthy(texts, kind)
        return TextFeatures(vectors / torch.tensor([[float("ring" not in text)] for text in texts]), truncated)

    with monkeypatch.context() as patch:
        patch.setattr(thumbnail, "encode_texts", poisoned)
        with pytest.raises(ModelError, match="ring"):
            run()
    assert run().exit_code == 0


def test_features_of_a_wrong_shape_are_refused(run: Run, thumbnail: Thumbnail, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = thumbnail.encode_images

    def narrow(batch: Any, *, dense: bool) -> ImageFeatures:
        return healthy(batch, dense=dense)._replace(pooled=torch.zeros(1, 2))

    monkeypatch.setattr(thumbnail, "encode_images", narrow)
    with pytest.raises(ModelError, match=r"pooled features are \[1, 2\], expected \[12, 8\]"):
        run()


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets so many files be written, and none after them."""

    def after(files: int) -> None:
        left = iter(range(files))
        sync = os.fsync

        def fsync(descriptor: int) -> None:
            if next(left, None) is None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)

    return after


def test_no_space_left(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_disk: Callable[[int], None]
) -> None:
    """Wherever it happens among the files of a run: chunks, records with their outcomes, the table."""
    whole = tmp_path / "whole"
    run(output=whole)
    chunks = len(list(whole.glob("features/*/*")))
    for files in range(sum(path.is_file() for path in whole.rglob("*"))):
        output = tmp_path / f"results {files}"
        full_disk(files)
        with pytest.raises(StoreError, match="no space left on the disk") as caught:
            run(output=output)
        monkeypatch.undo()
        assert str(output) in str(caught.value)
        assert "--output" in str(caught.value)
        written = [path for path in output.rglob("*") if path.is_file()]
        assert len(written) == files, written
        for path in output.glob("*/*.json"):
            json.loads(path.read_text(encoding="utf-8"))
            assert path.with_suffix(".items.npz") in written

        kept = len(list(output.glob("features/*/*")))
        result = run(output=output)
        assert result.exit_code == 0
        assert counters(result)["chunks_encoded"] == len(list(output.glob("features/*/*"))) - kept
        # Texts are encoded first; the pictures of this run are one chunk.
        assert (counters(result)["image_passes"] == 0) == (files >= chunks)
        assert (output / "results.csv").read_bytes() == (whole / "results.csv").read_bytes()


def test_no_space_left_leaves_the_old_record(
    run: Run, tmp_path: Path, data: Data, full_disk: Callable[[int], None]
) -> None:
    run()
    path = tmp_path / "results/thumbnail/coco.json"
    before = path.read_bytes()
    captioned(data)
    full_disk(0)
    with pytest.raises(StoreError):
        run()
    assert path.read_bytes() == before


def test_a_damaged_chunk_is_encoded_again(run: Run, tmp_path: Path) -> None:
    first = run()
    chunks = sorted((tmp_path / "results").glob("features/*/*.safetensors"))
    chunks[0].write_bytes(chunks[0].read_bytes()[:-7])
    content = bytearray(chunks[1].read_bytes())
    content[-3] ^= 1
    chunks[1].write_bytes(content)
    again = run()
    assert again.notes == ("2 damaged feature files were found and encoded again.",)
    assert counters(again)["chunks_encoded"] == 2
    for dataset in ("fg-ovd", "coco-box", "coco"):
        assert record(first, dataset)["scores"] == record(again, dataset)["scores"]


@pytest.mark.parametrize(
    ("damage", "kind", "message"),
    [
        (lambda folder: cut(folder / "model.safetensors"), ModelError, "truncated or damaged"),
        (lambda folder: (folder / "model.safetensors").unlink(), ModelError, "expected model.safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\x80\x02}q"), ModelError, "is a pickle"),
        (lambda folder: (folder / "tokenizer.json").unlink(), ModelError, "there is no tokenizer.json"),
        (lambda folder: cut(folder / "tokenizer.json"), ModelError, "tokenizer.json: expected a tokenizer"),
        (lambda folder: cut(folder / "config.json"), UsageError, "no adapter recognises it"),
        (lambda folder: (folder / "config.json").unlink(), UsageError, "no adapter recognises it"),
    ],
    ids=["weights cut", "no weights", "pickle", "no tokenizer", "tokenizer cut", "config cut", "no config"],
)
def test_a_broken_checkpoint(
    golden: Path, data: Data, tmp_path: Path, damage: Callable[[Path], object], kind: type[FgbenchError], message: str
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(golden / "fgclip2-tiny", folder)
    damage(folder)
    with pytest.raises(kind, match=message) as caught:
        fgbench.evaluate(str(folder), None, data.IDS, data_root=data.root, output=tmp_path / "results")
    assert str(folder) in str(caught.value)
    assert not (tmp_path / "results").exists()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def test_a_broken_checkpoint_on_the_command_line(golden: Path, data: Data, shell: Shell) -> None:
    folder = shell.folder / "checkpoint"
    shutil.copytree(golden / "fgclip2-tiny", folder)
    cut(folder / "model.safetensors")
    done = shell("eval", "--model", folder, "-d", "coco", "--data-root", data.root)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "model.safetensors: expected safetensors weights, but the file" in done.stderr
    assert "Traceback" not in done.stderr
