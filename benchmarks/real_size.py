"""A data root whose annotation files and folders have the size of the real ones; pictures are empty files.

It starts from the miniature suite, which has every layout. What a plan reads is then replaced by invented
content with the numbers of rows and, as far as they are known, of bytes of the published files.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fgbench.data.mini import write_mini
from fgbench.registry import resolve

VAL, TRAIN = 5000, 118_287
"""Pictures of COCO 2017."""

Row = dict[str, Any]
Line = Callable[[int], str]


def write_real_size(root: Path) -> None:
    """Write everything below ``root``, which must not exist: about 1 GB and 280,000 files."""
    write_mini(root)
    rng = np.random.default_rng(0)
    _touch(root / "coco/val2017", map(_coco_name, range(VAL)))
    _touch(root / "coco/train2017", (_coco_name(VAL + number) for number in range(TRAIN)))
    _coco(root / "coco/annotations", rng)
    _lvis(root / "lvis/lvis_v1_val.json", rng)
    shutil.rmtree(root / "lvis/proposals")  # made by the user, not published: the detection sets are planned without
    _boxclass_cn(root / "BoxClass-CN", rng)
    _fg_ovd(root / "fgovd")
    _captions(root)
    _class_folders(root)
    _label_maps(root)
    _chat(root)


def _coco_name(number: int) -> str:
    return f"{number:012d}.jpg"


def _touch(folder: Path, names: Iterator[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def _words(number: int, count: int, prefix: str = "thing") -> str:
    return " ".join(f"{prefix}{(number * 31 + each) % 9973}" for each in range(count))


def _polygon(rng: np.random.Generator, numbers: int) -> Iterator[str]:
    """Outlines as JSON text, without end: random numbers of two decimals, a thousand different ones."""
    made = [json.dumps([(rng.random(numbers) * 600).round(2).tolist()]) for _ in range(1000)]
    while True:
        yield from made


def _annotations(
    count: int, images: Sequence[int], categories: int, rng: np.random.Generator, polygon: int, extra: str = ""
) -> Iterator[str]:
    owner = rng.integers(0, len(images), count)
    corner = (rng.random((count, 2)) * 400).round(2)
    side = (rng.random((count, 2)) * 200 + 5).round(2)
    label = rng.integers(1, categories + 1, count)
    outlines = _polygon(rng, polygon)
    for number in range(count):
        (x, y), (w, h) = corner[number].tolist(), side[number].tolist()
        yield (
            f'{{"id": {number + 1}, "image_id": {images[owner[number]]}, "category_id": {label[number]}, '
            f'"area": {w * h * 0.7:.2f}, "bbox": [{x}, {y}, {w}, {h}], "segmentation": {next(outlines)}{extra}}}'
        )


def _write(path: Path, lists: dict[str, Iterator[str]]) -> None:
    """One JSON object of lists whose elements are given as JSON text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [json.dumps(name) + ": [" + ", ".join(rows) + "]" for name, rows in lists.items()]
    path.write_text("{" + ", ".join(parts) + "}", encoding="utf-8")


def _coco(folder: Path, rng: np.random.Generator) -> None:
    def images() -> Iterator[str]:
        for number in range(VAL):
            url = f"http://images.cocodataset.org/val2017/{_coco_name(number)}"
            row = {"id": number, "file_name": _coco_name(number), "width": 640, "height": 480, "coco_url": url}
            yield json.dumps({**row, "license": 1, "flickr_url": "http://farm9.example.org/8186/8119368305_4e62.jpg"})

    classes = (json.dumps({"id": each, "name": f"class {each}", "supercategory": "any"}) for each in range(1, 81))
    boxes = _annotations(36_781, range(VAL), 80, rng, 50, ', "iscrowd": 0')
    _write(folder / "instances_val2017.json", {"images": images(), "annotations": boxes, "categories": classes})
    texts = (
        json.dumps({"image_id": number % VAL, "id": number, "caption": _words(number, 10)}) for number in range(25_014)
    )
    _write(folder / "captions_val2017.json", {"images": images(), "annotations": texts})


def _lvis(path: Path, rng: np.random.Generator) -> None:
    """19,809 pictures, 244,707 boxes, 1,203 categories: about 190 MB, most of it outlines."""
    ids = [*range(4809), *range(VAL, VAL + 15_000)]

    def images() -> Iterator[str]:
        for number in ids:
            folder = "val2017" if number < VAL else "train2017"
            absent = rng.choice(1203, 9, replace=False) + 1
            yield json.dumps(
                {
                    "id": number,
                    "coco_url": f"http://images.cocodataset.org/{folder}/{_coco_name(number)}",
                    "width": 640,
                    "height": 480,
                    "neg_category_ids": absent.tolist(),
                    "not_exhaustive_category_ids": absent[:1].tolist() if number % 6 == 0 else [],
                }
            )

    classes = (
        json.dumps({"id": each, "name": f"class_{each}", "frequency": "rcf"[each % 3], "synset": f"class.n.{each}"})
        for each in range(1, 1204)
    )
    boxes = _annotations(244_707, ids, 1203, rng, 82)
    _write(path, {"images": images(), "annotations": boxes, "categories": classes})


def _boxclass_cn(folder: Path, rng: np.random.Generator) -> None:
    pictures = 24_000
    _touch(folder / "images", (f"{number:06d}.jpg" for number in range(pictures)))
    images = (
        json.dumps({"id": number, "file_name": f"{number:06d}.jpg", "width": 640, "height": 480})
        for number in range(pictures)
    )
    classes = (json.dumps({"id": each, "name": f"类别{each}"}, ensure_ascii=False) for each in range(1, 567))
    boxes = _annotations(66_258, range(pictures), 566, rng, 0)
    path = folder / "jsonfile/valid_category_data_total_zh.json"
    _write(path, {"images": images, "annotations": boxes, "categories": classes})


def _lines(path: Path, count: int, line: Line) -> None:
    path.write_text("".join(line(number) + "\n" for number in range(count)), encoding="utf-8")


def _fg_ovd(folder: Path) -> None:
    for name, (kind, count) in {
        "h_attributes_llava": ("1_attributes", 3545),
        "m_attributes_llava": ("2_attributes", 2968),
        "e_attributes_llava": ("3_attributes", 1299),
        "shuffle_negatives_llava": ("shuffle_negatives", 3545),
    }.items():

        def line(number: int, kind: str = kind) -> str:
            return json.dumps(
                {
                    "img_path": f"val2017/{_coco_name(number % VAL)}",
                    "bbox": [1.5, 2.25, 100.0, 80.5],
                    "pos_expression": [_words(number, 10)],
                    "neg_expression": [_words(number, 10, f"other{each}") for each in range(10)],
                    "width": 640,
                    "height": 480,
                    "image_id": number % VAL,
                    "sent_id": number,
                    "test_type": kind,
                }
            )

        _lines(folder / f"{name}.jsonl", count, line)


def _captions(root: Path) -> None:
    """Flickr30k has 31,783 pictures, of which 1,000 are asked for; an annotation of DCI is taken to have 20 kB."""
    photos = root / "flickr30k/flickr30k-images"
    _touch(photos, (f"{number}.jpg" for number in range(31_783)))
    rows = [
        {"image": f"flickr30k-images/{number}.jpg", "caption": [_words(number * 5 + each, 12) for each in range(5)]}
        for number in range(1000)
    ]
    (root / "flickr30k/flickr30k_test.json").write_text(json.dumps(rows), encoding="utf-8")
    _lines(root / "flickr30k-cna/flickr30k_cna_test.txt", 5000, lambda n: f"{n // 5}#{n % 5}\t句子{n}" + "说明" * 8)
    _lines(root / "coco-cn/pair.txt", 1000, lambda n: f"COCO_val2014_{n:012d}#zhm#0 句子{n}" + "说明" * 8)
    for folder, file, count in (
        ("LIT-CN", "image_caption_long_cn.txt", 33_010),
        ("DCI-CN", "image_caption_trans.txt", 7805),
        ("DOCCI-CN", "image_caption_trans.txt", 14_847),
    ):
        _touch(root / folder / "images", (f"{number:06d}.jpg" for number in range(count)))
        _lines(root / folder / file, count, lambda n: f"images/{n:06d}.jpg\t长句{n}" + "这张照片的说明" * 28)
    masks = [{"mask": "A" * 100, "caption": _words(each, 8)} for each in range(110)]
    for folder in ("annotations", "photos"):
        for old in (root / "dci/densely_captioned_images" / folder).iterdir():
            old.unlink()
    _touch(root / "dci/densely_captioned_images/photos", (f"sa_{number}.jpg" for number in range(7805)))
    for number in range(7805):
        row = {"image": f"sa_{number}.jpg", "extra_caption": _words(number, 130), "mask_data": masks}
        path = root / f"dci/densely_captioned_images/annotations/{number:06d}.json"
        path.write_text(json.dumps(row), encoding="utf-8")
    _touch(root / "sharegpt4v/sam/images", (f"sa_{number}.jpg" for number in range(1000)))
    turns = (
        {"image": f"sam/images/sa_{number}.jpg", "conversations": [{"value": "?"}, {"value": _words(number, 150)}]}
        for number in range(20_000)
    )
    path = root / "sharegpt4v/share-captioner_coco_lcs_sam_1246k_1107.json"
    path.write_text("[" + ", ".join(map(json.dumps, turns)) + "]", encoding="utf-8")


def _class_folders(root: Path) -> None:
    wnids: Sequence[str] = resolve("fgbench.tasks.resources:lines")("imagenet_wnids")
    for index, wnid in enumerate(wnids):
        names = (f"ILSVRC2012_val_{index * 50 + each:08d}.JPEG" for each in range(50))
        _touch(root / "imagenet/val" / wnid, names)
        second = root / "imagenet-v2/imagenetv2-matched-frequency-format-val" / str(index)
        _touch(second, (f"{index}_{each}.jpeg" for each in range(10)))


def _label_maps(root: Path) -> None:
    context: Sequence[str] = resolve("fgbench.tasks.resources:lines")("pascal_context_val_ids")
    ade = [f"ADE_val_{number:08d}" for number in range(1, 2001)]
    voc = [f"2012_{number:06d}" for number in range(1449)]
    devkit = root / "VOCdevkit/VOC2012"
    _touch(root / "VOCdevkit/VOC2010/JPEGImages", (f"{stem}.jpg" for stem in context))
    _touch(root / "VOCdevkit/VOC2010/annotations_detectron2/pc59_val", (f"{stem}.png" for stem in context))
    _touch(root / "VOCdevkit/VOC2010/annotations_detectron2/pc459_val", (f"{stem}.tif" for stem in context))
    _touch(devkit / "JPEGImages", (f"{stem}.jpg" for stem in voc))
    _touch(devkit / "SegmentationClass", (f"{stem}.png" for stem in voc))
    (devkit / "ImageSets/Segmentation/val.txt").write_text("\n".join(voc) + "\n", encoding="utf-8")
    _touch(root / "ADEChallengeData2016/images/validation", (f"{stem}.jpg" for stem in ade))
    _touch(root / "ADEChallengeData2016/annotations/validation", (f"{stem}.png" for stem in ade))
    _touch(
        root / "ADE20K_2021_17_01/images/ADE/validation/generated/road",
        (f"{stem}{end}" for stem in ade for end in (".jpg", "_seg.png")),
    )


def _chat(root: Path) -> None:
    """Questions, repeated with new numbers; MMMU and MMBench, whose tables are pictures above all, stay as they are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    questions = root / "gqa/testdev_balanced_questions.json"
    found = list(json.loads(questions.read_text(encoding="utf-8")).values())
    repeated = {str(20_000_000 + number): found[number % len(found)] for number in range(12_578)}
    questions.write_text(json.dumps(repeated), encoding="utf-8")
    texts = root / "textvqa/TextVQA_0.5.1_val.json"
    content = json.loads(texts.read_text(encoding="utf-8"))
    rows = content["data"]
    content["data"] = [{**rows[number % len(rows)], "question_id": 30_000 + number} for number in range(5000)]
    texts.write_text(json.dumps(content), encoding="utf-8")
    sentence = 0
    for path, count in (("validation", 3811), ("test", 1975), ("testB", 1810)):
        file = root / f"refcoco/data/{path}-00000-of-00001.parquet"
        table = pq.read_table(file)
        objects = table.take(pa.array([each % len(table) for each in range(count)]))
        sentences = objects.column("sentences").to_pylist()
        for row in sentences:
            for each in row:
                each["sent_id"] = sentence = sentence + 1
        place = objects.schema.get_field_index("sentences")
        field = objects.schema.field(place)
        pq.write_table(objects.set_column(place, field, pa.array(sentences, field.type)), file)
