"""Large multimodal models: questions about pictures, answered in words (GQA, MMMU, TextVQA, RefCOCO, MMBench)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from fgbench.data.files import DatasetFiles
from fgbench.metrics.sample import Sample
from fgbench.requests import Generate, Prompt, Replies, Request
from fgbench.spec import DatasetSpec, MetricKey
from fgbench.task import Loaded, Predictions, Scores

from .lmm_gqa import read_gqa
from .lmm_items import Questions
from .lmm_mmbench import read_mmbench
from .lmm_mmmu import read_mmmu
from .lmm_predictions import predictions_file, read_predictions, server_file
from .lmm_prompts import digest, prompts
from .lmm_refcoco import read_refcoco
from .lmm_scoring import JUDGES, Judge
from .lmm_specs import GQA, MMBENCH_CN, MMBENCH_EN, MMMU, REFCOCO, TEXTVQA
from .lmm_textvqa import read_textvqa

ANSWERS = "answers"
"""Name of the request."""

QuestionReader = Callable[[DatasetFiles, int | None], Questions]


@dataclass(frozen=True)
class Asked:
    """The items of a dataset.

    Attributes:
        questions: as read.
        prompts: what is sent, one per question.
    """

    questions: Questions
    prompts: list[Prompt]


@dataclass
class LargeMultimodal:
    """Ask a generative model, compare its answers with the right ones.

    Source: the protocols of LLaVA-1.5 (Liu et al., CVPR 2024) and of each dataset; docs/protocols.md.

    Attributes:
        id, title, title_zh, position, datasets: see :class:`fgbench.task.Task`.
        readers: how the files of each dataset are read, by dataset id.
        judges: how its answers are judged, likewise.
    """

    id: str
    title: str
    position: int
    datasets: tuple[DatasetSpec, ...]
    readers: Mapping[str, QuestionReader]
    judges: Mapping[str, Judge]
    title_zh: str = ""

    def load(self, spec: DatasetSpec, files: DatasetFiles, limit: int | None) -> Loaded:
        """Questions and prompts; what is sent is noted with its hash."""
        questions = self.readers[spec.id](files, limit)
        wording = spec.protocol.choice("prompt")
        asked = Asked(questions, prompts(spec.id, wording, questions.rows, files))
        tokens = asked.prompts[0].max_tokens if asked.prompts else 0
        sent = f"{len(asked.prompts):,} prompts ({wording}, at most {tokens:,} new tokens)"
        sent = f"{sent}, SHA-256 {digest(asked.prompts)}."
        return Loaded(asked, questions.size, questions.rejected, (*questions.notes, sent))

    def requests(self, spec: DatasetSpec, loaded: Loaded) -> Mapping[str, Request]:
        """One answer per question; MMBench asks each in every rotation of its options."""
        asked: Asked = loaded.items
        return {ANSWERS: Generate(asked.prompts)}

    def score(self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Replies]) -> Scores:
        """Judge the answers with the chosen rule."""
        asked: Asked = loaded.items
        return self.judges[spec.id].score(asked.questions, features[ANSWERS], spec.protocol.choice("scorer"))

    def samples(self, spec: DatasetSpec, outcomes: Mapping[str, npt.NDArray[Any]]) -> Mapping[MetricKey, Sample]:
        """See :class:`fgbench.task.HasSamples`; questions on one picture, or rows of one question, stay together."""
        return self.judges[spec.id].samples(outcomes)

    def predictions(self, spec: DatasetSpec, loaded: Loaded, place: Path, options: Mapping[str, str]) -> Predictions:
        """Answers from a file; the options are those of :func:`fgbench.tasks.lmm_predictions.read_predictions`."""
        asked: Asked = loaded.items
        rows, withheld = asked.questions.rows, asked.questions.withheld
        replies = read_predictions(place, rows, withheld, options)
        needed = [number for number, row in enumerate(rows) if row.subset not in withheld]
        missing = sum(number in replies.failed for number in needed)
        note = f"{missing:,} of {len(needed):,} prompts have no answer in the file and count as wrong."
        return Predictions({ANSWERS: replies}, (note,) if missing else ())

    def submission(
        self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Replies]
    ) -> Iterator[tuple[str, bytes]]:
        """Files to keep or to send, with a name each: all answers as :meth:`predictions` reads them, and for every
        subset whose labels are withheld a table for its server.
        """
        asked: Asked = loaded.items
        replies = features[ANSWERS]
        yield f"{spec.id}.predictions.jsonl", predictions_file(asked.questions.rows, replies)
        for subset in sorted(asked.questions.withheld):
            yield f"{spec.id}.{subset}.tsv", server_file(asked.questions.rows, replies, subset)


TASK = LargeMultimodal(
    id="lmm",
    title="Large multimodal models",
    title_zh="多模态大模型",
    position=80,
    datasets=(GQA, MMMU, TEXTVQA, REFCOCO, MMBENCH_EN, MMBENCH_CN),
    readers={
        "gqa": read_gqa,
        "mmmu": read_mmmu,
        "textvqa": read_textvqa,
        "refcoco": read_refcoco,
        "mmbench-en": read_mmbench,
        "mmbench-cn": read_mmbench,
    },
    judges=JUDGES,
)
