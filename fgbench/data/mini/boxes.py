"""The layouts of datasets with boxes: COCO, LVIS, BoxClass-CN, FG-OVD."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fgbench.data.mini.files import coco_name, headline, scenes, write_json, write_json_lines, write_pictures
from fgbench.data.mini.world import GRAMMARS, Phrase, Scene, Thing, changed, region_text, short_captions, trivial
from fgbench.data.mini.world.classes import COLOUR_CLASSES, KIND_CLASSES, TEXTURE_CLASSES, Classes

COCO_SCENES = (0, 48)
"""First number and count of the scenes that play COCO's val2017."""

TRAIN_SCENES = (48, 12)
"""Those that play the train2017 pictures of LVIS v1 val."""

BOXCLASS_SCENES = (60, 48)

_FREQUENCIES = "frc"
_NEGATIVES = 6
"""Verified absent classes per picture of LVIS."""


def write_boxes(root: Path) -> None:
    """Write the four datasets, and COCO's captions."""
    _coco(scenes(*COCO_SCENES), root / "coco")
    _lvis(scenes(*COCO_SCENES), scenes(*TRAIN_SCENES), root)
    _boxclass_cn(scenes(*BOXCLASS_SCENES), root / "BoxClass-CN")
    _fg_ovd(scenes(*COCO_SCENES), root / "fgovd")


def _coco(pictures: Sequence[Scene], folder: Path) -> None:
    write_pictures(pictures, folder / "val2017", coco_name)
    images = [_image_row(each) for each in pictures]
    names = list(map(headline, KIND_CLASSES.names("en")))
    # COCO's category ids have gaps too.
    categories = [{"id": 3 * index + 1, "name": name} for index, name in enumerate(names)]
    rows = [{**row, "iscrowd": 0} for row in box_rows(pictures, KIND_CLASSES, lambda label: 3 * label + 1)]
    captions = [(each, headline(text)) for each in pictures for text in short_captions(each, "en")]
    caption_rows = [
        {"id": number, "image_id": each.number + 1, "caption": text}
        for number, (each, text) in enumerate(captions, start=1)
    ]
    write_json(
        folder / "annotations/instances_val2017.json", {"images": images, "annotations": rows, "categories": categories}
    )
    write_json(folder / "annotations/captions_val2017.json", {"images": images, "annotations": caption_rows})


def _image_row(picture: Scene) -> dict[str, Any]:
    width, height = picture.canvas
    return {"id": picture.number + 1, "file_name": coco_name(picture), "width": width, "height": height}


def box_rows(
    pictures: Sequence[Scene], classes: Classes, category: Callable[[int], int], ids: Callable[[int], int] = int
) -> list[dict[str, Any]]:
    """Annotations in COCO's form, one per thing.

    Args:
        pictures: scenes.
        classes: which class a thing is of.
        category: category id by class index.
        ids: annotation id by running number from 1.
    """
    things = [(each, thing) for each in pictures for thing in each.things]
    return [
        {
            "id": ids(number),
            "image_id": each.number + 1,
            "category_id": category(classes.label(each, thing)),
            "bbox": [float(value) for value in thing.box],
            "area": float(thing.box[2] * thing.box[3]),
        }
        for number, (each, thing) in enumerate(things, start=1)
    ]


def lvis_categories() -> list[dict[str, Any]]:
    """The 64 classes with LVIS v1's fields; every third is frequent, rare, common."""
    return [
        {
            "id": index + 1,
            "name": name.replace(" ", "_"),
            "synset": f"{name.replace(' ', '_')}.n.01",
            "synonyms": [name.replace(" ", "_")],
            "def": f"something like a {name}",
            "frequency": _FREQUENCIES[index % 3],
            "image_count": (200, 5, 50)[index % 3],
            "instance_count": (400, 5, 80)[index % 3],
        }
        for index, name in enumerate(map(headline, TEXTURE_CLASSES.names("en")))
    ]


def _lvis(val: Sequence[Scene], train: Sequence[Scene], root: Path) -> None:
    """LVIS v1: pictures of two folders, named by URL; federated fields; a class that is not exhaustively annotated in
    every fourth picture.
    """
    write_pictures(train, root / "coco/train2017", coco_name)
    categories = lvis_categories()
    annotations = box_rows((*val, *train), TEXTURE_CLASSES, lambda label: label + 1)
    images = []
    for split, pictures in (("val2017", val), ("train2017", train)):
        for each in pictures:
            row = _image_row(each)
            url = f"http://images.cocodataset.org/{split}/{row.pop('file_name')}"
            present = [one["category_id"] for one in annotations if one["image_id"] == row["id"]]
            absent = [one["id"] for one in categories if one["id"] not in present]
            incomplete = sorted(set(present[:1])) if each.number % 4 == 0 else []
            images.append(
                {
                    **row,
                    "coco_url": url,
                    "neg_category_ids": sorted(each.rng("negatives").sample(absent, _NEGATIVES)),
                    "not_exhaustive_category_ids": incomplete,
                }
            )
    full = {"images": images, "annotations": annotations, "categories": categories}
    write_json(root / "lvis/lvis_v1_val.json", full)


def _boxclass_cn(pictures: Sequence[Scene], folder: Path) -> None:
    write_pictures(pictures, folder / "images", lambda each: f"{each.number:06d}.jpg")
    images = [{**_image_row(each), "file_name": f"{each.number:06d}.jpg"} for each in pictures]
    categories = [{"id": index, "name": name} for index, name in enumerate(COLOUR_CLASSES.names("zh"), start=1)]
    rows = box_rows(pictures, COLOUR_CLASSES, lambda label: label + 1)
    write_json(
        folder / "jsonfile/valid_category_data_total_zh.json",
        {"images": images, "annotations": rows, "categories": categories},
    )


def _fg_ovd(pictures: Sequence[Scene], folder: Path) -> None:
    """Hard negatives differ in one attribute, medium in two, easy in three, trivial ones describe other things."""
    everything = [thing for each in pictures for thing in each.things]
    subsets: dict[str, tuple[str, Callable[[Scene, Thing], list[Phrase]]]] = {
        "h_attributes_llava": ("1_attributes", lambda each, thing: changed(each, thing, "hard")),
        "m_attributes_llava": ("2_attributes", lambda each, thing: changed(each, thing, "medium")),
        "e_attributes_llava": ("3_attributes", lambda each, thing: changed(each, thing, "easy")),
        "shuffle_negatives_llava": ("shuffle_negatives", lambda each, thing: trivial(each, thing, everything)),
    }
    sent_id = 0
    for name, (test_type, negatives) in subsets.items():
        rows = []
        for each in pictures:
            for thing in each.things:
                width, height = each.canvas
                rows.append(
                    {
                        "img_path": f"val2017/{coco_name(each)}",
                        "bbox": [float(value) for value in thing.box],
                        "pos_expression": [headline(region_text(thing, "en"))],
                        "neg_expression": [headline(GRAMMARS["en"].region(one)) for one in negatives(each, thing)],
                        "width": width,
                        "height": height,
                        "image_id": each.number + 1,
                        "sent_id": sent_id,
                        "test_type": test_type,
                    }
                )
                sent_id += 1
        write_json_lines(folder / f"{name}.jsonl", rows)
