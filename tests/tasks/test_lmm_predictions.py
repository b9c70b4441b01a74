"""Answers made elsewhere: read, joined, refused with counts; and our own, written and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.errors import DataError, DataMissingError, UsageError
from fgbench.requests import Replies
from fgbench.tasks.lmm_items import Question
from fgbench.tasks.lmm_predictions import predictions_file, read_predictions, server_file

from .lmm_files import Opened, ask, gqa_row, json_lines, mmbench_rows, mmmu_row, parquet, textvqa_row, tsv
from .reading import write


def gqa(root: Path, count: int = 3) -> Opened:
    write(root / "gqa/testdev_balanced_questions.json", {str(100 + n): gqa_row() for n in range(count)})
    return ask("gqa", root)


def answers(*pairs: tuple[Any, Any], **more: Any) -> list[dict[str, Any]]:
    return [{"question_id": name, "text": text, **more} for name, text in pairs]


def test_order_and_extra_fields_do_not_matter_and_ids_may_be_numbers(tmp_path: Path) -> None:
    found = gqa(tmp_path)
    rows = answers((102, "no "), ("100", "No."), ("101", "yes"), model_id="llava", answer_id="x", metadata={})
    place = json_lines(tmp_path / "answers.jsonl", rows)
    replies = found.predictions(place)
    assert (list(replies.texts), replies.failed) == (["No.", "yes", "no"], {})
    assert found.values(*replies.texts)["all/accuracy"] == pytest.approx(2 / 3)


def test_what_a_run_wrote_gives_its_score(tmp_path: Path) -> None:
    found = gqa(tmp_path)
    ours = Replies(["no\nyes\u2028", "no", " 是"])
    before = found.judged(ours)
    [(name, content)] = found.task.submission(found.spec, found.loaded, {"answers": ours})
    assert name == "gqa.predictions.jsonl"
    after = found.judged(found.predictions(write(tmp_path / name, content)))
    assert before.scores == after.scores
    assert all((before.outcomes[key] == after.outcomes[key]).all() for key in before.outcomes)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), min_size=1, max_size=8))
def test_any_answer_survives_writing_and_reading(texts: list[str]) -> None:
    questions = [Question(str(number), "all", "x", ()) for number in range(len(texts))]
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        place = write(Path(folder) / "a.jsonl", predictions_file(questions, Replies(texts)))
        assert read_predictions(place, questions, frozenset(), {}).texts == [text.strip() for text in texts]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            answers(("100", "a"), ("101", "b")),
            r"1 of 3 questions have no answer, the first is '102' \(allow-partial=yes",
        ),
        (
            answers(("100", "a"), ("101", "b"), ("102", "c"), ("1O2", "d"), ("7", "e")),
            r"2 unknown question ids, the first at \S+:4: '1O2', the nearest known is '10[02]'",
        ),
        (
            answers(("100", "a"), ("101", "b"), ("102", "c"), ("100", "d"), (101, "e")),
            r"2 second, different answers, the first at \S+:4 to '100'",
        ),
        (answers(("100", "a"), ("100", "b"), ("x", "c")), r"1 unknown [\s\S]*1 second[\s\S]*2 of 3 questions"),
        ([], "3 of 3 questions have no answer"),
        (answers((True, "a")), "field 'question_id' should be an integer, found bool"),
        (answers((1.0, "a")), "field 'question_id' should be a string"),
        (answers((2**70, "a")), "at most 64 bits"),
        (answers(("100", 4)), r":1: field 'text' should be a string, found an integer"),
        (answers(("100", None)), "field 'text' should be a string"),
        ([{"question_id": "100"}], "field 'text' is missing"),
        ([{"text": "x"}], "field 'question_id' is missing"),
        (answers(("100", "x" * 100_001)), "an answer of 100,001 characters; at most 100,000"),
        (["x"], "expected one JSON object per line"),
    ],
)
def test_files_that_do_not_fit_are_refused_with_counts(tmp_path: Path, rows: list[Any], message: str) -> None:
    found = gqa(tmp_path)
    place = json_lines(tmp_path / "answers.jsonl", rows)
    with pytest.raises(DataError, match=message) as caught:
        found.predictions(place)
    assert str(place) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"question_id": "100", "text": "\xff"}', "not UTF-8"),
        (b'{"question_id": "100", "te', "not valid JSON"),
        (b'{"question_id": "100", "text": "\\ud800"}', "lone surrogate"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\x00\x01", "not valid JSON"),
    ],
)
def test_bytes_that_are_no_predictions(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        gqa(tmp_path).predictions(write(tmp_path / "answers.jsonl", content))


def test_the_same_answer_twice_is_no_contradiction(tmp_path: Path) -> None:
    place = json_lines(tmp_path / "a.jsonl", answers(("100", "no"), ("101", "a"), ("102", "b"), ("100", "no ")))
    assert gqa(tmp_path).predictions(place).texts[0] == "no"


def test_missing_answers_can_count_as_wrong_and_a_note_tells_how_many(tmp_path: Path) -> None:
    found = gqa(tmp_path)
    place = json_lines(tmp_path / "a.jsonl", answers(("101", "no")))
    replies = found.predictions(place, allow_partial="yes")
    scores = found.judged(replies)
    assert found.values(*replies.texts)["all/accuracy"] == scores.scores[0].value == pytest.approx(1 / 3)
    notes = found.task.predictions(found.spec, found.loaded, place, {"allow-partial": "yes"}).notes
    assert notes == ("2 of 3 prompts have no answer in the file and count as wrong.",)
    assert (scores.evaluated, scores.skipped) == (3, {})
    with pytest.raises(DataError, match="3 of 3 questions have no answer"):
        found.predictions(json_lines(tmp_path / "b.jsonl", []), allow_partial="yes")


@pytest.mark.parametrize("options", [{"allow_partial": "maybe"}, {"format": "csv"}])
def test_unknown_options(tmp_path: Path, options: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"allow-partial=yes\|no"):
        gqa(tmp_path).predictions(tmp_path / "a.jsonl", **options)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="no such file of predictions"):
        gqa(tmp_path).predictions(tmp_path / "a.jsonl")


def test_textvqa_by_question_id_or_by_picture_and_prompt(tmp_path: Path) -> None:
    """LLaVA's files have the picture as ``question_id``: the prompt tells which question is meant."""
    rows = [textvqa_row(), textvqa_row(question_id=2, question="what colour?")]
    write(tmp_path / "textvqa/TextVQA_0.5.1_val.json", {"data": rows})
    found = ask("textvqa", tmp_path, prompt="no-ocr")
    by_id = json_lines(tmp_path / "ids.jsonl", answers((2, "red"), (34602, "acme")))
    llava = [
        {"question_id": "0a1b", "prompt": "What colour?\nReference OCR token: x", "text": "red"},
        {"question_id": "0a1b", "prompt": "What is the brand?\nReference OCR token: x", "text": "acme"},
    ]
    by_picture = json_lines(tmp_path / "llava.jsonl", llava)
    assert found.predictions(by_id).texts == found.predictions(by_picture).texts == ["acme", "red"]
    without = json_lines(tmp_path / "without.jsonl", answers(("0a1b", "acme")))
    with pytest.raises(DataError, match="1 unknown question ids"):
        found.predictions(without)


def test_mmmu_also_as_one_object(tmp_path: Path) -> None:
    parquet(tmp_path / "mmmu/Math/validation-0.parquet", [mmmu_row(), mmmu_row(id="validation_Math_8")])
    found = ask("mmmu", tmp_path)
    place = write(tmp_path / "answers.json", {"validation_Math_8": "A", "validation_Math_7": "(B)"})
    assert found.predictions(place).texts == ["(B)", "A"]
    with pytest.raises(DataError, match="expected one object with question ids as keys"):
        found.predictions(write(tmp_path / "answers.json", ["A"]))


def test_mmbench_by_index_and_withheld_subsets_may_be_missing(tmp_path: Path) -> None:
    tsv(tmp_path / "mmbench/MMBench_DEV_EN.tsv", mmbench_rows(7, ("x", "y")))
    tsv(tmp_path / "mmbench/MMBench_TEST_EN.tsv", mmbench_rows(8, ("x", "y"), answer=""))
    found = ask("mmbench-en", tmp_path)
    replies = found.predictions(json_lines(tmp_path / "a.jsonl", answers((7, "B"), (1000007, "A"))))
    scores = found.judged(replies)
    assert {each.metric: each.value for each in scores.scores if each.subset == "dev"}["accuracy"] == 1.0
    assert found.task.predictions(found.spec, found.loaded, tmp_path / "a.jsonl", {}).notes == ()


def test_formulas_are_text_in_the_server_s_table() -> None:
    options = {"A": "=SUM(1)", "B": "@x"}
    question = Question("5", "test", "+1", (), options=options)
    table = server_file([question], Replies(['=cmd|"/c calc"']), "test").decode()
    cells = table.split("\n")[1].split("\t")
    assert cells == ["5", "'+1", "'=SUM(1)", "'@x", "", "", '"\'=cmd|""/c calc"""', "test"]


def test_an_answer_of_ten_thousand_characters(tmp_path: Path) -> None:
    found = gqa(tmp_path, 1)
    place = json_lines(tmp_path / "a.jsonl", answers(("100", "no" + "[" * 9_998)))
    assert found.values(*found.predictions(place).texts)["all/accuracy"] == 0.0
    assert json.loads(place.read_text())["text"].startswith("no[[")
