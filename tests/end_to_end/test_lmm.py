"""All six datasets from files to records, with a model that reads the answers from a list."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from torch import nn

from fgbench.api import Evaluation, evaluate, plan
from fgbench.generator import GeneratorInfo, Reply
from fgbench.score_api import score

from ..fakes import save_picture
from ..tasks.lmm_files import (
    cell,
    gqa_row,
    json_lines,
    mmbench_rows,
    mmmu_row,
    parquet,
    png,
    refcoco_row,
    textvqa_row,
    tsv,
)
from ..tasks.reading import write

DATASETS = ("gqa", "mmmu", "textvqa", "refcoco", "mmbench-en", "mmbench-cn")

ANSWERS: Mapping[str, str] = {
    "Is the cup red?": "No.",
    "Is it cold?": "no",
    "what is the brand?": "ACME",
    "Find x": "(B)",
    "describes: man on left.": "[0.0164, 0.15625, 0.17266, 0.234375]",
    "A. cat": "B",
    "A. bird": "dog",
    "A. dog": "x" * 10_000,
    "A. 猫": "B",
    "A. 狗": "A",
}
"""Answer by a part of the prompt; "[[[" to all others."""


class Listed:
    """Answers from the list; sees to it that every prompt comes with one picture."""

    def __init__(self) -> None:
        self.info = GeneratorInfo("listed", "fake", "made for tests", "none", "none")
        self.module: nn.Module = nn.Identity()

    def generate(self, texts: Sequence[str], images: Sequence[Sequence[Image.Image]], max_tokens: int) -> list[Reply]:
        assert all(len(each) == 1 for each in images)
        return [Reply(answer(text), 1) for text in texts]


def answer(prompt: str) -> str:
    return next((text for part, text in ANSWERS.items() if part in prompt), "[[[")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Each dataset in one of its published forms."""
    data = tmp_path / "data"
    write(
        data / "gqa/testdev_balanced_questions.json",
        {"1": gqa_row(), "2": gqa_row(question="Is it cold?", answer="yes")},
    )
    save_picture(data / "gqa/images/n1.jpg")
    parquet(data / "mmmu/Math/validation-00000-of-00001.parquet", [mmmu_row()])
    rows = [textvqa_row(image=cell(), ocr_tokens=["ACME"])]
    parquet(data / "textvqa/data/validation-00000-of-00001.parquet", rows)
    parquet(data / "refcoco/data/validation-00000-of-00001.parquet", [refcoco_row()])
    save_picture(data / "coco/train2014/COCO_train2014_000000000222.jpg", size=(640, 480))
    tsv(data / "mmbench/MMBench_DEV_EN.tsv", mmbench_rows(7))
    tsv(data / "mmbench/MMBench_DEV_CN.tsv", mmbench_rows(7, ("猫", "狗")))
    tsv(data / "mmbench/MMBench_TEST_CN.tsv", mmbench_rows(8, ("猫", "狗"), answer=""))
    return data


def run(root: Path, **options: Any) -> Evaluation:
    return evaluate(Listed(), "lmm", data_root=root, output=root.parent / "out", device="cpu", **options)


def main_numbers(evaluation: Evaluation) -> dict[str, float | None]:
    return {f"{r['dataset']}/{m['subset']}": m["value"] for r in evaluation.records for m in r["main"]}


EXPECTED = {
    "gqa/all": 0.5,
    "mmmu/all": 1.0,
    "textvqa/all": 1.0,
    "refcoco/val": 0.5,
    "refcoco/testA": None,
    "refcoco/testB": None,
    "mmbench-en/dev": 0.0,
    "mmbench-en/test": None,
    "mmbench-cn/dev": 1.0,
    "mmbench-cn/test": None,
}


def test_six_records(root: Path) -> None:
    found = run(root)
    assert not found.not_evaluated
    assert main_numbers(found) == EXPECTED
    records = {record["dataset"]: record for record in found.records}
    assert list(records) == list(DATASETS)
    for record in records.values():
        counts = record["counts"]
        assert counts["expected"] == counts["evaluated"] + sum(counts["skipped"].values())
        assert "SHA-256" in record["notes"][-1]
        assert all(len(digest) == 64 for digest in record["data"]["annotations"].values())
        assert record["data"]["annotations"]
    assert records["mmbench-cn"]["language"] == "zh"
    assert any("labels withheld" in note for note in records["mmbench-cn"]["notes"])
    unparsed = {each["metric"]: each["value"] for each in records["refcoco"]["scores"] if each["subset"] == "val"}
    assert unparsed["unparsed"] == 0.5


def test_answers_from_a_file_give_the_same_numbers(root: Path, tmp_path: Path) -> None:
    by_model = {record["dataset"]: record for record in run(root).records}
    for planned in plan("lmm", data_root=root).datasets:
        assert planned.loaded is not None
        asked = planned.loaded.items
        pairs = zip(asked.questions.rows, asked.prompts, strict=True)
        rows = [{"question_id": question.id, "text": answer(prompt.text)} for question, prompt in pairs]
        place = json_lines(tmp_path / f"{planned.spec.id}.jsonl", rows)
        [record] = score(planned.spec.id, place, data_root=root, output=tmp_path / "scored").records
        assert record["scores"] == by_model[planned.spec.id]["scores"]
        assert record["counts"]["evaluated"] == by_model[planned.spec.id]["counts"]["evaluated"]
        assert record["notes"] == by_model[planned.spec.id]["notes"]


def test_a_picture_that_cannot_be_decoded_is_counted_and_stops_no_other_dataset(root: Path) -> None:
    broken = base64.b64encode(png()[:-20] + b"\0" * 60).decode()
    rows = [*mmbench_rows(7), *mmbench_rows(9, image=broken), *mmbench_rows(11, image="A" * 200)]
    tsv(root / "mmbench/MMBench_DEV_EN.tsv", rows)
    refused = run(root)
    assert [each.dataset for each in refused.not_evaluated] == ["mmbench-en"]
    assert "pictures cannot be read" in refused.not_evaluated[0].reason
    counts = {record["dataset"]: record["counts"] for record in run(root, on_error="skip").records}["mmbench-en"]
    assert (counts["expected"], counts["evaluated"]) == (3, 1)
    assert sum(counts["skipped"].values()) == 2


def test_the_records_hold_nobody_s_folders(root: Path) -> None:
    run(root)
    for path in sorted((root.parent / "out/listed").glob("*.json")):
        assert str(root) not in json.dumps(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("limit", [1])
def test_a_limit_holds_for_all(root: Path, limit: int) -> None:
    counts = {record["dataset"]: record["counts"]["expected"] for record in run(root, limit=limit).records}
    assert counts == dict.fromkeys(DATASETS, 1)
