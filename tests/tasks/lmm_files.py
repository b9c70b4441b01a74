"""Invented questions in the published forms, and a dataset of them as its task sees it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fgbench.data.files import DatasetFiles
from fgbench.requests import Generate, Prompt, Replies
from fgbench.selection import datasets
from fgbench.spec import DatasetSpec
from fgbench.task import Loaded, Scores
from fgbench.tasks.lmm import LargeMultimodal
from fgbench.tasks.lmm_items import Question

from ..data.test_images import encoded, noise

Row = dict[str, Any]


def png(number: int = 0) -> bytes:
    """A picture that can be told from others by its width."""
    return encoded(noise(size=(8 + number, 6)), "PNG")


def cell(number: int | None = 0) -> Row | None:
    """A picture as the hub stores it."""
    return None if number is None else {"bytes": png(number), "path": None}


def parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)
    return path


def tsv(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """As pandas writes it, which made the published files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False)
    return path


def json_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def gqa_row(**changes: Any) -> Row:
    return {
        "question": "Is the cup red?",
        "imageId": "n1",
        "answer": "no",
        "fullAnswer": "No, the cup is blue.",
        "isBalanced": True,
        "types": {"structural": "verify", "semantic": "attr", "detailed": "verifyAttr"},
        **changes,
    }


def textvqa_row(**changes: Any) -> Row:
    return {
        "question_id": 34602,
        "question": "what is the brand?",
        "image_id": "0a1b",
        "answers": ["acme"] * 8 + ["acme inc", "2l"],
        "set_name": "val",
        **changes,
    }


def mmmu_row(**changes: Any) -> Row:
    pictures = {f"image_{number}": cell(0 if number == 1 else None) for number in range(1, 8)}
    return {
        "id": "validation_Math_7",
        "question": "Find x in <image 1>.",
        "options": "['3', '4', '5', '6']",
        "answer": "B",
        "question_type": "multiple-choice",
        **pictures,
        **changes,
    }


def refcoco_row(**changes: Any) -> Row:
    region = changes.pop("region", [10.5, 20.0, 100.0, 50.0])
    x, y, width, height = region
    return {
        "ref_id": 7,
        "image_id": 222,
        "split": "val",
        "sentences": [
            {"sent_id": 20, "sent": "man on left", "raw": "Man on LEFT", "tokens": ["man", "on", "left"]},
            {"sent_id": 21, "sent": "guy", "raw": "guy", "tokens": ["guy"]},
        ],
        "bbox": [x, y, x + width, y + height],
        "raw_anns": json.dumps({"id": 111, "bbox": region, "segmentation": [[1, 2, 3, 4]]}),
        "raw_image_info": json.dumps({"file_name": "COCO_train2014_000000000222.jpg", "width": 640, "height": 480}),
        **changes,
    }


def mmbench_rows(index: int = 7, options: Sequence[str] = ("cat", "dog", "bird"), **changes: Any) -> list[Row]:
    """A question with every rotation; ``answer`` is that of the first row, empty where it is withheld."""
    answer = changes.pop("answer", "B")
    rows = []
    for turn in range(len(options)):
        turned = [options[(place - turn) % len(options)] for place in range(len(options))]
        letter = "ABCD"[("ABCD".index(answer) + turn) % len(options)] if answer else ""
        rows.append(
            {
                "index": index + turn * 1_000_000,
                "question": "What is on the sofa?",
                "hint": "",
                **dict(zip("ABCD", [*turned, "", "", ""], strict=False)),
                "answer": letter,
                "category": "object_localization",
                "image": base64.b64encode(png()).decode() if turn == 0 else str(index),
                "l2-category": "finegrained_perception (instance-level)",
                "split": "dev",
                **changes,
            }
        )
    return rows


@dataclass(frozen=True)
class Opened:
    """A dataset as the task sees it."""

    task: LargeMultimodal
    spec: DatasetSpec
    files: DatasetFiles
    loaded: Loaded

    @property
    def rows(self) -> Sequence[Question]:
        rows: Sequence[Question] = self.loaded.items.questions.rows
        return rows

    @property
    def prompts(self) -> Sequence[Prompt]:
        request = self.task.requests(self.spec, self.loaded)["answers"]
        assert isinstance(request, Generate)
        return request.prompts

    @property
    def texts(self) -> list[str]:
        return [prompt.text for prompt in self.prompts]

    @property
    def ids(self) -> list[str]:
        return [row.id for row in self.rows]

    def paths(self, row: int = 0) -> list[str]:
        return [str(ref).removeprefix(f"{self.files.root}/") for ref in self.prompts[row].images]

    def score(self, *answers: str, failed: Mapping[int, str] | None = None) -> Scores:
        return self.judged(Replies(answers, failed or {}))

    def judged(self, replies: Replies) -> Scores:
        scores: Scores = self.task.score(self.spec, self.loaded, {"answers": replies})
        return scores

    def values(self, *answers: str) -> dict[str, float]:
        return {f"{each.subset}/{each.metric}": each.value for each in self.score(*answers).scores}

    def predictions(self, place: Path, **options: str) -> Replies:
        given = {name.replace("_", "-"): value for name, value in options.items()}
        replies: Replies = self.task.predictions(self.spec, self.loaded, place, given).answers["answers"]
        return replies


def ask(
    dataset: str, root: Path, *, limit: int | None = None, places: Mapping[str, Path] | None = None, **chosen: str
) -> Opened:
    """Read a dataset below a data root with a protocol's choices."""
    task, spec = datasets().get(dataset)
    assert isinstance(task, LargeMultimodal)
    spec = replace(spec, protocol=replace(spec.protocol, chosen=chosen))
    files = DatasetFiles(spec, root, places or {})
    return Opened(task, spec, files, task.load(spec, files, limit))
