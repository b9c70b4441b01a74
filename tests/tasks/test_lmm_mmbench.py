"""MMBench: tables with base64 pictures, rotations, subsets without labels."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from fgbench.data.images import probe, read_bytes
from fgbench.errors import DataError, DataMissingError
from fgbench.requests import Replies

from .lmm_files import Row, ask, cell, mmbench_rows, parquet, png, tsv
from .reading import write

DEV, TEST = "mmbench/MMBench_DEV_EN.tsv", "mmbench/MMBench_TEST_EN.tsv"
LETTER = "Answer with the option's letter from the given choices directly."
TWO = ("yes", "no")


def two(index: int, **changes: Any) -> list[Row]:
    """A question with two options; the right one is yes."""
    return mmbench_rows(index, TWO, **{"answer": "A", "question": "Is it?", **changes})


def hub(rows: list[Row], *, number: bool = False) -> list[Row]:
    """As the hub's tables hold them: pictures as bytes, absent cells ``nan``."""
    found = []
    for row in rows:
        changed = {name: "nan" if value == "" else value for name, value in row.items() if name != "l2-category"}
        index = row["index"] if number else str(row["index"])
        found.append({**changed, "index": index, "image": cell(), "L2-category": row["l2-category"]})
    return found


def test_every_rotation_is_asked_and_pictures_are_stored_once(tmp_path: Path) -> None:
    tsv(tmp_path / DEV, [*mmbench_rows(7), *two(9, hint='A "hint"\nof two\tlines')])
    found = ask("mmbench-en", tmp_path)
    assert found.ids == ["7", "1000007", "2000007", "9", "1000009"]
    assert found.texts[0] == f"What is on the sofa?\nA. cat\nB. dog\nC. bird\n{LETTER}"
    assert found.texts[1] == f"What is on the sofa?\nA. bird\nB. cat\nC. dog\n{LETTER}"
    assert found.texts[3] == f'A "hint"\nof two\tlines\nIs it?\nA. yes\nB. no\n{LETTER}'
    assert [row.answers for row in found.rows] == [("B",), ("C",), ("A",), ("A",), ("B",)]
    assert {read_bytes(prompt.images[0]) for prompt in found.prompts} == {png()}
    assert found.paths(1) == [f"{DEV}!image[0]"] == found.paths(2)
    assert found.loaded.size == {"dev": 2}
    assert found.loaded.notes[:2] == (
        "dev: MMBench_DEV_EN.tsv, 5 rows, 2 questions.",
        "No file of test: not evaluated.",
    )


def test_circular_accuracy_takes_every_rotation(tmp_path: Path) -> None:
    tsv(tmp_path / DEV, [*two(1), *two(2), *two(3, **{"l2-category": "logic_reasoning"})])
    found = ask("mmbench-en", tmp_path)
    assert found.values("A", "B", "yes, it is", "no", "B", "well") == {
        "dev/accuracy": pytest.approx(1 / 3),
        "dev/vanilla": pytest.approx(2 / 3),
        "dev/row_accuracy": 0.5,
        "dev/unparsed": pytest.approx(1 / 6),
        "dev/finegrained_perception (instance-level)/accuracy": 0.5,
        "dev/logic_reasoning/accuracy": 0.0,
    }
    scores = found.score("A", "B", "A", "B", "A", "B")
    assert [(each.metric, each.n) for each in scores.scores][:3] == [
        ("accuracy", 3),
        ("vanilla", 3),
        ("row_accuracy", 6),
    ]
    assert scores.evaluated == 3
    assert scores.outcomes["id"].tolist() == ["1", "1000001", "2", "1000002", "3", "1000003"]


def test_a_question_whose_picture_fails_in_one_rotation_is_left_out_whole(tmp_path: Path) -> None:
    tsv(tmp_path / DEV, [*two(1), *two(2)])
    found = ask("mmbench-en", tmp_path)
    scores = found.score("", "B", "A", "B", failed={0: "image_unreadable"})
    assert (scores.evaluated, scores.skipped) == (1, {"image_unreadable": 1})
    assert scores.scores[0].value == 1.0


@pytest.mark.parametrize(("dataset", "config"), [("mmbench-en", "en"), ("mmbench-cn", "cn")])
def test_the_hub_s_tables(tmp_path: Path, dataset: str, config: str) -> None:
    """``index`` is text in one and a number in the other; ``nan`` stands for an empty cell."""
    number = config == "cn"
    parquet(tmp_path / f"mmbench/{config}/dev-00000-of-00001.parquet", hub([*mmbench_rows(7), *two(9)], number=number))
    parquet(tmp_path / f"mmbench/{config}/test-00000-of-00001.parquet", hub(two(11, answer=""), number=number))
    found = ask(dataset, tmp_path)
    assert found.ids == ["7", "1000007", "2000007", "9", "1000009", "11", "1000011"]
    assert list(found.rows[0].options.values()) == ["cat", "dog", "bird"]
    assert found.rows[0].hint == ""
    assert [probe(prompt.images[0]).width for prompt in found.prompts] == [8] * 7
    assert "dev/finegrained_perception (instance-level)/accuracy" in found.values(*["A"] * 7)


def test_base64_text_in_a_parquet_table(tmp_path: Path) -> None:
    rows = hub(two(9))
    text = base64.b64encode(png(3)).decode()
    parquet(tmp_path / "mmbench/en/validation-00000-of-00001.parquet", [{**row, "image": text} for row in rows])
    assert [probe(prompt.images[0]).width for prompt in ask("mmbench-en", tmp_path).prompts] == [11, 11]


def test_withheld_labels_are_asked_and_not_scored(tmp_path: Path) -> None:
    tsv(tmp_path / DEV, two(1))
    tsv(tmp_path / TEST, two(2, answer="", split="test", question="=1+1"))
    found = ask("mmbench-en", tmp_path)
    assert found.loaded.size == {"dev": 1}
    assert "test: not scored, labels withheld" in found.loaded.notes[2]
    answers = ("A", "B", "-7", "no\tyes")
    scores = found.score(*answers)
    assert (scores.evaluated, scores.skipped) == (1, {})
    assert {each.subset.split("/")[0] for each in scores.scores} == {"dev"}
    files = dict(found.task.submission(found.spec, found.loaded, {"answers": Replies(answers)}))
    assert set(files) == {"mmbench-en.predictions.jsonl", "mmbench-en.test.tsv"}
    assert files["mmbench-en.test.tsv"].decode().split("\n") == [
        "index\tquestion\tA\tB\tC\tD\tprediction\tsplit",
        "2\t'=1+1\tyes\tno\t\t\t'-7\ttest",
        '1000002\t\'=1+1\tno\tyes\t\t\t"no\tyes"\ttest',
        "",
    ]


def test_withheld_labels_alone_give_no_number_and_the_reason(tmp_path: Path) -> None:
    tsv(tmp_path / TEST, two(2, answer="") + two(3, answer=""))
    found = ask("mmbench-en", tmp_path)
    scores = found.score(*["A"] * 4)
    assert (found.loaded.size, scores.scores, scores.evaluated) == ({"test": 2}, [], 0)
    assert scores.skipped == {"labels_withheld": 2}


def test_released_labels_of_test_are_scored(tmp_path: Path) -> None:
    tsv(tmp_path / TEST, two(2))
    assert ask("mmbench-en", tmp_path).values("A", "B")["test/accuracy"] == 1.0


def test_labels_in_some_rows_only_do_not_count(tmp_path: Path) -> None:
    tsv(tmp_path / TEST, [*two(2), *two(3, answer="")])
    found = ask("mmbench-en", tmp_path)
    assert "labels withheld in 2 of 4 rows" in found.loaded.notes[1]


def test_a_missing_rotation_is_counted_or_refused(tmp_path: Path) -> None:
    tsv(tmp_path / DEV, [*mmbench_rows(7)[:2], *two(9)])
    found = ask("mmbench-en", tmp_path)
    assert found.ids == ["9", "1000009"]
    assert (found.loaded.size, found.loaded.rejected) == ({"dev": 2}, {"rotations_missing": 1})
    scores = found.score("A", "B")
    assert (scores.evaluated, scores.skipped) == (1, {"rotations_missing": 1})


def test_the_limit_counts_questions(tmp_path: Path) -> None:
    rows = [*mmbench_rows(7), *two(9), *two(3)]
    tsv(tmp_path / DEV, sorted(rows, key=lambda row: row["index"] // 1_000_000))
    found = ask("mmbench-en", tmp_path, limit=2)
    assert found.ids == ["7", "9", "1000007", "1000009", "2000007"]
    assert found.loaded.size == {"dev": 2}


def test_option_texts_that_pandas_loses_are_kept(tmp_path: Path) -> None:
    tsv(tmp_path / DEV, mmbench_rows(7, ("NA", "None", "dog")))
    found = ask("mmbench-en", tmp_path)
    assert list(found.rows[0].options.values()) == ["NA", "None", "dog"]
    assert "dev: option texts that other toolkits lose: NA, None." in found.loaded.notes


def test_overlapping_indexes_of_the_subsets(tmp_path: Path) -> None:
    tsv(tmp_path / DEV, two(1))
    tsv(tmp_path / TEST, two(1))
    found = ask("mmbench-en", tmp_path)
    assert found.ids == ["dev/1", "dev/1000001", "test/1", "test/1000001"]
    values = found.values("A", "B", "A", "A")
    assert (values["dev/accuracy"], values["test/accuracy"]) == (1.0, 0.0)


def test_the_other_wordings(tmp_path: Path) -> None:
    tsv(tmp_path / DEV, two(1, hint="Look"))
    tsv(tmp_path / "mmbench/MMBench_DEV_CN.tsv", two(1, hint="Look", question="是吗？"))

    def first(dataset: str, prompt: str) -> str:
        return ask(dataset, tmp_path, prompt=prompt).texts[0]

    options = "A. yes\nB. no"
    assert first("mmbench-cn", "llava-1.5") == f"Look\n是吗？\n{options}\n请直接回答选项字母。"
    assert first("mmbench-cn", "vlmevalkit") == f"Look\n是吗？\n{options}\n请直接回答选项字母。"
    assert first("mmbench-en", "vlmevalkit") == f"Look\nIs it?\n{options}\n{LETTER}"
    assert first("mmbench-en", "vlmevalkit-generic") == (
        f"Hint: Look\nQuestion: Is it?\nOptions:\n{options}\nPlease select the correct answer from the options above. "
    )
    assert first("mmbench-en", "lmms-eval") == f"Look Is it? There are several options:\n{options}\n\n{LETTER}"
    assert first("mmbench-cn", "lmms-eval").endswith(f"{options}\n\n请直接使用所提供的选项字母作为答案回答。")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"index": "seven"}, "row 0: column 'index' should be a whole number, found 'seven'"),
        ({"index": -7}, "column 'index' should be a whole number"),
        ({"image": ""}, "row 0: column 'image' is empty"),
        ({"image": "99"}, "index 7: column 'image' names row '99', and no row"),
        ({"A": ""}, "at least the options A and B"),
        ({"question": ""}, "expected a question with"),
        ({"answer": "D"}, "column 'answer' should be one of A, B, C, found 'D'"),
        ({"answer": "b"}, "column 'answer' should be one of A, B, C"),
        ({"answer": ""}, "1 of 3 rows have no answer in column 'answer'; those of dev are published"),
        ({"index": 1_000_007}, "1 question ids come more than once, the first is '1000007'"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, change: Row, message: str) -> None:
    rows = mmbench_rows(7)
    rows[0] = rows[0] | change
    rows = [row | ({"image": rows[0]["image"]} if "index" in change else {}) for row in rows]
    path = tsv(tmp_path / DEV, rows)
    with pytest.raises(DataError, match=message) as caught:
        ask("mmbench-en", tmp_path)
    assert str(path) in str(caught.value) or "come more than once" in message


def test_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tsv(tmp_path / DEV, two(1))
    write(path, path.read_bytes().replace(b"Is it?", b"Is \xff?"))
    with pytest.raises(DataError, match=rf"{path}: row 0: column 'question': not UTF-8"):
        ask("mmbench-en", tmp_path)


def test_nothing_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"no dev found[\s\S]*MMBench_DEV_EN\.tsv"):
        ask("mmbench-en", tmp_path)
    write(tmp_path / DEV, "index\tquestion\n")
    with pytest.raises(DataError, match="no questions in it"):
        ask("mmbench-en", tmp_path)
