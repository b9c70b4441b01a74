"""Writing scenes in the on-disk layouts of the published datasets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from fgbench.data.mini.scenes import COLOURS, SHAPES, SIZES, Scene, Thing


def write_layouts(scenes: Sequence[Scene], root: Path) -> None:
    """Write every layout below ``root``."""
    _coco(scenes, root / "coco")
    _fg_ovd(scenes, root / "fgovd")


def english_captions(scene: Scene) -> list[str]:
    """Five short captions."""
    names = [thing.english() for thing in scene.things]
    listed = ", a ".join(names[:-1]) + f" and a {names[-1]}"
    return [
        f"A {listed} on a {scene.background} background.",
        f"A picture of a {listed}.",
        f"There are {len(names)} shapes, among them a {names[0]}.",
        f"A {names[-1]} near a {names[0]}.",
        f"The {scene.background} picture shows a {names[0]}",
    ]


def _coco(scenes: Sequence[Scene], folder: Path) -> None:
    pictures = folder / "val2017"
    pictures.mkdir(parents=True)
    images = []
    for scene in scenes:
        scene.render().save(pictures / _file(scene), optimize=False)
        width, height = scene.canvas
        images.append({"id": scene.number, "file_name": _file(scene), "width": width, "height": height})
    categories = [{"id": 3 * number, "name": name} for number, name in enumerate(SHAPES, start=1)]
    category = {row["name"]: row["id"] for row in categories}
    boxes = [(scene, thing) for scene in scenes for thing in scene.things]
    instances = [
        {
            "id": number,
            "image_id": scene.number,
            "category_id": category[thing.shape],
            "bbox": [float(value) for value in thing.box],
            "area": float(thing.box[2] * thing.box[3]),
            "iscrowd": 0,
        }
        for number, (scene, thing) in enumerate(boxes, start=1)
    ]
    captions = [(scene, text) for scene in scenes for text in english_captions(scene)]
    caption_rows = [
        {"id": number, "image_id": scene.number, "caption": text}
        for number, (scene, text) in enumerate(captions, start=1)
    ]
    _json(folder / "annotations/instances_val2017.json", images=images, annotations=instances, categories=categories)
    _json(folder / "annotations/captions_val2017.json", images=images, annotations=caption_rows)


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
                    "img_path": f"val2017/{_file(scene)}",
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
        _json_lines(folder / f"{name}.jsonl", rows)


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


def _file(scene: Scene) -> str:
    return f"{scene.number:012d}.png"


def _json(path: Path, **content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")


def _json_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
