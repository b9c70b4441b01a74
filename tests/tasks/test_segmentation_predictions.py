"""Label maps predicted elsewhere: folders of files and detectron2's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pycocotools import mask as coco

from fgbench.errors import DataError, DataMissingError, UsageError
from fgbench.task import Predictions
from fgbench.tasks.segmentation import TASK

from ..layouts import write_json
from .segmentation_layouts import (
    CLASSES,
    NO,
    Labels,
    Opened,
    opened,
    reference,
    save,
    save_palette,
    some_maps,
    some_predictions,
    values,
    write_set,
)


class Made:
    """A small set, a folder for predictions, and predictions of class indices for it."""

    def __init__(self, root: Path, dataset: str) -> None:
        self.truths = some_maps(dataset)
        write_set(root, dataset, "prepared", self.truths)
        self.set: Opened = opened(dataset, root)
        self.folder = root / "predictions"
        self.folder.mkdir()
        last = CLASSES[dataset]
        raw = some_predictions(dataset, list(self.truths.values()))
        self.maps = {stem: np.where(each < last, each, NO) for stem, each in zip(self.truths, raw, strict=True)}
        self.expected = reference(list(self.truths.values()), list(self.maps.values()), last)

    def write(self, suffix: str, change: Any = lambda labels: labels) -> None:
        for stem, labels in self.maps.items():
            save(self.folder / f"{stem}{suffix}", change(labels))

    def read(self, place: Path | None = None, **options: str) -> Predictions:
        found: Predictions = TASK.predictions(self.set.spec, self.set.loaded, place or self.folder, options)
        return found

    def scores(self, place: Path | None = None, **options: str) -> dict[str, float]:
        found = TASK.score(self.set.spec, self.set.loaded, self.read(place, **options).answers)
        assert (found.evaluated, found.skipped) == (3, {})
        return values(found)


def narrow(labels: Labels) -> npt.NDArray[np.uint8]:
    """8 bits; 250 is no class of a small set."""
    return np.where(labels == NO, 250, labels).astype(np.uint8)


class TestFolders:
    @pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
    @pytest.mark.parametrize("dataset", CLASSES)
    def test_16_bits_for_any_set(self, tmp_path: Path, dataset: str, suffix: str) -> None:
        made = Made(tmp_path, dataset)
        made.write(suffix)
        assert made.scores() == pytest.approx(made.expected, rel=1e-12)
        assert made.read().notes == ()

    @pytest.mark.parametrize("dataset", ["ade20k-150", "voc-21"])
    def test_8_bits_where_they_suffice(self, tmp_path: Path, dataset: str) -> None:
        made = Made(tmp_path, dataset)
        made.write(".png", narrow)
        assert made.scores() == pytest.approx(made.expected, rel=1e-12)

    def test_a_palette_is_ignored(self, tmp_path: Path) -> None:
        made = Made(tmp_path, "voc-20")
        for stem, labels in made.maps.items():
            save_palette(made.folder / f"{stem}.png", narrow(labels))
        assert made.scores() == pytest.approx(made.expected, rel=1e-12)

    def test_mmsegmentation_adds_1(self, tmp_path: Path) -> None:
        made = Made(tmp_path, "pascal-context-59")
        made.write(".png", lambda labels: np.where(labels == NO, 0, labels + 1).astype(np.uint8))
        assert made.scores(offset="1") == pytest.approx(made.expected, rel=1e-12)
        assert made.scores()["miou"] < made.expected["miou"] / 2

    def test_59_prompts_are_folded_on_request(self, tmp_path: Path) -> None:
        made = Made(tmp_path, "voc-21")
        made.write(
            ".png", lambda labels: np.where(labels == 20, 20 + np.arange(14) % 39, narrow(labels)).astype(np.uint8)
        )
        assert made.scores(fold="pas20b") == pytest.approx(made.expected, rel=1e-12)
        assert made.scores()["miou"] < made.expected["miou"]

    def test_voc_s_own_numbering(self, tmp_path: Path) -> None:
        made = Made(tmp_path, "voc-21")
        native: Any = lambda labels: np.where(labels == 20, 0, np.where(labels == NO, 255, labels + 1))  # noqa: E731
        made.write(".png", lambda labels: native(labels).astype(np.uint8))
        assert made.scores(fold="voc-native") == pytest.approx(made.expected, rel=1e-12)

    def test_resizing_is_asked_for_and_noted(self, tmp_path: Path) -> None:
        made = Made(tmp_path, "voc-20")
        made.write(".npy", lambda labels: labels.repeat(2, axis=0).repeat(2, axis=1))
        with pytest.raises(DataError, match=r"3 of 3 predictions differ in size .* with 28×18 pixels; .* at 14×9"):
            made.read()
        assert made.scores(resize="nearest") == pytest.approx(made.expected, rel=1e-12)
        assert made.read(resize="nearest").notes == ("3 of 3 predictions were resized to the ground truth (nearest)",)

    def test_missing_and_superfluous_files(self, tmp_path: Path) -> None:
        made = Made(tmp_path, "voc-20")
        made.write(".png", narrow)
        first, second, _ = made.maps
        save(made.folder / "other.png", np.zeros((2, 2), np.uint8))
        (made.folder / "log.txt").touch()
        assert made.read().notes == ("1 predictions belong to no picture of the set",)
        (made.folder / f"{first}.png").unlink()
        (made.folder / f"{second}.png").unlink()
        with pytest.raises(DataMissingError, match=rf"2 of 3 predictions are not in .*, the first is that of {first}"):
            made.read()

    @pytest.mark.parametrize("dataset", ["ade20k-847", "pascal-context-459"])
    def test_8_bits_are_refused_for_more_classes(self, tmp_path: Path, dataset: str) -> None:
        made = Made(tmp_path, dataset)
        made.write(".png", lambda labels: (labels % 256).astype(np.uint8))
        with pytest.raises(DataError, match="cannot hold more than 255 classes"):
            made.read().answers["maps"].read(0)

    @pytest.mark.parametrize("form", ["colours", "text", "two"])
    def test_what_is_no_label_map(self, tmp_path: Path, form: str) -> None:
        made = Made(tmp_path, "voc-20")
        made.write(".png", narrow)
        stem, labels = next(iter(made.maps.items()))
        if form == "colours":
            save(made.folder / f"{stem}.png", np.zeros((*labels.shape, 3), np.uint8))
        elif form == "text":
            (made.folder / f"{stem}.png").write_text("label map", encoding="utf-8")
        else:
            save(made.folder / f"{stem}.npy", labels)
        with pytest.raises(DataError, match=stem):
            made.read().answers["maps"].read(0)


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        ("voc-20", {"shift": "1"}, "no option 'shift'; they have: offset, fold, resize"),
        ("voc-20", {"offset": "one"}, "offset is 'one'; expected an integer"),
        ("voc-20", {"resize": "bilinear"}, "resize is 'bilinear'; expected nearest"),
        ("voc-21", {"fold": "pas20"}, "fold is 'pas20'; expected pas20b or voc-native"),
        ("voc-20", {"fold": "pas20b"}, "voc-20 has no background to fold predictions into"),
    ],
)
def test_options_that_do_not_exist(tmp_path: Path, dataset: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Made(tmp_path, dataset).read(None, **options)


@pytest.mark.parametrize("name", ["nothing", "nothing.json"])
def test_predictions_that_are_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataMissingError, match=name):
        Made(tmp_path, "voc-20").read(tmp_path / name)


class TestDetectron2:
    def rows(self, maps: dict[str, Labels]) -> list[dict[str, Any]]:
        """As ``sem_seg_predictions.json`` has them: one row for each class that was predicted in a picture."""
        found = []
        for stem, labels in maps.items():
            for value in np.unique(labels[labels != NO]).tolist():
                rle = coco.encode(np.asfortranarray((labels == value).astype(np.uint8)))
                segment = {"size": list(labels.shape), "counts": rle["counts"].decode()}
                found.append({"file_name": f"data/images/{stem}.jpg", "category_id": value, "segmentation": segment})
        return found

    @pytest.mark.parametrize("dataset", ["ade20k-847", "voc-21"])
    def test_the_same_scores_as_from_files(self, tmp_path: Path, dataset: str) -> None:
        made = Made(tmp_path, dataset)
        path = write_json(tmp_path / "sem_seg_predictions.json", self.rows(made.maps))
        assert made.scores(path) == pytest.approx(made.expected, rel=1e-12)

    def test_a_picture_without_rows_is_missing(self, tmp_path: Path) -> None:
        made = Made(tmp_path, "voc-20")
        rows = [row for row in self.rows(made.maps) if list(made.maps)[2] not in row["file_name"]]
        path = write_json(tmp_path / "a.json", rows)
        with pytest.raises(DataMissingError, match="1 of 3 predictions are not in"):
            made.read(path)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"category_id": -1}, r"row 0: field 'category_id' should be a class index, found -1"),
            ({"category_id": "0"}, r"row 0: field 'category_id' should be an integer"),
            ({"segmentation": [1, 2]}, r"row 0: field 'segmentation' should be an object"),
            ({"segmentation": {"size": [9, 14], "counts": "1"}}, r"row 0: the runs of a mask of 14×9 pixels"),
            ({"file_name": None}, r"row 0: field 'file_name' should be a string"),
        ],
    )
    def test_broken_rows_are_named(self, tmp_path: Path, change: dict[str, Any], message: str) -> None:
        made = Made(tmp_path, "voc-20")
        rows: Sequence[dict[str, Any]] = self.rows(made.maps)
        path = write_json(tmp_path / "a.json", [rows[0] | change, *rows[1:]])
        with pytest.raises(DataError, match=message):
            made.read(path)
