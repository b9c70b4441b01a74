"""On the same weights and files, fgbench gives the figures that FG-CLIP 1's own evaluation code gave.

Where that code does something else than the suite's protocol, the difference is named here:

* its scripts do not lower-case texts, the suite's protocols do; CLIP's tokenizer lower-cases anyway, so nothing
  follows;
* its box script counts boxes of categories that the file does not list, and can never be right on them; the suite
  leaves them out and says how many they were;
* it can run short captions through the long text path; the suite has one text path per dataset.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import fgbench
from fgbench.adapter import TextFeatures
from fgbench.api import Evaluation
from fgbench.models import load_adapter, parse
from fgbench.requests import TextKind


@pytest.fixture(scope="module")
def expected(golden: Path) -> Any:
    """The figures of the tiny FG-CLIP 1."""
    return json.loads((golden / "expected.json").read_text(encoding="utf-8"))["fgclip1"]


@pytest.fixture(scope="module")
def evaluated(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return fgbench.evaluate(
        str(golden / "fgclip1-tiny"),
        None,
        ("fg-ovd", "coco-box", "coco"),
        data_root=golden / "data",
        output=tmp_path_factory.mktemp("golden") / "results",
        on_error="skip",
    )


def record(result: Evaluation, dataset: str) -> Any:
    [found] = [each for each in result.records if each["dataset"] == dataset]
    return found


def scores(result: Evaluation, dataset: str, subset: str = "*") -> dict[str, Any]:
    return {score["metric"]: score for score in record(result, dataset)["scores"] if score["subset"] == subset}


def test_retrieval(evaluated: Evaluation, expected: Any) -> None:
    found = scores(evaluated, "coco")
    for metric, value in expected["coco_retrieval"]["metrics"].items():
        assert found[metric]["value"] == value, metric


@pytest.mark.parametrize(
    ("subset", "script"),
    [
        ("hard", "fgovd_h_attributes"),
        ("medium", "fgovd_m_attributes"),
        ("easy", "fgovd_e_attributes"),
        ("trivial", "fgovd_shuffle_negatives"),
    ],
)
def test_fine_grained(evaluated: Evaluation, expected: Any, subset: str, script: str) -> None:
    official = expected[script]["metrics"]
    [score] = scores(evaluated, "fg-ovd", subset).values()
    assert (score["metric"], score["value"], score["n"]) == ("top1", official["accuracy"], official["count"])


def test_boxes(evaluated: Evaluation, expected: Any) -> None:
    official = expected["coco_box_cls"]["metrics"]
    found, counts = scores(evaluated, "coco-box", "all"), record(evaluated, "coco-box")["counts"]
    assert record(evaluated, "coco-box")["protocol"]["region_mode"] == "roi"
    unlisted = counts["skipped"]["unknown_category"]
    assert unlisted == 2
    assert found["top1"]["n"] + unlisted == official["total"]
    assert found["top1"]["value"] * found["top1"]["n"] == pytest.approx(official["top1_correct"])
    for metric in ("top1", "top5"):
        counted_like_theirs = 100 * found[metric]["value"] * found[metric]["n"] / official["total"]
        assert f"{counted_like_theirs:.2f}" == official[f"{metric}_percent_printed"]


class _LongTexts:
    """FG-CLIP 1 that answers every text with its long path, as the official script does when told 248 tokens."""

    def __init__(self, adapter: Any) -> None:
        self.info, self.module, self.preprocessor = adapter.info, adapter.module, adapter.preprocessor
        self._adapter = adapter

    def encode_images(self, batch: Any, *, dense: bool) -> Any:
        return self._adapter.encode_images(batch, dense=dense)

    def encode_texts(self, texts: Sequence[str], kind: TextKind) -> TextFeatures:
        found: TextFeatures = self._adapter.encode_texts(texts, "long")
        return found


def test_retrieval_with_long_texts(golden: Path, tmp_path: Path, expected: Any) -> None:
    adapter = _LongTexts(load_adapter(str(golden / "fgclip1-tiny")))
    result = fgbench.evaluate(adapter, None, "coco", data_root=golden / "data", output=tmp_path / "results")
    found = scores(result, "coco")
    for metric, value in expected["coco_retrieval_long"]["metrics"].items():
        assert found[metric]["value"] == value, metric


def test_the_folder_is_recognised(golden: Path, evaluated: Evaluation) -> None:
    model = record(evaluated, "coco")["model"]
    assert (model["name"], model["source"]) == ("fgclip1-tiny", "local:fgclip1-tiny")
    assert parse(str(golden / "fgclip1-tiny")).factory == "fgbench.adapters.fgclip1:load"
