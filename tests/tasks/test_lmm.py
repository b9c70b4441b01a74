"""The task as a whole: declarations, prompts as data, what stands in a record."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from fgbench.report.paper import published
from fgbench.requests import Generate, ImageRef
from fgbench.selection import datasets, tasks
from fgbench.spec import DatasetSpec
from fgbench.task import ScoresPredictions, Task
from fgbench.tasks.lmm_items import Question
from fgbench.tasks.lmm_prompts import templates
from fgbench.tasks.lmm_scorers import SCORERS

from .lmm_files import ask, gqa_row
from .reading import write

SPECS = {spec.id: spec for spec in tasks().get("lmm").datasets}
ROW = ("LLaVA-1.5 + FG-CLIP 2", "FG-CLIP 2")


def test_it_is_a_task_that_also_scores_predictions() -> None:
    task = tasks().get("lmm")
    assert isinstance(task, Task)
    assert isinstance(task, ScoresPredictions)
    assert (task.title, task.position) == ("Large multimodal models", 80)
    assert list(SPECS) == ["gqa", "mmmu", "textvqa", "refcoco", "mmbench-en", "mmbench-cn"]
    assert datasets().get("mmbench-cn")[1].language == "zh"


def test_every_number_of_the_paper_s_table_belongs_to_a_dataset(shared: Path) -> None:
    with (shared / "data/paper_table6_lmm.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["backbone"] == ROW[1]]
    printed = sorted(float(row["value"]) for row in rows)
    ours = [published(spec, key, ROW) for spec in SPECS.values() for key in spec.main]
    assert None not in ours
    assert sorted(value for value in ours if value is not None) == printed
    assert len(printed) == 10


@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
class TestEachDeclaration:
    def test_the_defaults_are_the_first_choices(self, spec: DatasetSpec) -> None:
        scorers = SCORERS["mmbench" if spec.id.startswith("mmbench") else spec.id]
        assert spec.protocol.choices["scorer"].allowed == tuple(scorers)
        assert spec.protocol.choice("scorer") == next(iter(scorers))
        assert spec.protocol.choice("prompt") == "llava-1.5" == next(iter(templates(spec.id)))
        assert set(templates(spec.id)) <= set(spec.protocol.choices["prompt"].allowed or ())

    def test_main_numbers_and_places(self, spec: DatasetSpec) -> None:
        assert {key.metric for key in spec.main} <= set(spec.metrics)
        assert set(spec.published) == set(spec.main)
        assert "<data root>" in spec.how_to_get
        for source in spec.hub:
            assert any(
                place == source.folder or place.startswith(f"{source.folder}/") for [place, *_] in spec.files.values()
            )

    def test_templates_name_their_source_and_fill_in(self, spec: DatasetSpec) -> None:
        picture = ImageRef("x.png")
        question = Question(
            "1", "all", "Q<image 1>", (picture,), options={"A": "a"}, hint="H", tokens=("T",), image_numbers=(1,)
        )
        for template in templates(spec.id).values():
            assert template.source
            prompt = template.prompt(question)
            assert prompt.images == (picture,)
            assert prompt.text.lower().count("q<image 1>") == 1
            assert not {"{", "}"} & set(prompt.text)
            assert ("A. a" in prompt.text or "(A) a" in prompt.text) == ("{options}" in template.text)
            assert 0 < prompt.max_tokens <= 2048


def test_limits_of_the_paper_s_protocol() -> None:
    limits = {name: templates(name)["llava-1.5"].max_tokens for name in SPECS}
    assert limits == {
        "gqa": 128,
        "mmmu": 128,
        "textvqa": 128,
        "refcoco": 100,
        "mmbench-en": 1024,
        "mmbench-cn": 1024,
    }


def test_the_hash_of_what_was_sent_stands_in_the_notes(tmp_path: Path) -> None:
    write(tmp_path / "gqa/testdev_balanced_questions.json", {"1": gqa_row(), "2": gqa_row(question="热吗？")})
    found = ask("gqa", tmp_path)
    text = "".join(f"{prompt}\0" for prompt in found.texts).encode()
    expected = f"2 prompts (llava-1.5, at most 128 new tokens), SHA-256 {hashlib.sha256(text).hexdigest()}."
    assert found.loaded.notes == (expected,)
    other = ask("gqa", tmp_path, prompt="lmms-eval")
    assert "(lmms-eval, at most 16 new tokens)" in other.loaded.notes[0]
    assert other.loaded.notes[0][-65:] == expected[-65:]  # the same wording


def test_the_request_holds_one_prompt_per_question(tmp_path: Path) -> None:
    write(tmp_path / "gqa/testdev_balanced_questions.json", {"1": gqa_row(), "2": gqa_row()})
    found = ask("gqa", tmp_path)
    [(name, request)] = found.task.requests(found.spec, found.loaded).items()
    assert name == "answers"
    assert isinstance(request, Generate)
    assert len(request.prompts) == 2


def test_what_failed_is_counted_by_reason_and_the_rest_scored(tmp_path: Path) -> None:
    write(tmp_path / "gqa/testdev_balanced_questions.json", {str(n): gqa_row() for n in range(4)})
    scores = ask("gqa", tmp_path).score("no", "", "yes", "", failed={1: "image_missing", 3: "image_unreadable"})
    assert (scores.evaluated, scores.skipped) == (2, {"image_missing": 1, "image_unreadable": 1})
    assert scores.scores[0].value == 0.5
    assert scores.outcomes["id"].tolist() == ["0", "2"]


def test_the_scorer_may_be_chosen(tmp_path: Path) -> None:
    """VLMEvalKit keeps the full stop, which costs such a model everything."""
    write(tmp_path / "gqa/testdev_balanced_questions.json", {"1": gqa_row()})
    assert ask("gqa", tmp_path).values("no.")["all/accuracy"] == 1.0
    assert ask("gqa", tmp_path, scorer="vlmevalkit").values("no.")["all/accuracy"] == 0.0


def test_declaring_the_task_imports_no_heavy_package() -> None:
    code = (
        "import sys; from fgbench.selection import datasets; datasets().get('gqa'); "
        "print(sorted({'torch', 'pandas', 'pyarrow', 'scipy', 'transformers'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
