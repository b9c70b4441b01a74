"""From answers to scores: which rule of :mod:`fgbench.tasks.lmm_scorers` judges which dataset, and what is averaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fgbench.metrics import mmmu
from fgbench.metrics.box_answers import Target
from fgbench.metrics.circular import ROTATION, Circular, circular
from fgbench.metrics.option_matching import Options
from fgbench.metrics.sample import Sample
from fgbench.requests import Replies
from fgbench.spec import MetricKey
from fgbench.task import Score, Scores

from .lmm_items import Question, Questions
from .lmm_mmbench import index_of
from .lmm_scorers import SCORERS

NOT_PREDICTED = "not_predicted"
"""Why a question has no answer where a file of predictions leaves it out on purpose: it counts as wrong."""

WITHHELD = "labels_withheld"

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Judge:
    """How the answers to one dataset are judged.

    Attributes:
        scorers: key of :data:`fgbench.tasks.lmm_scorers.SCORERS`.
        reference: what an answer is compared with.
        metric: name of the main metric.
        classes: kind of group that gets scores of its own.
        rotated: a question is several rows, with its options rotated, and right only if all of them are.
        reports_unparsed: answers that the rule cannot read are told from wrong ones.
    """

    scorers: str
    reference: Callable[[Question], Any]
    metric: str
    classes: str = ""
    rotated: bool = False
    reports_unparsed: bool = False

    def item(self, row: Question) -> str:
        """Name of the item that a row belongs to."""
        return f"{row.subset}/{index_of(row.id) % ROTATION}" if self.rotated else row.id

    def score(self, questions: Questions, replies: Replies, rule: str) -> Scores:
        """Judge the answers.

        Args:
            questions: as asked.
            replies: one per row; rows without one leave their whole item out, except those that a file of predictions
                lacks on purpose, which count as wrong.
            rule: name among the scorers.
        """
        reasons = {
            self.item(row): replies.failed[number]
            for number, row in reversed(list(enumerate(questions.rows)))
            if row.subset not in questions.withheld and replies.failed.get(number, NOT_PREDICTED) != NOT_PREDICTED
        }
        kept = [
            number
            for number, row in enumerate(questions.rows)
            if row.subset not in questions.withheld and self.item(row) not in reasons
        ]
        rows = [questions.rows[number] for number in kept]
        # Outer white space is no part of an answer, whoever wrote it down.
        texts = [replies.texts[number].strip() for number in kept]
        references = list(map(self.reference, rows))
        found = SCORERS[self.scorers][rule](texts, references)
        skipped = Counter(reasons.values()) + questions.rejected
        if questions.size and questions.withheld.issuperset(questions.size):
            skipped[WITHHELD] = sum(questions.size.values())
        outcomes = {
            "id": _strings(row.id for row in rows),
            "image": _pictures(rows),
            "correct": found.score,
            "parsed": ~found.unparsed,
            **({"expected": mmmu.expectation(found, references)} if (self.scorers, rule) == ("mmmu", "strict") else {}),
            **{f"in/{subset}": mask for subset, mask in _masks(_strings(row.subset for row in rows)).items()},
            **{f"group/{kind}": _strings(row.groups.get(kind, "") for row in rows) for kind in _kinds(rows)},
        }
        return Scores(
            [Score(*key, sample.value(), len(sample.ids)) for key, sample in self.samples(outcomes).items()],
            evaluated=len({self.item(row) for row in rows}),
            skipped=skipped,
            outcomes=outcomes,
        )

    def samples(self, outcomes: Mapping[str, npt.NDArray[Any]]) -> dict[MetricKey, Sample]:
        """The items behind each score; see :class:`fgbench.task.HasSamples`."""
        return self._rotated(outcomes) if self.rotated else self._plain(outcomes)

    def _plain(self, outcomes: Mapping[str, npt.NDArray[Any]]) -> dict[MetricKey, Sample]:
        """Means over questions, per subset, then per class; questions on one picture stay together."""
        ids, image = outcomes["id"], outcomes["image"]
        metrics = {self.metric: outcomes["correct"]}
        if self.reports_unparsed:
            metrics["unparsed"] = ~outcomes["parsed"]
        if "expected" in outcomes:
            metrics["expected_if_guessed"] = outcomes["expected"]

        def sample(values: npt.NDArray[Any], mask: Flags) -> Sample:
            return Sample.mean(ids[mask], values[mask], "image", image[mask])

        found = {
            MetricKey(subset, metric): sample(values, mask)
            for subset, mask in _subsets(outcomes).items()
            for metric, values in metrics.items()
        }
        classes = _masks(outcomes.get(f"group/{self.classes}", _strings(())))
        return found | {
            MetricKey(name, self.metric): sample(outcomes["correct"], mask) for name, mask in classes.items() if name
        }

    def _rotated(self, outcomes: Mapping[str, npt.NDArray[Any]]) -> dict[MetricKey, Sample]:
        """CircularEval per subset and class; ``vanilla`` looks at the unrotated row only, ``row_accuracy`` at all."""
        ids, correct, parsed = outcomes["id"], outcomes["correct"] == 1, outcomes["parsed"]
        index = np.array([index_of(name) for name in ids.tolist()], dtype=np.int64)
        question = index % ROTATION

        def circular_in(rows: Flags) -> Circular:
            # How many options a row has matters only for whether its question is complete, which readers checked.
            return circular(correct[rows], index[rows], index[rows])

        found: dict[MetricKey, Sample] = {}
        for subset, mask in _subsets(outcomes).items():
            asked = circular_in(mask)
            found |= {
                MetricKey(subset, self.metric): Sample.mean(asked.question, asked.correct, "question"),
                MetricKey(subset, "vanilla"): Sample.mean(asked.question, asked.vanilla, "question"),
                MetricKey(subset, "row_accuracy"): Sample.mean(ids[mask], correct[mask], "question", question[mask]),
                MetricKey(subset, "unparsed"): Sample.mean(ids[mask], ~parsed[mask], "question", question[mask]),
            }
            for name, members in _masks(outcomes.get(f"group/{self.classes}", _strings(()))).items():
                if name and (mask & members).any():
                    part = circular_in(mask & members)
                    found[MetricKey(f"{subset}/{name}", self.metric)] = Sample.mean(
                        part.question, part.correct, "question"
                    )
        return found


def _target(question: Question) -> Target:
    assert question.box is not None
    assert question.size is not None
    return Target(question.box, *question.size)


_MMBENCH = Judge(
    "mmbench",
    lambda question: Options(question.options, question.answers[0]),
    "accuracy",
    classes="l2-category",
    rotated=True,
    reports_unparsed=True,
)

JUDGES: Mapping[str, Judge] = {
    "gqa": Judge("gqa", lambda question: question.answers[0], "accuracy", classes="kind"),
    "mmmu": Judge(
        "mmmu",
        lambda question: mmmu.Question(question.id, tuple(question.options.values()), question.answers),
        "accuracy",
        classes="domain",
        reports_unparsed=True,
    ),
    "textvqa": Judge("textvqa", lambda question: question.answers, "vqa_accuracy"),
    "refcoco": Judge("refcoco", _target, "acc_iou50", reports_unparsed=True),
    "mmbench-en": _MMBENCH,
    "mmbench-cn": _MMBENCH,
}
"""By dataset id."""


def _masks(names: npt.NDArray[np.str_]) -> dict[str, Flags]:
    """Where each name stands: bool [n], in order of first appearance."""
    return {str(name): names == name for name in dict.fromkeys(names.tolist())}


def _subsets(outcomes: Mapping[str, npt.NDArray[Any]]) -> dict[str, Flags]:
    """Rows of each subset: bool [n]."""
    return {name.removeprefix("in/"): mask for name, mask in outcomes.items() if name.startswith("in/")}


def _pictures(rows: Sequence[Question]) -> npt.NDArray[np.int64]:
    """A number for the picture, or set of pictures, of each row: int64 [n], by first appearance."""
    known: dict[object, int] = {}
    return np.array([known.setdefault(row.picture or row.images, len(known)) for row in rows], dtype=np.int64)


def _kinds(rows: Sequence[Question]) -> list[str]:
    return list(dict.fromkeys(kind for row in rows for kind in row.groups))


def _strings(values: Iterable[str]) -> npt.NDArray[np.str_]:
    return np.array(list(values), dtype=np.str_)
