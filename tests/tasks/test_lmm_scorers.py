"""Every score that was recorded from a reference implementation, reproduced by the scorer of that name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fgbench.metrics.box_answers import Target, ious
from fgbench.metrics.circular import circular
from fgbench.metrics.mmmu import Question
from fgbench.metrics.mmmu_choice import parse_lmms_eval, parse_official
from fgbench.metrics.option_matching import Options, match_exact, match_vlmevalkit_2026_06
from fgbench.metrics.outcomes import Outcomes
from fgbench.tasks.lmm_scorers import SCORERS

Row = dict[str, Any]

VECTORS = Path(__file__).parent / "vectors" / "lmm_scoring_vectors.jsonl"
ROWS: list[Row] = [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()]

# Recorded name of the implementation → our scorer, by metric. None: not reproduced on purpose.
VARIANTS: dict[str, dict[str, tuple[str, str] | None]] = {
    "vqa_accuracy": {
        "LLaVA m4c_evaluator": ("textvqa", "evalai"),
        "lmms-eval textvqa": ("textvqa", "evalai"),
        "VLMEvalKit vqa_score": ("textvqa", "vlmevalkit"),
    },
    "gqa_exact_match": {
        "LLaVA convert_gqa_for_eval + official GQA eval": ("gqa", "llava"),
        "lmms-eval exact_match": ("gqa", "lmms-eval"),
        "VLMEvalKit accuracy": ("gqa", "vlmevalkit"),
    },
    "mmmu_multiple_choice": {
        "MMMU official eval_utils": ("mmmu", "strict"),
        "lmms-eval mmmu": ("mmmu", "lmms-eval-2026-03"),
        "VLMEvalKit exact_matching": ("mmmu", "vlmevalkit-2026-06"),
    },
    "mmmu_open": {
        "MMMU official eval_utils": ("mmmu", "strict"),
        "lmms-eval mmmu (commit 75571cfe)": ("mmmu", "lmms-eval-2026-03"),
        "VLMEvalKit exact_matching (open question rewritten to A/B)": ("mmmu", "vlmevalkit-2026-06"),
    },
    "mmbench_single": {
        "VLMEvalKit exact_matching": ("mmbench", "vlmevalkit-2026-06"),
        "lmms-eval mmbench static": None,
    },
    "mmbench_circular": {
        "VLMEvalKit exact_matching": ("mmbench", "vlmevalkit-2026-06"),
        "lmms-eval mmbench static": None,
    },
    "refcoco_acc_iou50": {
        "conv-llava grounding script (LLaVA padded-square convention)": ("refcoco", "llava"),
        "lmms-eval refcoco_bbox_rec": ("refcoco", "lmms-eval"),
        "VLMEvalKit RefCOCO": ("refcoco", "vlmevalkit"),
    },
}
ALL_PAIRS = [(row, name) for row in ROWS for name in row["implementation"].split("; ")]
PAIRS = [(row, name, variant) for row, name in ALL_PAIRS if (variant := VARIANTS[row["metric"]][name])]


def rows(metric: str) -> list[Row]:
    return [row for row in ROWS if row["metric"] == metric]


def target(row: Row) -> Target:
    return Target(tuple(row["reference"][0]), row["context"]["width"], row["context"]["height"])


def reference(row: Row) -> Any:
    match row["metric"]:
        case "vqa_accuracy":
            return row["reference"]
        case "gqa_exact_match":
            return row["reference"][0]
        case "mmmu_multiple_choice":
            return Question(row["id"], row["context"]["options"], row["reference"])
        case "mmmu_open":
            return Question(row["id"], (), row["reference"])
        case "mmbench_single":
            return Options(row["context"]["choices"], row["reference"][0])
        case _:
            return target(row)


def rotated(base: dict[str, str], places: int) -> dict[str, str]:
    """The options rotated to the right: after one place A holds what was the last."""
    texts = list(base.values())
    return dict(zip(base, texts[-places:] + texts[:-places], strict=True))


def score_circular(row: Row, variant: str) -> float:
    base = row["context"]["base_choices"]
    questions = [
        Options(rotated(base, places), answer)
        for places, answer in zip(row["context"]["passes"], row["reference"], strict=True)
    ]
    right = SCORERS["mmbench"][variant](row["prediction"], questions).score == 1
    found = circular(right, np.array(row["context"]["index"]), np.full(len(right), len(base)))
    assert found.question.tolist() == [7]
    assert found.vanilla.tolist() == [right[0]]
    assert found.complete.tolist() == [len(right) == len(base)]
    return float(found.correct[0])


@pytest.mark.parametrize(("row", "name", "variant"), PAIRS, ids=[f"{row['id']}-{name}" for row, name, _ in PAIRS])
def test_a_recorded_score_is_reproduced(row: Row, name: str, variant: tuple[str, str]) -> None:
    dataset, scorer = variant
    compared = f"{row['id']}: {dataset}/{scorer} with {name}: {row['prediction']!r} for {row['reference']}"
    if row["metric"] == "mmbench_circular":
        assert score_circular(row, scorer) == row["expected_score"], compared
        return
    found = SCORERS[dataset][scorer]([row["prediction"]], [reference(row)])
    if row["expected_score"] is None:
        assert (found.score[0], found.unparsed[0]) == (0, True), compared
    else:
        assert found.score[0] == pytest.approx(row["expected_score"], abs=1e-9), compared


def test_the_486_pairs_are_all_but_those_of_one_implementation() -> None:
    left_out = [(row["metric"], name) for row, name in ALL_PAIRS if VARIANTS[row["metric"]][name] is None]
    assert len(ROWS) == 272
    assert len({row["case"] for row in ROWS}) == 199
    assert (len(ALL_PAIRS), len(PAIRS)) == (540, 486)
    assert set(left_out) == {
        ("mmbench_single", "lmms-eval mmbench static"),
        ("mmbench_circular", "lmms-eval mmbench static"),
    }


def test_all_answers_of_a_metric_at_once_give_the_same_as_one_by_one() -> None:
    for metric in VARIANTS.keys() - {"mmbench_circular"}:
        for variant in filter(None, VARIANTS[metric].values()):
            scorer = SCORERS[variant[0]][variant[1]]
            texts, references = [row["prediction"] for row in rows(metric)], list(map(reference, rows(metric)))
            together = scorer(texts, references)
            single = [scorer([text], [right]) for text, right in zip(texts, references, strict=True)]
            np.testing.assert_array_equal(together.score, np.concatenate([one.score for one in single]))
            np.testing.assert_array_equal(together.unparsed, np.concatenate([one.unparsed for one in single]))


def test_the_letters_that_the_official_parsers_of_mmmu_read() -> None:
    for row in rows("mmmu_multiple_choice"):
        options = Question("q", row["context"]["options"], ["A"]).by_letter
        expected = row["context"]["parsed"]
        assert parse_official(row["prediction"], options) == expected["MMMU official eval_utils"], row["id"]
        assert parse_lmms_eval(row["prediction"], options) == expected["lmms-eval mmmu"], row["id"]


def test_the_letters_that_vlmevalkit_matches() -> None:
    for row in rows("mmbench_single"):
        expected = row["context"]["parsed_vlmevalkit"]
        found = match_vlmevalkit_2026_06(row["prediction"], row["context"]["choices"])
        assert (found or "Z") == expected, row["id"]


def test_the_default_matcher_differs_only_where_the_answer_is_rule_fires() -> None:
    differing = {
        row["case"]
        for row in rows("mmbench_single")
        if match_exact(row["prediction"], row["context"]["choices"])
        != match_vlmevalkit_2026_06(row["prediction"], row["context"]["choices"])
    }
    assert differing == {"mmb-015", "mmb-027", "mmb-028", "mmb-029"}


@pytest.mark.parametrize(
    ("protocol", "name"),
    [("llava", "conv-llava grounding script (LLaVA padded-square convention)"), ("vlmevalkit", "VLMEvalKit RefCOCO")],
)
def test_the_overlap_that_was_recorded(protocol: str, name: str) -> None:
    for row in rows("refcoco_acc_iou50"):
        found = ious([row["prediction"]], [target(row)], protocol)[0]
        expected = row["context"]["iou"][name]
        # Where we see no box, the references go on with a box of zeros or a reversed one: overlap 0 or 0 / 0.
        assert (not expected) if np.isnan(found) else found == pytest.approx(expected, abs=1e-6), row["id"]


def test_every_scorer_takes_no_answers_and_refuses_a_reference_too_many() -> None:
    extra = {metric: reference(rows(metric)[0]) for metric in VARIANTS.keys() - {"mmbench_circular"}}
    for metric, right in extra.items():
        for dataset, name in filter(None, VARIANTS[metric].values()):
            empty = SCORERS[dataset][name]([], [])
            assert isinstance(empty, Outcomes)
            assert (empty.score.shape, empty.unparsed.shape) == ((0,), (0,))
            assert (empty.score.dtype.name, empty.unparsed.dtype.name) == ("float64", "bool")
            with pytest.raises(ValueError, match="one answer per reference, got 2 and 1"):
                SCORERS[dataset][name](["", ""], [right])


def test_the_default_of_each_dataset_is_what_the_protocol_of_the_paper_wants() -> None:
    assert {dataset: next(iter(scorers)) for dataset, scorers in SCORERS.items()} == {
        "gqa": "llava",
        "textvqa": "evalai",
        "mmmu": "strict",
        "refcoco": "llava",
        "mmbench": "exact",
    }
