"""Label maps that another program predicted, scored by the command line: VOC as downloaded, figures by scikit-learn."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from ..tasks.segmentation_layouts import (
    NO,
    STEMS,
    Labels,
    reference,
    save,
    save_palette,
    some_maps,
    some_predictions,
    write_set,
)

if TYPE_CHECKING:
    import subprocess

    from tests.end_to_end.conftest import Shell

CLASSES = 20


def narrow(labels: Labels) -> npt.NDArray[np.uint8]:
    """8 bits; 250 is no class."""
    return np.where(labels == NO, 250, labels).astype(np.uint8)


@dataclass(frozen=True)
class Predicted:
    """VOC-20 with three pictures and a folder of predictions.

    Attributes:
        shell: the command line.
        root: of the data; the predictions lie beside it.
        truths, maps: true and predicted class indices, by picture.
    """

    shell: Shell
    root: Path
    truths: dict[str, Labels]
    maps: dict[str, Labels]

    @property
    def folder(self) -> Path:
        return self.root.parent / "predictions"

    def __call__(self, *arguments: str, place: Path | None = None) -> subprocess.CompletedProcess[str]:
        where = ("--predictions", place or self.folder, "--data-root", self.root, "--json")
        return self.shell("score", "--dataset", "voc-20", *where, *arguments)

    def record(self, *arguments: str) -> dict[str, Any]:
        done = self(*arguments)
        assert done.returncode == 0, done.stderr
        [record] = json.loads(done.stdout)["records"]
        return dict(record)

    def expected(self) -> dict[str, float]:
        return reference(list(self.truths.values()), list(self.maps.values()), CLASSES)


@pytest.fixture
def predicted(shell: Shell, tmp_path: Path) -> Predicted:
    """Half of the pixels are right; some have a number that is no class."""
    truths = some_maps("voc-20")
    write_set(tmp_path / "data", "voc-20", "raw", truths)
    maps = dict(zip(truths, some_predictions("voc-20", list(truths.values())), strict=True))
    found = Predicted(shell, tmp_path / "data", truths, maps)
    for stem, labels in maps.items():
        save(found.folder / f"{stem}.png", narrow(labels))
    return found


def values(record: dict[str, Any]) -> dict[str, float]:
    assert {row["subset"] for row in record["scores"]} == {"all"}
    return {row["metric"]: row["value"] for row in record["scores"]}


def test_a_folder_of_label_maps_is_scored(predicted: Predicted) -> None:
    shutil.rmtree(predicted.root / "VOCdevkit/VOC2012/JPEGImages")  # the pictures themselves are not needed
    record = predicted.record("--name", "their-model")
    assert values(record) == pytest.approx(predicted.expected(), rel=1e-12)
    assert (record["model"]["name"], record["model"]["kind"]) == ("their-model", "external")
    assert record["protocol"]["id"] == "external/their-model"
    assert record["counts"]["expected"] == record["counts"]["evaluated"] == 3
    results = predicted.shell.folder / "results"
    assert json.loads((results / "their-model/voc-20.json").read_text(encoding="utf-8")) == record
    assert "their-model" in (results / "results.csv").read_text(encoding="utf-8")
    assert str(predicted.root.parent) not in json.dumps(record)


def test_a_palette_is_read_by_index_and_16_bits_and_an_offset_are_the_same_maps(predicted: Predicted) -> None:
    one, two, three = predicted.maps
    save_palette(predicted.folder / f"{one}.png", narrow(predicted.maps[one]))
    save(predicted.folder / f"{two}.png", predicted.maps[two])
    (predicted.folder / f"{three}.png").unlink()
    save(predicted.folder / f"{three}.npy", predicted.maps[three])
    assert values(predicted.record()) == pytest.approx(predicted.expected(), rel=1e-12)

    for stem, labels in predicted.maps.items():
        (predicted.folder / f"{stem}.npy").unlink(missing_ok=True)
        save(predicted.folder / f"{stem}.png", (narrow(labels) + 1).astype(np.uint8))
    record = predicted.record("--option", "offset=1")
    assert values(record) == pytest.approx(predicted.expected(), rel=1e-12)
    assert record["model"]["settings"] == {"offset": "1"}


def test_a_number_that_is_no_class_is_a_miss(predicted: Predicted) -> None:
    """It is neither an error nor a false alarm for another class."""
    for stem, labels in predicted.truths.items():
        save(predicted.folder / f"{stem}.png", np.full(labels.shape, 200, dtype=np.uint8))
    found = values(predicted.record())
    assert (found["miou"], found["pixel_accuracy"]) == (0, 0)


def test_lacking_predictions_are_counted(predicted: Predicted) -> None:
    for stem in STEMS[1:]:
        (predicted.folder / f"{stem}.png").unlink()
    done = predicted()
    assert done.returncode == 1
    assert "voc-20: 2 of 3 predictions are not in" in done.stderr
    assert f"expected {STEMS[1]}.png, .tif or .npy" in done.stderr
    done = predicted(place=predicted.root / "nowhere")
    assert done.returncode == 1
    assert "there are no such predictions" in done.stderr


def test_wrong_sizes_are_counted_and_resized_only_when_asked(predicted: Predicted) -> None:
    for stem in STEMS[1:]:
        large = narrow(predicted.maps[stem]).repeat(2, axis=0).repeat(2, axis=1)
        save(predicted.folder / f"{stem}.png", large)
    done = predicted()
    assert done.returncode == 1
    assert "voc-20: 2 of 3 predictions differ in size" in done.stderr
    height, width = predicted.truths[STEMS[1]].shape
    assert f"{STEMS[1]}.png with {2 * width}×{2 * height} pixels" in done.stderr
    assert f"is scored at {width}×{height}" in done.stderr

    record = predicted.record("--option", "resize=nearest")
    assert values(record) == pytest.approx(predicted.expected(), rel=1e-12)
    assert "2 of 3 predictions were resized to the ground truth (nearest)" in record["notes"]


def test_colours_are_refused(predicted: Predicted) -> None:
    path = predicted.folder / f"{STEMS[0]}.png"
    Image.open(path).convert("RGB").save(path)
    done = predicted()
    assert done.returncode == 1
    assert path.name in done.stderr + done.stdout
    assert "Write the class numbers and not colours" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--option", "shift=1"), "no option 'shift'"),
        (("--option", "offset"), "KEY=VALUE"),
        (("--option", "resize=bicubic"), "expected nearest"),
        (("--option", "fold=pas20b"), "voc-20 has no background"),
        (("--dataset", "coco"), "works on embeddings"),
    ],
)
def test_wrong_usage_is_2(predicted: Predicted, arguments: tuple[str, ...], message: str) -> None:
    done = predicted(*arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
