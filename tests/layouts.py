"""Small datasets in the real on-disk layouts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .fakes import save_picture

Row = dict[str, Any]

FG_OVD_FILES = {
    "hard": ("h_attributes_llava.jsonl", "1_attributes"),
    "medium": ("m_attributes_llava.jsonl", "2_attributes"),
    "easy": ("e_attributes_llava.jsonl", "3_attributes"),
    "trivial": ("shuffle_negatives_llava.jsonl", "shuffle_negatives"),
}


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def write_json_lines(path: Path, rows: Iterable[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def coco_image(number: int) -> Row:
    return {"id": number, "file_name": f"{number:012d}.png", "width": 24, "height": 16, "license": 1}


def coco_pictures(root: Path, numbers: Iterable[int]) -> None:
    for number in numbers:
        save_picture(root / "coco/val2017" / f"{number:012d}.png", number)


def coco_captions(root: Path, captions: Sequence[tuple[int, str]], images: Iterable[int] | None = None) -> Path:
    """The captions file; ``captions`` are (image id, text) in file order."""
    listed = dict.fromkeys(image for image, _ in captions) if images is None else images
    content = {
        "images": [coco_image(number) for number in listed],
        "annotations": [{"id": n, "image_id": image, "caption": text} for n, (image, text) in enumerate(captions)],
    }
    return write_json(root / "coco/annotations/captions_val2017.json", content)


def coco_instances(
    root: Path, annotations: Sequence[Row], images: Iterable[int], categories: Mapping[int, str]
) -> Path:
    """The instances file."""
    content = {
        "images": [coco_image(number) for number in images],
        "annotations": list(annotations),
        "categories": [{"id": number, "name": name, "supercategory": "any"} for number, name in categories.items()],
    }
    return write_json(root / "coco/annotations/instances_val2017.json", content)


def instance(number: int, image: int, category: int, *, crowd: int = 0) -> Row:
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [1.5, 2.0, 10.0, 8.25],
        "iscrowd": crowd,
        "area": 82.5,
    }


def fg_ovd_row(number: int, test_type: str, /, **changes: Any) -> Row:
    return {
        "img_path": "val2017/000000000001.png",
        "bbox": [1.0, 2.0, 10.0, 8.0],
        "pos_expression": ["A Light grey pipe."],
        "neg_expression": ["A dark grey pipe.", "A pink pipe."],
        "category_id": 0,
        "neg_category_ids": [1, 2],
        "width": 24,
        "height": 16,
        "image_id": 1,
        "sent_id": number,
        "test_type": test_type,
        **changes,
    }


def fg_ovd(root: Path, rows: Mapping[str, Sequence[Row]] | None = None) -> None:
    """The four files; by default two rows each."""
    for start, (subset, (name, test_type)) in enumerate(FG_OVD_FILES.items()):
        default = [fg_ovd_row(10 * start + number, test_type) for number in range(2)]
        write_json_lines(root / "fgovd" / name, (rows or {}).get(subset, default))
