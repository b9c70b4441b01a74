"""Captions of scenes, and the layouts of the retrieval datasets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from .files import picture_name, write_json, write_pictures, write_text
from .scenes import BACKGROUNDS, Scene, Thing


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


def chinese_captions(scene: Scene) -> list[str]:
    """Five short captions in Chinese."""
    names = [thing.chinese() for thing in scene.things]
    background = BACKGROUNDS[scene.background][0]
    return [
        f"{background}背景上有{'、'.join(names)}。",
        f"一张画着{'和'.join(names)}的图片。",
        f"图中有{len(names)}个图形，其中一个是{names[0]}。",
        f"{names[-1]}在{names[0]}附近。",
        f"{background}的画面里有{names[0]}",
    ]


def english_long(scene: Scene) -> str:
    """A detailed caption: every thing with its place."""
    sentences = [f"The picture has a {scene.background} background with {len(scene.things)} shapes on it."]
    sentences += [f"A {thing.english()} lies in the {_place(scene, thing)[0]}." for thing in scene.things]
    return " ".join(sentences)


def chinese_long(scene: Scene) -> str:
    """A detailed caption in Chinese."""
    background = BACKGROUNDS[scene.background][0]
    sentences = [f"这张图片的背景是{background}的，上面有{len(scene.things)}个图形。"]
    sentences += [f"{thing.chinese()}位于画面的{_place(scene, thing)[1]}。" for thing in scene.things]
    return "".join(sentences)


def write_caption_layouts(scenes: Sequence[Scene], root: Path) -> None:
    """Write the retrieval datasets other than COCO's own captions."""
    _flickr30k(scenes, root)
    _coco_cn(scenes, root / "coco-cn")
    _sharegpt4v(scenes, root / "sharegpt4v")
    _dci(scenes, root / "dci/densely_captioned_images")
    for folder, name in (
        ("LIT-CN", "image_caption_long_cn.txt"),
        ("DCI-CN", "image_caption_trans.txt"),
        ("DOCCI-CN", "image_caption_trans.txt"),
    ):
        write_pictures(scenes, root / folder / "images", lambda scene: f"{scene.number:06d}.jpg")
        rows = [f"{folder}/images/{scene.number:06d}.jpg\t{chinese_long(scene)}\n" for scene in scenes]
        write_text(root / folder / name, "".join(rows))


def _flickr30k(scenes: Sequence[Scene], root: Path) -> None:
    folder = root / "flickr30k"
    write_pictures(scenes, folder / "flickr30k-images", lambda scene: f"{scene.number}.jpg")
    rows = [{"image": f"flickr30k-images/{scene.number}.jpg", "caption": english_captions(scene)} for scene in scenes]
    write_text(folder / "flickr30k_test.json", json.dumps(rows))
    lines = [
        f"{scene.number}#{number}\t{text}\n" for scene in scenes for number, text in enumerate(chinese_captions(scene))
    ]
    write_text(root / "flickr30k-cna/flickr30k_cna_test.txt", "".join(lines))


def _coco_cn(scenes: Sequence[Scene], folder: Path) -> None:
    """Names of COCO 2014; the pictures lie in the COCO 2017 tree, as on many disks."""
    lines = [
        f"COCO_val2014_{picture_name(scene).removesuffix('.jpg')}#zhm#{number} {chinese_captions(scene)[number]}"
        for number in range(5)
        for scene in scenes
    ]
    write_text(folder / "pair.txt", "\n".join(lines))


def _sharegpt4v(scenes: Sequence[Scene], folder: Path) -> None:
    write_pictures(scenes, folder / "sam/images", lambda scene: f"sa_{scene.number}.jpg")
    rows = [
        {
            "id": f"sa_{scene.number}",
            "image": f"sam/images/sa_{scene.number}.jpg",
            "conversations": [
                {"from": "human", "value": "<image>\nWhat do you see?"},
                {"from": "gpt", "value": english_long(scene)},
            ],
        }
        for scene in scenes
    ]
    write_text(folder / "share-captioner_coco_lcs_sam_1246k_1107.json", json.dumps(rows))


def _dci(scenes: Sequence[Scene], folder: Path) -> None:
    write_pictures(scenes, folder / "photos", lambda scene: f"sa_{scene.number}.jpg")
    for scene in scenes:
        write_json(
            folder / f"annotations/{scene.number}-data.json",
            image=f"sa_{scene.number}.jpg",
            short_caption=english_captions(scene)[0],
            extra_caption=english_long(scene),
            mask_data={},
            mask_keys=[],
        )


def _place(scene: Scene, thing: Thing) -> tuple[str, str]:
    x = (thing.box[0] + thing.box[2] / 2) / scene.canvas[0]
    y = (thing.box[1] + thing.box[3] / 2) / scene.canvas[1]
    across = ("left", "左") if x < 1 / 3 else ("right", "右") if x > 2 / 3 else ("middle", "中")
    down = ("upper", "上") if y < 1 / 3 else ("lower", "下") if y > 2 / 3 else ("central", "中")
    return f"{down[0]} {across[0]}", f"{across[1]}{down[1]}部"
