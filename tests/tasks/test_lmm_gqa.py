"""GQA: the published JSON, the hub's tables, LLaVA's question file."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from fgbench.data.images import probe
from fgbench.errors import DataError, DataMissingError

from .lmm_files import ask, cell, gqa_row, json_lines, parquet
from .reading import touch, write

JSON = "gqa/testdev_balanced_questions.json"
ONE_WORD = "\nAnswer the question using a single word or phrase."


def published(root: Path, **rows: dict[str, Any]) -> Path:
    return write(root / JSON, {name.removeprefix("q"): row for name, row in rows.items()})


def test_the_published_json(tmp_path: Path) -> None:
    open_row = gqa_row(question="What is red?", answer="cup", imageId="n2", types={"structural": "query"})
    published(tmp_path, q20112345=gqa_row(), q7=open_row, q8=gqa_row(isBalanced=False))
    touch(tmp_path, "gqa/images/n1.jpg", "gqa/images/n2.jpg")
    found = ask("gqa", tmp_path)
    assert found.ids == ["20112345", "7"]
    assert found.texts == ["Is the cup red?" + ONE_WORD, "What is red?" + ONE_WORD]
    assert found.paths(1) == ["gqa/images/n2.jpg"]
    assert {prompt.max_tokens for prompt in found.prompts} == {128}
    assert found.loaded.size == {"all": 2}
    assert [path.name for path in found.files.read] == ["testdev_balanced_questions.json"]
    assert found.values(" No. \n", "Cup") == {"all/accuracy": 1, "binary/accuracy": 1, "open/accuracy": 1}
    assert found.values("no", "a cup") == {"all/accuracy": 0.5, "binary/accuracy": 1, "open/accuracy": 0}


def test_pictures_may_stay_in_the_archive(tmp_path: Path) -> None:
    published(tmp_path, q1=gqa_row())
    with zipfile.ZipFile(tmp_path / "gqa/images.zip", "w") as archive:
        archive.writestr("images/n1.jpg", b"")
    assert ask("gqa", tmp_path).paths() == ["gqa/images.zip!images/n1.jpg"]


def test_the_hub_s_tables_hold_questions_and_pictures(tmp_path: Path) -> None:
    rows = [gqa_row(id="1", imageId="n2"), gqa_row(id="2", imageId="n1"), gqa_row(id="3", imageId="n9")]
    parquet(tmp_path / "gqa/testdev_balanced_instructions/testdev-00000-of-00001.parquet", rows)
    pictures = [{"id": "n1", "image": cell(1)}, {"id": "n2", "image": cell(2)}]
    parquet(tmp_path / "gqa/testdev_balanced_images/testdev-00000-of-00001.parquet", pictures)
    found = ask("gqa", tmp_path)
    assert [probe(found.prompts[row].images[0]).width for row in (0, 1)] == [10, 9]
    assert found.paths(2) == ["gqa/testdev_balanced_images/n9.jpg"]  # reported as missing
    assert [path.name for path in found.files.read] == ["testdev-00000-of-00001.parquet"]


def test_the_limit_keeps_the_first(tmp_path: Path) -> None:
    published(tmp_path, q3=gqa_row(), q1=gqa_row(), q2=gqa_row())
    found = ask("gqa", tmp_path, limit=2)
    assert (found.ids, found.loaded.size) == (["3", "1"], {"all": 2})


def test_prompts_of_llava_s_question_file(tmp_path: Path) -> None:
    published(tmp_path, q1=gqa_row(), q2=gqa_row(question="Is it cold?"))
    rows = [
        {"question_id": "2", "image": "n1.jpg", "text": "Is it  cold?\nOne word.", "category": "default"},
        {"question_id": "1", "image": "n1.jpg", "text": "Is the cup red?" + ONE_WORD, "category": "default"},
    ]
    path = json_lines(tmp_path / "gqa/llava_gqa_testdev_balanced.jsonl", rows)
    found = ask("gqa", tmp_path, prompt="file")
    assert found.texts == ["Is the cup red?" + ONE_WORD, "Is it  cold?\nOne word."]
    assert path in found.files.read
    json_lines(path, rows[1:])
    with pytest.raises(DataError, match="no prompt for 1 questions, the first is '2'"):
        ask("gqa", tmp_path, prompt="file")
    path.unlink()
    with pytest.raises(DataMissingError, match="no prompts found"):
        ask("gqa", tmp_path, prompt="file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": None}, "question '5': field 'answer' should be a string, found nothing"),
        ({"question": 3}, "question '5': field 'question' should be a string"),
        ({"imageId": "../../x"}, "would leave the image folder"),
        ({"types": []}, "field 'types' should be an object"),
        ({"isBalanced": "yes"}, "field 'isBalanced' should be"),
    ],
)
def test_a_bad_question_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    published(tmp_path, q5=gqa_row(**change))
    with pytest.raises(DataError, match=message):
        ask("gqa", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"question": "x"}]', "expected one object with question ids as keys, found list"),
        (b'{"5": "x"}', "question '5': expected an object"),
        (b'{"5": {"question": "\xff"}}', "not UTF-8"),
        (b'{"5": {"que', "not valid JSON.*cut off"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path / JSON, content)
    with pytest.raises(DataError, match=message) as caught:
        ask("gqa", tmp_path)
    assert str(path) in str(caught.value)


def test_the_labels_of_another_split_are_missing(tmp_path: Path) -> None:
    row = gqa_row()
    del row["answer"]
    published(tmp_path, q5=row)
    with pytest.raises(DataError, match="field 'answer' is missing"):
        ask("gqa", tmp_path)


def test_a_question_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gqa/testdev_balanced_instructions/testdev-00000-of-00001.parquet"
    parquet(path, [gqa_row(id=name) for name in ("1", "2", "1", "2", "3")])
    with pytest.raises(DataError, match="2 question ids come more than once, the first is '1'"):
        ask("gqa", tmp_path)


def test_keys_that_come_twice_in_the_json_are_counted(tmp_path: Path) -> None:
    path = published(tmp_path, q1=gqa_row(), q2=gqa_row(question='"imageId" "imageId"'))
    assert ask("gqa", tmp_path).ids == ["1", "2"]
    write(path, path.read_bytes().replace(b'"2":', b'"1":'))
    with pytest.raises(DataError, match="1 question ids come more than once"):
        ask("gqa", tmp_path)


def test_nothing_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="lmms-lab/GQA"):
        ask("gqa", tmp_path)
    (tmp_path / "gqa/testdev_balanced_instructions").mkdir(parents=True)
    with pytest.raises(DataMissingError, match="has no file called testdev or"):
        ask("gqa", tmp_path)


def test_a_table_without_rows(tmp_path: Path) -> None:
    published(tmp_path)
    found = ask("gqa", tmp_path)
    scores = found.score()
    assert (found.loaded.size, scores.evaluated, scores.skipped, scores.scores) == ({}, 0, {}, [])
