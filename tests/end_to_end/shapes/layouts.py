"""Writing scenes in the on-disk layouts of the published datasets: those with boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .captions import english_captions, write_caption_layouts
from .class_folders import write_class_folders
from .files import picture_name, write_json, write_json_lines, write_pictures
from .scenes import COLOURS, SHAPES, SIZES, Scene, Thing


def write_layouts(scenes: Sequence[Scene], root: Path) -> None:
    """Write every layout below ``root``."""
    _coco(scenes, root / "coco")
    _fg_ovd(scenes, root / "fgovd")
    _lvis(scenes, root / "lvis")
    _boxclass_cn(scenes, root / "BoxClass-CN")
    write_caption_layouts(scenes, root)
    write_class_folders(scenes, root)


def _coco(scenes: Sequence[Scene], folder: Path) -> None:
    write_pictures(scenes, folder / "val2017", picture_name)
    images = [_image_row(scene) for scene in scenes]
    category = {name: 3 * number for number, name in enumerate(SHAPES, start=1)}
    categories = [{"id": number, "name": name} for name, number in category.items()]
    instances = [{**row, "iscrowd": 0} for row in _box_rows(scenes, category)]
    captions = [(scene, text) for scene in scenes for text in english_captions(scene)]
    caption_rows = [
        {"id": number, "image_id": scene.number, "caption": text}
        for number, (scene, text) in enumerate(captions, start=1)
    ]
    write_json(
        folder / "annotations/instances_val2017.json", images=images, annotations=instances, categories=categories
    )
    write_json(folder / "annotations/captions_val2017.json", images=images, annotations=caption_rows)


def _image_row(scene: Scene) -> dict[str, Any]:
    width, height = scene.canvas
    return {"id": scene.number, "file_name": picture_name(scene), "width": width, "height": height}


def _box_rows(scenes: Sequence[Scene], category: dict[str, int]) -> list[dict[str, Any]]:
    things = [(scene, thing) for scene in scenes for thing in scene.things]
    return [
        {
            "id": number,
            "image_id": scene.number,
            "category_id": category[thing.shape],
            "bbox": [float(value) for value in thing.box],
            "area": float(thing.box[2] * thing.box[3]),
        }
        for number, (scene, thing) in enumerate(things, start=1)
    ]


def _lvis(scenes: Sequence[Scene], folder: Path) -> None:
    """LVIS v1: pictures are those of COCO, named by URL; federated fields; no crowd flag."""
    images = []
    for scene in scenes:
        row = _image_row(scene)
        url = f"http://images.cocodataset.org/val2017/{row.pop('file_name')}"
        images.append({**row, "coco_url": url, "neg_category_ids": [], "not_exhaustive_category_ids": []})
    categories = [
        {"id": number, "name": f"{name}_(shape)", "synset": f"{name}.n.01", "synonyms": [name], "frequency": "f"}
        for number, name in enumerate(SHAPES, start=1)
    ]
    rows = _box_rows(scenes, {name: number for number, name in enumerate(SHAPES, start=1)})
    write_json(folder / "lvis_v1_val.json", images=images, annotations=rows, categories=categories)


def _boxclass_cn(scenes: Sequence[Scene], folder: Path) -> None:
    write_pictures(scenes, folder / "images", lambda scene: f"{scene.number:06d}.jpg")
    images = [{**_image_row(scene), "file_name": f"{scene.number:06d}.jpg"} for scene in scenes]
    categories = [{"id": number, "name": name} for number, name in enumerate(SHAPES.values(), start=1)]
    rows = _box_rows(scenes, {name: number for number, name in enumerate(SHAPES, start=1)})
    path = folder / "jsonfile/valid_category_data_total_zh.json"
    write_json(path, images=images, annotations=rows, categories=categories)


def _fg_ovd(scenes: Sequence[Scene], folder: Path) -> None:
    """Hard negatives differ in the colour only, medium in colour and size, easy in all, trivial are other things."""
    things = [(scene, thing) for scene in scenes for thing in scene.things]
    subsets: dict[str, tuple[str, Callable[[Thing, int], list[str]]]] = {
        "h_attributes_llava": ("1_attributes", lambda thing, _: _variants(thing, ("colour",))),
        "m_attributes_llava": ("2_attributes", lambda thing, _: _variants(thing, ("colour", "size"))),
        "e_attributes_llava": ("3_attributes", lambda thing, _: _variants(thing, ("colour", "size", "shape"))),
        "shuffle_negatives_llava": ("shuffle_negatives", lambda thing, index: _others(things, thing, index)),
    }
    sent_id = 0
    for name, (test_type, negatives) in subsets.items():
        rows = []
        for index, (scene, thing) in enumerate(things):
            width, height = scene.canvas
            rows.append(
                {
                    "img_path": f"val2017/{picture_name(scene)}",
                    "bbox": [float(value) for value in thing.box],
                    "pos_expression": [f"A {thing.english()}."],
                    "neg_expression": negatives(thing, index)[:10],
                    "width": width,
                    "height": height,
                    "image_id": scene.number,
                    "sent_id": sent_id,
                    "test_type": test_type,
                }
            )
            sent_id += 1
        write_json_lines(folder / f"{name}.jsonl", rows)


def _variants(thing: Thing, changed: tuple[str, ...]) -> list[str]:
    """Descriptions that differ from the thing in all of ``changed``; ten at most, in a fixed order."""
    colours = [colour for colour in COLOURS if colour != thing.colour]
    sizes = [size for size in SIZES if size != thing.size] if "size" in changed else [thing.size]
    shapes = [shape for shape in SHAPES if shape != thing.shape] if "shape" in changed else [thing.shape]
    return [f"A {sizes[0]} {colour} {shapes[n % len(shapes)]}." for n, colour in enumerate(colours)]


def _others(things: Sequence[tuple[Scene, Thing]], thing: Thing, index: int) -> list[str]:
    own = f"A {thing.english()}."
    rotated = (*things[index + 1 :], *things[:index])
    return [text for text in dict.fromkeys(f"A {other.english()}." for _, other in rotated) if text != own]
