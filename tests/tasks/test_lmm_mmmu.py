"""MMMU: the hub's tables, options written as Python lists, several pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fgbench.data.images import probe
from fgbench.errors import DataError
from fgbench.tasks.lmm_mmmu import DOMAINS

from .lmm_files import ask, cell, mmmu_row, parquet

LETTER = "Answer with the option's letter from the given choices directly."


def subject(root: Path, name: str, *rows: dict[str, Any]) -> Path:
    return parquet(root / f"mmmu/{name}/validation-00000-of-00001.parquet", rows)


def open_row(**changes: Any) -> dict[str, Any]:
    return mmmu_row(question_type="open", options="[]", **{"id": "validation_Music_1", "answer": "24/7", **changes})


def test_one_table_per_subject(tmp_path: Path) -> None:
    subject(tmp_path, "Math", mmmu_row())
    subject(tmp_path, "Music", open_row(), open_row(id="validation_Music_2", answer="['24/7', '3.429']"))
    parquet(tmp_path / "mmmu/Math/test-00000-of-00001.parquet", [mmmu_row(id="test_Math_1", answer="?")])
    found = ask("mmmu", tmp_path)
    assert found.ids == ["validation_Math_7", "validation_Music_1", "validation_Music_2"]
    assert found.texts[0] == f"Find x in <image 1>.\n(A) 3\n(B) 4\n(C) 5\n(D) 6\n\n{LETTER}"
    assert found.texts[1] == "Find x in <image 1>.\nAnswer the question using a single word or phrase."
    assert found.rows[2].answers == ("24/7", "3.429")
    assert len(found.files.read) == 2
    assert found.loaded.size == {"all": 3}


def test_all_subjects_in_one_table(tmp_path: Path) -> None:
    rows = [mmmu_row(), mmmu_row(id="validation_Art_Theory_1")]
    parquet(tmp_path / "mmmu/data/validation-00000-of-00001.parquet", rows)
    assert [row.groups["subject"] for row in ask("mmmu", tmp_path).rows] == ["Math", "Art_Theory"]


def test_both_copies_at_once_are_refused(tmp_path: Path) -> None:
    subject(tmp_path, "Math", mmmu_row())
    subject(tmp_path, "data", mmmu_row())
    with pytest.raises(DataError, match="1 question ids come more than once"):
        ask("mmmu", tmp_path)


def test_which_pictures_are_shown_is_the_protocol_s(tmp_path: Path) -> None:
    several = {"image_1": cell(1), "image_2": None, "image_3": cell(3), "image_4": cell(4)}
    subject(tmp_path, "Math", mmmu_row(**several, options="['<image 3>', '4']"), mmmu_row(id="validation_Math_8"))

    def widths(prompt: str) -> list[int]:
        return [probe(ref).width for ref in ask("mmmu", tmp_path, prompt=prompt).prompts[0].images]

    assert widths("llava-1.5") == [9]
    assert widths("lmms-eval") == [9, 11]
    assert widths("vlmevalkit") == [9, 11, 12]


def test_the_other_wordings(tmp_path: Path) -> None:
    subject(
        tmp_path,
        "Math",
        mmmu_row(options="['3', '4']"),
        open_row(),
        mmmu_row(id="validation_Art_1", options="['画', 'b']"),
    )
    first, second, third = ask("mmmu", tmp_path, prompt="vlmevalkit").texts
    assert first == f"Find x in <image 1>.\nA. 3\nB. 4\n{LETTER}"
    assert second == "Find x in <image 1>.\nAnswer the question directly."
    assert third == "Find x in <image 1>.\nA. 画\nB. b\n请直接回答选项字母。"
    texts = ask("mmmu", tmp_path, prompt="lmms-eval").texts
    assert texts[0] == f"Find x in <image 1>.\nA. 3\nB. 4\n\n{LETTER}"
    assert texts[1] == "Find x in <image 1>.\n\nAnswer the question using a single word or phrase."


def test_braces_and_markers_in_a_question_stay(tmp_path: Path) -> None:
    subject(
        tmp_path, "Math", mmmu_row(question="{options} {0} {question.__class__} <image 1>", options="['{hint}', '%s']")
    )
    assert (
        ask("mmmu", tmp_path).texts[0].startswith("{options} {0} {question.__class__} <image 1>\n(A) {hint}\n(B) %s\n")
    )


def test_scores(tmp_path: Path) -> None:
    rows = [mmmu_row(id=f"validation_Math_{number}") for number in range(3)]
    subject(tmp_path, "Math", *rows)
    subject(tmp_path, "Music", open_row())
    found = ask("mmmu", tmp_path)
    assert found.values("B", "(C)", "no idea", "The answer is 24/7.") == {
        "all/accuracy": 0.5,
        "all/unparsed": 0.25,
        "all/expected_if_guessed": pytest.approx((1 + 0.25 + 1) / 4),
        "Science/accuracy": pytest.approx(1 / 3),
        "Art & Design/accuracy": 1.0,
    }
    scores = found.score("B", "(C)", "no idea", "24/7")
    assert scores.outcomes["parsed"].tolist() == [True, True, False, True]
    assert scores.outcomes["group/subject"].tolist() == ["Math", "Math", "Math", "Music"]


def test_there_are_thirty_subjects_in_six_domains() -> None:
    subjects = [name for names in DOMAINS.values() for name in names]
    assert (len(DOMAINS), len(subjects), len(set(subjects))) == (6, 30, 30)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": "__import__('os').system('true')"}, "expected a list of strings"),
        ({"options": "[__import__('os').getcwd(), 'b']"}, "expected a list of strings"),
        ({"options": "['a', 1]"}, "expected a list of strings"),
        ({"options": "('a', 'b')"}, "expected a list of strings"),
        ({"options": "['a', 'b'"}, "expected a list of strings"),
        ({"options": "[" * 9_000 + "]" * 9_000}, "expected a list of strings"),
        ({"options": "[" + "-" * 15_000 + "1]"}, "expected a list of strings"),
        ({"options": "[" + "'a'," * 30_000 + "]"}, "expected a list of strings"),
        ({"options": "['a'*9999999999]"}, "expected a list of strings"),
        ({"options": str(["x"] * 27)}, "2 to 26 options; found 'multiple-choice' with 27"),
        ({"options": "['a']"}, "found 'multiple-choice' with 1"),
        ({"question_type": "essay"}, "found 'essay' with 4"),
        ({"answer": "E"}, "field 'answer' should be one of A, B, C, D, found 'E'"),
        ({"answer": "?"}, "field 'answer' should be one of A, B, C, D"),
        ({"answer": ""}, "field 'answer' should be one of"),
        ({"answer": None}, "field 'answer' should be a string, found nothing"),
        ({"id": "test_Math_1"}, "should be like 'validation_Math_7'"),
        ({"id": "validation_Cooking_1"}, "should be like 'validation_Math_7'"),
        ({"question_type": "open", "answer": "['a'"}, "field 'answer': expected a list of strings"),
        ({"question_type": "open", "answer": ""}, "field 'answer' should be a text"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_run(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = subject(tmp_path, "Math", mmmu_row(id="validation_Math_1"), mmmu_row(**change))
    with pytest.raises(DataError, match=message) as caught:
        ask("mmmu", tmp_path)
    assert f"{path}: row 1" in str(caught.value)
