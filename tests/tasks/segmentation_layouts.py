"""Small segmentation sets in every published layout, and a reference for their scores.

The encoders here are written independently of the readers: from class indices to files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from pycocotools import mask as coco
from sklearn.metrics import accuracy_score, jaccard_score, recall_score

from fgbench.data.files import DatasetFiles
from fgbench.requests import LabelMaps, PredictedMaps
from fgbench.spec import DatasetSpec
from fgbench.task import Loaded, Scores
from fgbench.tasks.resources import table
from fgbench.tasks.segmentation import TASK

from ..fakes import save_picture
from ..layouts import write_json

Labels = npt.NDArray[np.uint16]
NO = 65_535
"""Not scored, in a ground truth; no class, in a prediction."""

VOC2010, VOC2012 = "VOCdevkit/VOC2010", "VOCdevkit/VOC2012"
ADE, ADE_FULL = "ADEChallengeData2016", "ADE20K_2021_17_01"
STEMS = ("2008_000002", "2008_000003", "2008_000007")
"""The first of PASCAL-Context's list; good names for any set."""

CLASSES = {spec.id: int(spec.id.rsplit("-", 1)[-1]) for spec in TASK.datasets}


def save(path: Path, values: npt.NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".mat":
        import_module("scipy.io").savemat(path, {"LabelMap": values})
    elif path.suffix == ".npy":
        np.save(path, values)
    else:
        Image.fromarray(values).save(path)


def save_palette(path: Path, values: npt.NDArray[np.uint8]) -> None:
    """Mode P with colours whose luminance says nothing about the index."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values).copy()
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
    image.save(path)


def eight(labels: Labels, shift: int, ignore: int, **other: int) -> npt.NDArray[np.uint8]:
    """8-bit form: index + shift."""
    return np.where(labels == NO, ignore, labels.astype(int) + shift).astype(np.uint8)


def _ade_full_raw(root: Path, stem: str, labels: Labels) -> None:
    ids = np.array([int(row["dataset_id"]) for row in table("ade847_dataset_ids")] + [1])
    values = ids[np.where(labels == NO, 847, labels)]
    blue = np.random.default_rng(0).integers(0, 10, values.shape)
    folder = root / ADE_FULL / "images/ADE/validation/urban/street"
    save(folder / f"{stem}_seg.png", np.stack([values // 256 * 10 + blue, values % 256, blue], -1).astype(np.uint8))
    save(folder / f"{stem}_parts_1.png", np.zeros((2, 2, 3), np.uint8))
    save(folder / stem / "ADE_val_99999999_seg.png", np.zeros((2, 2, 3), np.uint8))


def _numbers(labels: Labels) -> Labels:
    """PASCAL-Context numbers of the 59; 1 (accordion) is not among them."""
    numbers = np.array([int(row["pascal_context_id"]) for row in table("pc59_source_ids")] + [1], dtype=np.uint16)
    return numbers[np.where(labels == NO, 59, labels)]


def _voc(root: Path, stem: str, values: npt.NDArray[np.uint8], folder: str = "SegmentationClass") -> None:
    save_palette(root / VOC2012 / folder / f"{stem}.png", values)
    split = root / VOC2012 / "ImageSets/Segmentation/val.txt"
    split.parent.mkdir(parents=True, exist_ok=True)
    with split.open("a", encoding="utf-8") as file:
        file.write(f"{stem}\n")


Writer = Callable[[Path, str, Labels], None]


def _png(folder: str, shift: int, ignore: int) -> Writer:
    return lambda root, stem, labels: save(root / folder / f"{stem}.png", eight(labels, shift, ignore))


def _tif(folder: str) -> Writer:
    return lambda root, stem, labels: save(root / folder / f"{stem}.tif", labels)


def _voc21(labels: Labels) -> npt.NDArray[np.uint8]:
    return np.where(labels == NO, 255, np.where(labels == 20, 0, labels + 1)).astype(np.uint8)


WRITERS: Mapping[tuple[str, str], Writer] = {
    ("ade20k-847", "prepared"): _tif(f"{ADE_FULL}/annotations_detectron2/validation"),
    ("ade20k-847", "raw"): _ade_full_raw,
    ("pascal-context-459", "prepared"): _tif(f"{VOC2010}/annotations_detectron2/pc459_val"),
    ("pascal-context-459", "matlab"): lambda root, stem, labels: save(
        root / VOC2010 / "trainval" / f"{stem}.mat", labels + np.uint16(1)
    ),
    ("ade20k-150", "prepared"): _png(f"{ADE}/annotations_detectron2/validation", 0, 255),
    ("ade20k-150", "raw"): _png(f"{ADE}/annotations/validation", 1, 0),
    ("pascal-context-59", "prepared"): _png(f"{VOC2010}/annotations_detectron2/pc59_val", 0, 255),
    ("pascal-context-59", "mmsegmentation"): _png(f"{VOC2010}/SegmentationClassContext", 1, 0),
    ("pascal-context-59", "matlab"): lambda root, stem, labels: save(
        root / VOC2010 / "trainval" / f"{stem}.mat", _numbers(labels)
    ),
    ("voc-20", "prepared"): _png(f"{VOC2012}/annotations_detectron2/val", 0, 255),
    ("voc-20", "raw"): lambda root, stem, labels: _voc(
        root, stem, np.where(labels == NO, 255 * (np.arange(labels.shape[1]) % 2), labels + 1).astype(np.uint8)
    ),
    ("voc-21", "prepared"): _png(f"{VOC2012}/annotations_detectron2_bg/val", 0, 255),
    ("voc-21", "raw"): lambda root, stem, labels: _voc(root, stem, _voc21(labels)),
    ("voc-21", "aug"): lambda root, stem, labels: _voc(root, stem, _voc21(labels), "SegmentationClassAug"),
}
"""One label map from class indices, by dataset and form. The JSON file of PASCAL-Context-59 is written as a whole."""


def write_merged_json(root: Path, maps: Mapping[str, Labels]) -> Path:
    """PASCAL-Context's ``trainval_merged.json``: every class of a picture as one mask, over a mask of all of it."""
    images, segments = [], []
    for number, (stem, labels) in enumerate(maps.items(), start=1):
        height, width = labels.shape
        row = {"image_id": number, "file_name": f"{stem}.jpg", "height": height, "width": width, "phase": "val"}
        images.append(row)
        values = _numbers(labels)
        for value, mask in [(458, values > 0), *((int(value), values == value) for value in np.unique(values))]:
            rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
            rle = {"size": [height, width], "counts": rle["counts"].decode()}
            segments.append({"image_id": number, "category_id": value, "segmentation": rle, "bbox": [0, 0, 1, 1]})
        images.append(row | {"image_id": -number, "file_name": "2008_000001.jpg", "phase": "train"})
        segments.append({"image_id": -number, "category_id": 2, "segmentation": {"size": [1, 1], "counts": "01"}})
    content = {"images": images, "annos_occlusion": [{"any": [1, {}]}], "annos_segmentation": segments}
    return write_json(root / VOC2010 / "trainval_merged.json", content)


def image_folder(dataset: str, form: str) -> str:
    if dataset == "ade20k-847":
        return f"{ADE_FULL}/" + (
            "images/ADE/validation/urban/street" if form == "raw" else "images_detectron2/validation"
        )
    if dataset == "ade20k-150":
        return f"{ADE}/images/validation"
    return f"{VOC2012 if dataset.startswith('voc') else VOC2010}/JPEGImages"


def write_set(root: Path, dataset: str, form: str, maps: Mapping[str, Labels]) -> None:
    """Pictures and label maps."""
    for number, (stem, labels) in enumerate(maps.items()):
        height, width = labels.shape
        save_picture(root / image_folder(dataset, form) / f"{stem}.jpg", number, (width, height))
        if form != "json":
            WRITERS[dataset, form](root, stem, labels)
    if form == "json":
        write_merged_json(root, maps)


def some_maps(dataset: str, seed: int = 0) -> dict[str, Labels]:
    """Label maps of several sizes: a few classes, 255 and the last among them where there are so many; gaps."""
    random = np.random.default_rng(seed)
    classes = CLASSES[dataset]
    ids = np.array([0, 2, 7, 14, classes - 1, *([255] if classes > 255 else []), NO], dtype=np.uint16)
    if dataset == "pascal-context-459":
        ids = ids[:-1]
    stems = [f"ADE_val_{n:08d}" for n in (1, 2, 10)] if dataset == "ade20k-847" else STEMS
    return {stem: random.choice(ids, (9 + n, 14)) for n, stem in enumerate(stems)}


def some_predictions(dataset: str, truths: Sequence[Labels], seed: int = 1) -> list[Labels]:
    """Half right; the rest is of other classes, some of which have no true pixel, or of none."""
    random = np.random.default_rng(seed)
    prompts = 59 if dataset == "voc-21" else CLASSES[dataset]
    others = np.array([0, 1, 7, 18, prompts - 2, NO], dtype=np.uint16)
    found = []
    for truth in truths:
        guess = random.choice(others, truth.shape)
        found.append(np.where((random.random(truth.shape) < 0.5) & (truth != NO), truth, guess))
    return found


class Opened(NamedTuple):
    """A set as its task sees it."""

    spec: DatasetSpec
    loaded: Loaded
    maps: LabelMaps

    @property
    def stems(self) -> list[str]:
        return [picture.id for picture in self.loaded.items.pictures]

    def score(self, predictions: Sequence[Labels], failed: Mapping[int, str] | None = None) -> Scores:
        scores: Scores = TASK.score(self.spec, self.loaded, {"maps": predicted(predictions, failed)})
        return scores


def opened(dataset: str, root: Path, limit: int | None = None, **overrides: Path) -> Opened:
    spec = next(spec for spec in TASK.datasets if spec.id == dataset)
    loaded = TASK.load(spec, DatasetFiles(spec, root, overrides), limit)
    maps = TASK.requests(spec, loaded)["maps"]
    assert isinstance(maps, LabelMaps)
    return Opened(spec, loaded, maps)


def predicted(maps: Sequence[Labels], failed: Mapping[int, str] | None = None) -> PredictedMaps:
    return PredictedMaps(lambda row: maps[row], len(maps), failed or {})


def values(scores: Scores) -> dict[str, float]:
    assert {each.subset for each in scores.scores} <= {"all"}
    return {each.metric: each.value for each in scores.scores}


def reference(truths: Sequence[Labels], predictions: Sequence[Labels], classes: int) -> dict[str, float]:
    """All metrics by scikit-learn, from class indices."""
    truth, guess = (np.concatenate([each.ravel() for each in maps]) for maps in (truths, predictions))
    keep = truth != NO
    truth, guess = truth[keep], np.minimum(guess[keep], classes)
    iou = jaccard_score(truth, guess, labels=range(classes), average=None, zero_division=0)
    present = np.unique(truth)
    either = np.union1d(present, guess[guess < classes])
    return {
        "miou": iou[present].mean(),
        "miou_union": iou[either].mean(),
        "miou_all": iou.mean(),
        "pixel_accuracy": accuracy_score(truth, guess),
        "class_accuracy": recall_score(truth, guess, labels=present, average="macro", zero_division=0),
        "fw_iou": jaccard_score(truth, guess, average="weighted", zero_division=0),
    }
