"""The layouts of the datasets for chat models: JSON, parquet with pictures inside, TSV with pictures in base64."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fgbench.data.mini.boxes import COCO_SCENES
from fgbench.data.mini.files import coco_name, jpeg, scenes, write_bytes, write_json, write_pictures, write_text
from fgbench.data.mini.world import GRAMMARS, LanguageCode, Scene, questions, referring
from fgbench.data.mini.world.questions import YES_NO, Question

GQA_SCENES = (472, 24)
TEXTVQA_SCENES = (496, 24)
MMMU_SCENES = (520, 16)
MMBENCH_SCENES = {"dev": (544, 8), "test": (560, 8)}
SUBJECTS = ("Art", "Design", "Math")
"""Of MMMU's thirty."""

_PEOPLE = 10
"""Answers to a question of TextVQA."""

_ROTATION = 1_000_000
"""What MMBench adds to a question's index for each rotation of its options."""

LETTERS = "ABCD"


def write_chat(root: Path) -> None:
    """Write six datasets."""
    _gqa(scenes(*GQA_SCENES), root / "gqa")
    _textvqa(scenes(*TEXTVQA_SCENES), root / "textvqa")
    _mmmu(scenes(*MMMU_SCENES), root / "mmmu")
    _refcoco(scenes(*COCO_SCENES), root)
    for language, suffix in (("en", "EN"), ("zh", "CN")):
        for split, numbers in MMBENCH_SCENES.items():
            path = root / f"mmbench/MMBench_{split.upper()}_{suffix}.tsv"
            _mmbench(scenes(*numbers), path, "zh" if language == "zh" else "en")


def _gqa(pictures: Sequence[Scene], folder: Path) -> None:
    write_pictures(pictures, folder / "images", lambda each: f"n{each.number}.jpg")
    rows: dict[str, dict[str, Any]] = {}
    for each in pictures:
        for question in questions(each, "en"):
            structural = "verify" if question.options == YES_NO["en"] else "query"
            rows[f"{20000000 + len(rows)}"] = {
                "question": question.text,
                "imageId": f"n{each.number}",
                "answer": question.answer,
                "fullAnswer": f"It is {question.answer}.",
                "isBalanced": True,
                "types": {"structural": structural, "semantic": "attr", "detailed": question.skill},
            }
    write_json(folder / "testdev_balanced_questions.json", rows)


def _textvqa(pictures: Sequence[Scene], folder: Path) -> None:
    """There is no text in the world: the questions are about things, and OCR found a word that is of no use."""
    write_pictures(pictures, folder / "train_images", lambda each: f"{each.number:016x}.jpg")
    rows: list[dict[str, Any]] = []
    tokens: list[dict[str, Any]] = []
    for each in pictures:
        width, height = each.canvas
        image_id = f"{each.number:016x}"
        tokens.append({"image_id": image_id, "ocr_tokens": ["MINI"], "ocr_info": []})
        for question in questions(each, "en"):
            rows.append(
                {
                    "question_id": 30000 + len(rows),
                    "question": question.text,
                    "image_id": image_id,
                    "image_width": width,
                    "image_height": height,
                    "answers": [question.answer] * _PEOPLE,
                    "set_name": "val",
                }
            )
    write_json(folder / "TextVQA_0.5.1_val.json", {"dataset_type": "val", "data": rows})
    write_json(folder / "TextVQA_Rosetta_OCR_v0.2_val.json", {"data": tokens})


def _mmmu(pictures: Sequence[Scene], folder: Path) -> None:
    rows: dict[str, list[dict[str, Any]]] = {subject: [] for subject in SUBJECTS}
    for each in pictures:
        for number, question in enumerate(questions(each, "en")):
            subject = SUBJECTS[(each.number + number) % len(SUBJECTS)]
            open_ended = question.skill == "count"
            rows[subject].append(
                {
                    "id": f"validation_{subject}_{len(rows[subject]) + 1}",
                    "question": f"{question.text} <image 1>",
                    "options": repr([] if open_ended else list(question.options)),
                    "explanation": "",
                    "image_1": {"bytes": jpeg(each), "path": f"{each.number}.jpg"},
                    "answer": question.answer if open_ended else question.letter,
                    "question_type": "open" if open_ended else "multiple-choice",
                    "subfield": question.skill,
                }
            )
    for subject, found in rows.items():
        _write_parquet(folder / subject / "validation-00000-of-00001.parquet", found)


def _refcoco(pictures: Sequence[Scene], root: Path) -> None:
    """Columns of ``jxu124/refcoco``: an object a row, all its expressions; pictures under COCO's names of 2014."""
    folder = root / "coco/train2014"
    write_pictures(pictures, folder, lambda each: f"COCO_train2014_{coco_name(each)}")
    rows: dict[str, list[dict[str, Any]]] = {"val": [], "testA": [], "testB": []}
    sentence = 0
    for each in pictures:
        for thing in each.things:
            split = "val" if each.number % 2 else "testA" if thing.kind == "person" or each.number % 4 else "testB"
            x, y, w, h = thing.box
            sentences = []
            for phrase in referring(each, thing)[:3]:
                sentences.append({"sent_id": sentence, "sent": GRAMMARS["en"].the(phrase)})
                sentence += 1
            name = f"COCO_train2014_{coco_name(each)}"
            size = {"file_name": name, "width": each.canvas[0], "height": each.canvas[1]}
            rows[split].append(
                {
                    "split": split,
                    "sentences": sentences,
                    "bbox": [float(x), float(y), float(x + w), float(y + h)],
                    "raw_anns": json.dumps({"bbox": [x, y, w, h]}),
                    "raw_image_info": json.dumps(size),
                }
            )
    for split, name in (("val", "validation"), ("testA", "test"), ("testB", "testB")):
        _write_parquet(root / f"refcoco/data/{name}-00000-of-00001.parquet", rows[split])


def _mmbench(pictures: Sequence[Scene], path: Path, language: LanguageCode) -> None:
    """Every rotation of the options is a row; rows after the first name the picture by the first one's index."""
    buffer = io.StringIO()
    columns = ("index", "question", "hint", *LETTERS, "answer", "category", "image", "l2-category", "split")
    writer = csv.DictWriter(buffer, columns, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    for each in pictures:
        for number, question in enumerate(questions(each, language)):
            index = each.number * 10 + number
            for rotation in range(len(question.options)):
                writer.writerow(
                    {
                        "index": index + rotation * _ROTATION,
                        "question": question.text,
                        "hint": "nan",
                        **_rotated(question, rotation),
                        "category": question.skill,
                        "image": str(index) if rotation else base64.b64encode(jpeg(each)).decode(),
                        "l2-category": "miniature",
                        "split": path.name.split("_")[1].lower(),
                    }
                )
    write_text(path, buffer.getvalue())


def _rotated(question: Question, rotation: int) -> dict[str, str]:
    """The options moved on by ``rotation`` places, and the letter of the right one."""
    start = -rotation % len(question.options)
    options = question.options[start:] + question.options[:start]
    return {**dict(zip(LETTERS, options, strict=False)), "answer": LETTERS[options.index(question.answer)]}


def _write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    import pyarrow
    import pyarrow.parquet

    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), buffer, compression="snappy")
    write_bytes(path, buffer.getvalue())
