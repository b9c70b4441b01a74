"""TextVQA: the published JSON with its OCR file, the hub's tables, LLaVA's question file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fgbench.data.images import probe
from fgbench.errors import DataError, DataMissingError

from .lmm_files import ask, cell, json_lines, parquet, textvqa_row
from .reading import touch, write

JSON = "textvqa/TextVQA_0.5.1_val.json"
OCR = "textvqa/TextVQA_Rosetta_OCR_v0.2_val.json"
SHORT = "\nAnswer the question using a single word or phrase."


def published(root: Path, *rows: dict[str, Any], tokens: dict[str, list[str]] | None = None) -> Path:
    if tokens is not None:
        write(root / OCR, {"data": [{"image_id": name, "ocr_tokens": found} for name, found in tokens.items()]})
    return write(root / JSON, {"dataset_type": "val", "data": list(rows)})


def test_the_published_json_with_ocr_words(tmp_path: Path) -> None:
    published(
        tmp_path, textvqa_row(), textvqa_row(question_id=2, image_id="ff"), tokens={"0a1b": ["ACME", "2L"], "ff": []}
    )
    touch(tmp_path, "textvqa/train_images/0a1b.jpg")
    found = ask("textvqa", tmp_path)
    assert found.ids == ["34602", "2"]
    assert found.texts == [
        "what is the brand?\nReference OCR token: ACME, 2L" + SHORT,
        "what is the brand?\nReference OCR token: " + SHORT,
    ]
    assert found.paths() == ["textvqa/train_images/0a1b.jpg"]
    assert {path.name for path in found.files.read} == {Path(JSON).name, Path(OCR).name}
    assert found.values("ACME", "Acme Inc.") == {"all/vqa_accuracy": pytest.approx((1 + 0.3) / 2)}


def test_the_hub_s_tables_hold_everything(tmp_path: Path) -> None:
    rows = [textvqa_row(question_id=n, image=cell(n), ocr_tokens=["A", str(n)]) for n in range(3)]
    parquet(tmp_path / "textvqa/data/validation-00000-of-00002.parquet", rows[:2])
    parquet(tmp_path / "textvqa/data/validation-00001-of-00002.parquet", rows[2:])
    parquet(tmp_path / "textvqa/data/train-00000-of-00001.parquet", [textvqa_row(question_id=9, image=cell())])
    found = ask("textvqa", tmp_path)
    assert found.ids == ["0", "1", "2"]
    assert found.texts[2] == "what is the brand?\nReference OCR token: A, 2" + SHORT
    assert [probe(prompt.images[0]).width for prompt in found.prompts] == [8, 9, 10]
    assert len(found.files.read) == 2


def test_without_the_ocr_file_another_prompt_is_offered(tmp_path: Path) -> None:
    published(tmp_path, textvqa_row(question="What IS the brand?"))
    with pytest.raises(DataMissingError, match="--protocol prompt=no-ocr"):
        ask("textvqa", tmp_path)
    assert ask("textvqa", tmp_path, prompt="no-ocr").texts == ["What IS the brand?" + SHORT]
    assert ask("textvqa", tmp_path, prompt="lmms-eval").texts == ["What is the brand?" + SHORT]


def test_pictures_that_the_ocr_file_lacks_are_counted(tmp_path: Path) -> None:
    published(tmp_path, textvqa_row(), textvqa_row(question_id=2, image_id="ff"), tokens={"ff": ["x"]})
    found = ask("textvqa", tmp_path)
    assert "The OCR file lacks the pictures of 1 questions" in found.loaded.notes[0]


def test_prompts_of_llava_s_question_file_are_found_by_picture_and_question(tmp_path: Path) -> None:
    """There, ``question_id`` is the picture's and comes several times."""
    published(tmp_path, textvqa_row(), textvqa_row(question_id=2, question="what colour?"))
    texts = ["What colour?\nReference OCR token: x" + SHORT, "What is the brand?\nReference OCR token: y" + SHORT]
    rows = [{"question_id": "0a1b", "image": "0a1b.jpg", "text": text, "category": "default"} for text in texts]
    json_lines(tmp_path / "textvqa/llava_textvqa_val_v051_ocr.jsonl", rows)
    assert ask("textvqa", tmp_path, prompt="file").texts == texts[::-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answers": ["acme"] * 9}, r"'data'\[1\]: 9 answers, expected 10"),
        ({"answers": None}, r"'data'\[1\]: field 'answers' should be a list"),
        ({"answers": [1] * 10}, r"field 'answers'\[0\] should be a string"),
        ({"question_id": "34602"}, "field 'question_id' should be an integer"),
        ({"image_id": "/etc/passwd"}, "would leave the image folder"),
        ({"question": "a \ud800"}, "lone surrogate"),
    ],
)
def test_a_bad_question_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    import json

    path = tmp_path / JSON
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"data": [textvqa_row(), textvqa_row(question_id=1) | change]}))
    with pytest.raises(DataError, match=message) as caught:
        ask("textvqa", tmp_path, prompt="no-ocr")
    assert str(path) in str(caught.value) or "image folder" in message


@pytest.mark.parametrize("content", [[], {"data": {}}, {"data": ["x"]}, {}])
def test_another_file_is_refused(tmp_path: Path, content: Any) -> None:
    write(tmp_path / JSON, content)
    with pytest.raises(DataError, match="'data'"):
        ask("textvqa", tmp_path, prompt="no-ocr")


def test_another_ocr_file_is_refused(tmp_path: Path) -> None:
    published(tmp_path, textvqa_row())
    write(tmp_path / OCR, {"data": [{"image_id": "0a1b", "ocr_tokens": "ACME"}]})
    with pytest.raises(DataError, match=r"OCR_v0\.2_val\.json: field 'data'\[0\]: field 'ocr_tokens' should be a list"):
        ask("textvqa", tmp_path)


def test_a_row_without_a_picture_is_named(tmp_path: Path) -> None:
    rows = [textvqa_row(image=cell()), textvqa_row(question_id=2, image=None)]
    parquet(tmp_path / "textvqa/data/validation-00000-of-00001.parquet", rows)
    with pytest.raises(DataError, match="row 1: column 'image' should hold a picture, found None"):
        ask("textvqa", tmp_path, prompt="no-ocr")


def test_question_ids_that_come_twice_are_counted(tmp_path: Path) -> None:
    published(tmp_path, textvqa_row(), textvqa_row())
    with pytest.raises(DataError, match="1 question ids come more than once, the first is '34602'"):
        ask("textvqa", tmp_path, prompt="no-ocr")
