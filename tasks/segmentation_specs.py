"""The six segmentation sets as data."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from fgbench.runner.windows import NAMES as WINDOWS
from fgbench.spec import Choice, DatasetSpec, EvaluationProtocol, MetricKey, PublishedCell, TextProtocol

from . import label_encodings as encodings
from .label_sources import Form, ade_full, in_folder, pascal_context, pascal_context_json, voc

METRICS = ("miou", "miou_union", "miou_all", "pixel_accuracy", "class_accuracy", "fw_iou")

_MAIN = MetricKey("all", "miou")
_LABELS = {
    "ade20k-847": "A-847",
    "pascal-context-459": "PC-459",
    "ade20k-150": "A-150",
    "pascal-context-59": "PC-59",
    "voc-20": "VOC-20",
    "voc-21": "VOC-21",
}
"""Names of the sets in the paper's table, whose numbers are CAT-Seg's."""

TEMPLATES = {"imagenet80": "templates_80", "scene": "templates_scene"}
"""Template lists in ``tasks/data``, by choice."""

_CHOICES = {
    "windows": Choice(
        "auto", WINDOWS, "where pictures are cut; auto: whole for models of variable resolution, sclip for others"
    ),
    "templates": Choice(
        "imagenet80", tuple(TEMPLATES), "the 80 of CLIP averaged, or 'A photo of a {} in the scene' alone"
    ),
}
_SYNONYMS = Choice(
    "mean", ("mean", "first"), "classes with several names: the normalised mean of their prototypes, or the first name"
)
_RULES = {
    "feature": "dense features against class prototypes, cosine; no trained decoder, no softmax, no post-processing",
    "resolution": "1,024 patches per picture or window (variable-resolution models); fixed otherwise",
    "upsampling": "class scores bilinearly to the size of the ground truth, then argmax",
    "tie": "among equal scores the lower class index is predicted",
    "miou": "over classes with true pixels (detectron2 since July 2022); miou_union: those with true or predicted "
    "pixels; miou_all: all, absent ones as 0; one confusion matrix over the whole set",
    "denominator": "a pixel without prediction is a miss; predictions on pixels that are not scored count nowhere",
}
_NOTES = (
    "The paper's table 6 (table 5 of the project page) is another protocol, catseg: a decoder trained on COCO-Stuff, "
    "sliding windows of 384 on a 640 square. Its numbers stand apart from training-free ones in tables.",
)
_VOC_LICENCE = "pictures from Flickr under its terms"
_CONTEXT = (
    "VOC2010 pictures (VOCtrainval_03-May-2010.tar) unpacked in <data root>, so that <data root>/VOCdevkit/VOC2010/"
    "JPEGImages is there"
)


class SegmentationSet(NamedTuple):
    """What a set has beside its specification.

    Attributes:
        spec: the specification.
        classes: list of the classes that are scored.
        prompts: list of the classes that are prompted, in index order.
        forms: of its ground truth, best first.
        fold: how prompts become classes, a name of :data:`encodings.FOLDS`, or None where they are the same.
    """

    spec: DatasetSpec
    classes: str
    prompts: str
    forms: tuple[Form, ...]
    fold: str | None = None


def _spec(
    name: str,
    *,
    title: str,
    homepage: str,
    licence: str,
    citation: str,
    files: dict[str, tuple[str, ...]],
    how_to_get: str,
    pictures: int,
    prompts: str,
    classes: str,
    background: str,
    synonyms: bool = False,
    notes: tuple[str, ...] = (),
) -> DatasetSpec:
    """What the sets share, filled in."""
    return DatasetSpec(
        id=name,
        task="segmentation",
        title=title,
        language="en",
        homepage=homepage,
        licence=licence,
        citation=citation,
        files=files,
        how_to_get=how_to_get,
        published_items={"all": pictures},
        protocol=EvaluationProtocol(
            id="training-free",
            # FG-CLIP 2's example of dense features takes the box path and lower-cases. The tokenisers of CLIP and its
            # kin lower-case anyway.
            text=TextProtocol(kind="box", lowercase=True, templates="templates_80", classes=prompts),
            budget=1024,
            details={"classes": classes, "background": background, **_RULES},
            choices=_CHOICES | ({"synonyms": _SYNONYMS} if synonyms else {}),
        ),
        main=(_MAIN,),
        metrics=METRICS,
        shown=(_MAIN,),
        published={_MAIN: PublishedCell("6", _LABELS[name], "mIoU", protocol="catseg")},
        notes=notes + _NOTES,
    )


_VOC2010, _VOC2012 = "VOCdevkit/VOC2010", "VOCdevkit/VOC2012"
_MATLAB = (f"{_VOC2010}/trainval", "pascal-context/trainval", "trainval")


def _context(
    name: str, files: dict[str, tuple[str, ...]], *, how_to_get: str, classes: str, background: str
) -> DatasetSpec:
    """PASCAL-Context with so many classes."""
    number = name.rsplit("-", 1)[-1]
    return _spec(
        name,
        title=f"PASCAL-Context-{number}",
        homepage="https://www.cs.stanford.edu/~roozbeh/pascal-context/",
        licence=f"annotations: none stated; {_VOC_LICENCE}",
        citation="Mottaghi et al., The role of context for object detection and semantic segmentation, CVPR 2014",
        files={**files, "matlab": _MATLAB, "images": (f"{_VOC2010}/JPEGImages",)},
        how_to_get=f"{_CONTEXT}; {how_to_get}",
        pictures=5104,
        prompts=f"pc{number}_classnames",
        classes=classes,
        background=background,
        notes=("PASCAL-Context's validation split has 5,104 pictures here (CAT-Seg's list); 5,105 are often quoted.",),
    )


ADE20K_847 = SegmentationSet(
    _spec(
        "ade20k-847",
        title="ADE20K-847",
        homepage="https://groups.csail.mit.edu/vision/datasets/ADE20K/",
        licence="pictures for non-commercial research and education only; registration needed",
        citation="Zhou et al., Scene parsing through ADE20K dataset, CVPR 2017",
        files={
            "prepared": ("ADE20K_2021_17_01/annotations_detectron2/validation",),
            "images": ("ADE20K_2021_17_01/images_detectron2/validation",),
            "raw": ("ADE20K_2021_17_01/images/ADE/validation",),
        },
        how_to_get=(
            "ADE20K_2021_17_01 (the full release, after registration at the homepage) unpacked in <data root>; its "
            "validation folder is read as it is, or what CAT-Seg's prepare_ade20k_full.py makes of it."
        ),
        pictures=2000,
        prompts="ade847_classnames",
        classes="847, in CAT-Seg's order; names of the file, synonyms separated by comma and blank (sha256 d0c9d0c5…)",
        background="none: objects outside the 847 are not scored",
        synonyms=True,
        notes=(
            "Raw label maps are scaled down to a short side of 512 as the preparation does; the pictures are not "
            "compressed again, so that results can differ slightly from those on prepared files.",
        ),
    ),
    classes="ade847_classnames",
    prompts="ade847_classnames",
    forms=(
        Form("prepared", "prepared (16-bit, ids 0 to 846)", encodings.ADE847_PREPARED, partial(in_folder, wide=True)),
        Form("raw", "raw (object ids in _seg.png)", encodings.ADE847_OBJECT_IDS, ade_full, short_side=512),
    ),
)

PASCAL_CONTEXT_459 = SegmentationSet(
    _context(
        "pascal-context-459",
        {"prepared": (f"{_VOC2010}/annotations_detectron2/pc459_val",)},
        how_to_get=(
            f"trainval.tar.gz of PASCAL-Context unpacked in <data root>/{_VOC2010} or the "
            "annotations_detectron2/pc459_val that CAT-Seg's script makes of it."
        ),
        classes="459, by number of labels.txt; compounds written together, 'unknown' among them (sha256 792829e1…)",
        background="none",
    ),
    classes="pc459_classnames",
    prompts="pc459_classnames",
    forms=(
        Form("prepared", "prepared (16-bit, ids 0 to 458)", encodings.PC459_PREPARED, partial(in_folder, wide=True)),
        Form("matlab", "raw (LabelMap)", encodings.PC459_NUMBERS, partial(pascal_context, suffix=".mat")),
    ),
)

ADE20K_150 = SegmentationSet(
    _spec(
        "ade20k-150",
        title="ADE20K-150",
        homepage="https://sceneparsing.csail.mit.edu",
        licence="pictures for non-commercial research and education only",
        citation="Zhou et al., Scene parsing through ADE20K dataset, CVPR 2017",
        files={
            "prepared": ("ADEChallengeData2016/annotations_detectron2/validation",),
            "raw": ("ADEChallengeData2016/annotations/validation",),
            "images": ("ADEChallengeData2016/images/validation",),
        },
        how_to_get="ADEChallengeData2016.zip from data.csail.mit.edu/places, unpacked in <data root>.",
        pictures=2000,
        prompts="ade150_classnames",
        classes="150, first synonym each (sha256 e1f88232…)",
        background="none: 0 (other) is not scored",
    ),
    classes="ade150_classnames",
    prompts="ade150_classnames",
    forms=(
        Form("prepared", "prepared (ids 0 to 149)", encodings.ADE150_PREPARED, in_folder),
        Form("raw", "raw (1 to 150)", encodings.ADE150_RAW, in_folder),
    ),
)

PASCAL_CONTEXT_59 = SegmentationSet(
    _context(
        "pascal-context-59",
        {
            "prepared": (f"{_VOC2010}/annotations_detectron2/pc59_val",),
            "mmsegmentation": (f"{_VOC2010}/SegmentationClassContext",),
            "json": (f"{_VOC2010}/trainval_merged.json", "pascal-context/trainval_merged.json", "trainval_merged.json"),
        },
        how_to_get=(
            f"trainval_merged.json in <data root>/{_VOC2010}, or the label maps that CAT-Seg's or mmsegmentation's "
            "script makes of it, or PASCAL-Context's trainval.tar.gz."
        ),
        classes="59, alphabetical (sha256 c675e504…); label maps in the order of 59_labels.txt are incompatible",
        background="none: everything outside the 59 is not scored",
    ),
    classes="pc59_classnames",
    prompts="pc59_classnames",
    forms=(
        Form("prepared", "prepared (ids 0 to 58)", encodings.PC59_PREPARED, in_folder),
        Form(
            "mmsegmentation",
            "prepared for mmsegmentation (1 to 59)",
            encodings.PC59_MMSEGMENTATION,
            partial(pascal_context, suffix=".png"),
        ),
        Form("json", "raw (trainval_merged.json)", encodings.PC59_NUMBERS, pascal_context_json),
        Form("matlab", "raw (LabelMap)", encodings.PC59_NUMBERS, partial(pascal_context, suffix=".mat")),
    ),
)


def _voc(name: str, title: str, folder: str, *, classes: str, background: str) -> DatasetSpec:
    return _spec(
        name,
        title=title,
        homepage="https://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
        licence=_VOC_LICENCE,
        citation="Everingham et al., The PASCAL visual object classes challenge: a retrospective, IJCV 2015",
        files={
            "prepared": (f"{_VOC2012}/{folder}/val",),
            "raw": (f"{_VOC2012}/SegmentationClass", f"{_VOC2012}/SegmentationClassAug"),
            "split": (f"{_VOC2012}/ImageSets/Segmentation/val.txt",),
            "images": (f"{_VOC2012}/JPEGImages",),
        },
        how_to_get="VOCtrainval_11-May-2012.tar unpacked in <data root>, which makes <data root>/VOCdevkit/VOC2012.",
        pictures=1449,
        prompts="voc20_classnames" if name == "voc-20" else "voc21_prompts_pas20b",
        classes=classes,
        background=background,
    )


VOC_20 = SegmentationSet(
    _voc(
        "voc-20",
        "VOC-20",
        "annotations_detectron2",
        classes="20, alphabetical, as VOC writes them (sha256 f1486177…)",
        background="not scored",
    ),
    classes="voc20_classnames",
    prompts="voc20_classnames",
    forms=(
        Form("prepared", "prepared (ids 0 to 19)", encodings.VOC20_PREPARED, in_folder),
        Form("raw", "raw (palette, 1 to 20)", encodings.VOC20_RAW, voc),
    ),
)

VOC_21 = SegmentationSet(
    _voc(
        "voc-21",
        "VOC-21",
        "annotations_detectron2_bg",
        classes="59 prompts: VOC's 20 and the other 39 of PASCAL-Context-59 (sha256 878be81f…); 21 scored",
        background="pas20b: predictions of the other 39 become background, index 20; no threshold, no such prompt",
    ),
    classes="voc21_classnames",
    prompts="voc21_prompts_pas20b",
    forms=(
        Form("prepared", "prepared (ids 0 to 20)", encodings.VOC21_PREPARED, in_folder),
        Form("raw", "raw (palette, 0 to 20)", encodings.VOC21_RAW, voc),
    ),
    fold="pas20b",
)

SETS = (ADE20K_847, PASCAL_CONTEXT_459, ADE20K_150, PASCAL_CONTEXT_59, VOC_20, VOC_21)
"""In the paper's order."""
