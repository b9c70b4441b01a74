"""The layouts of the retrieval datasets other than COCO's own captions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fgbench.data.mini.boxes import COCO_SCENES
from fgbench.data.mini.files import coco_name, headline, scenes, write_json, write_pictures, write_text
from fgbench.data.mini.world import Scene, long_caption, short_captions

COUNT = 48
"""Pictures per dataset."""

FLICKR, SHAREGPT4V, DCI, LIT_CN, DOCCI_CN = range(120, 120 + 5 * COUNT, COUNT)
"""First scenes of the datasets with pictures of their own."""


def write_captions(root: Path) -> None:
    """Write seven datasets. DCI-CN shows DCI's pictures, COCO-CN those of COCO, as the real ones do."""
    _flickr30k(scenes(FLICKR, COUNT), root)
    _coco_cn(scenes(*COCO_SCENES), root / "coco-cn")
    _sharegpt4v(scenes(SHAREGPT4V, COUNT), root / "sharegpt4v")
    _dci(scenes(DCI, COUNT), root / "dci/densely_captioned_images")
    for folder, name, start in (
        ("LIT-CN", "image_caption_long_cn.txt", LIT_CN),
        ("DCI-CN", "image_caption_trans.txt", DCI),
        ("DOCCI-CN", "image_caption_trans.txt", DOCCI_CN),
    ):
        pictures = scenes(start, COUNT)
        write_pictures(pictures, root / folder / "images", lambda each: f"{each.number:06d}.jpg")
        rows = [f"{folder}/images/{each.number:06d}.jpg\t{long_caption(each, 'zh')}\n" for each in pictures]
        write_text(root / folder / name, "".join(rows))


def _flickr30k(pictures: Sequence[Scene], root: Path) -> None:
    folder = root / "flickr30k"
    write_pictures(pictures, folder / "flickr30k-images", lambda each: f"{each.number}.jpg")
    rows = [
        {
            "image": f"flickr30k-images/{each.number}.jpg",
            "caption": list(map(headline, short_captions(each, "en"))),
        }
        for each in pictures
    ]
    write_json(folder / "flickr30k_test.json", rows)
    lines = [
        f"{each.number}#{number}\t{text}\n"
        for each in pictures
        for number, text in enumerate(short_captions(each, "zh"))
    ]
    write_text(root / "flickr30k-cna/flickr30k_cna_test.txt", "".join(lines))


def _coco_cn(pictures: Sequence[Scene], folder: Path) -> None:
    """Names of COCO 2014; the pictures lie in the COCO 2017 tree, as on many disks."""
    lines = [
        f"COCO_val2014_{coco_name(each).removesuffix('.jpg')}#zhm#{number} {short_captions(each, 'zh')[number]}"
        for number in range(5)
        for each in pictures
    ]
    write_text(folder / "pair.txt", "\n".join(lines))


def _sharegpt4v(pictures: Sequence[Scene], folder: Path) -> None:
    write_pictures(pictures, folder / "sam/images", lambda each: f"sa_{each.number}.jpg")
    rows = [
        {
            "id": f"sa_{each.number}",
            "image": f"sam/images/sa_{each.number}.jpg",
            "conversations": [
                {"from": "human", "value": "<image>\nWhat do you see?"},
                {"from": "gpt", "value": headline(long_caption(each, "en"))},
            ],
        }
        for each in pictures
    ]
    write_json(folder / "share-captioner_coco_lcs_sam_1246k_1107.json", rows)


def _dci(pictures: Sequence[Scene], folder: Path) -> None:
    write_pictures(pictures, folder / "photos", lambda each: f"sa_{each.number}.jpg")
    for each in pictures:
        content = {
            "image": f"sa_{each.number}.jpg",
            "short_caption": headline(short_captions(each, "en")[0]),
            "extra_caption": headline(long_caption(each, "en")),
            "mask_data": {},
            "mask_keys": [],
        }
        write_json(folder / f"annotations/{each.number}-data.json", content)
