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
from fgbench.metrics.circular import ROTATION, circular
from fgbench.metrics.option_matching import Options
from fgbench.metrics.outcomes import Outcomes
from fgbench.requests import Replies
from fgbench.spec import Score, Scores

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
        return f"{row.subset}/{index_of(row) % ROTATION}" if self.rotated else row.id

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
        found = SCORERS[self.scorers][rule](texts, list(map(self.reference, rows)))
        skipped = Counter(reasons.values()) + questions.rejected
        if questions.size and questions.withheld.issuperset(questions.size):
            skipped[WITHHELD] = sum(questions.size.values())
        return Scores(
            self._rotated(rows, found) if self.rotated else self._plain(rows, found, rule),
            evaluated=len({self.item(row) for row in rows}),
            skipped=skipped,
            outcomes={
                "id": _strings(row.id for row in rows),
                "correct": found.score,
                "parsed": ~found.unparsed,
                **{f"in/{subset}": mask for subset, mask in _masks(row.subset for row in rows).items()},
                **{f"group/{kind}": _strings(row.groups.get(kind, "") for row in rows) for kind in _kinds(rows)},
            },
        )

    def _plain(self, rows: Sequence[Question], found: Outcomes, rule: str) -> list[Score]:
        """Means over questions: per subset, then per class."""
        scores = []
        for subset, mask in _masks(row.subset for row in rows).items():
            scores.append(_mean(subset, self.metric, found.score[mask]))
            if self.reports_unparsed:
                scores.append(_mean(subset, "unparsed", found.unparsed[mask]))
            if (self.scorers, rule) == ("mmmu", "strict"):
                expected = mmmu.expectation(found, list(map(self.reference, rows)))
                scores.append(_mean(subset, "expected_if_guessed", expected[mask]))
        classes = _masks(row.groups.get(self.classes, "") for row in rows)
        return scores + [_mean(name, self.metric, found.score[mask]) for name, mask in classes.items() if name]

    def _rotated(self, rows: Sequence[Question], found: Outcomes) -> list[Score]:
        """CircularEval per subset and class; ``vanilla`` looks at the unrotated row only, ``row_accuracy`` at all."""
        scores = []
        correct = found.score == 1
        index = np.array([index_of(row) for row in rows], dtype=np.int64)
        options = np.array([len(row.options) for row in rows], dtype=np.int64)
        for subset, mask in _masks(row.subset for row in rows).items():
            whole = circular(correct[mask], index[mask], options[mask])
            scores += [
                _mean(subset, self.metric, whole.correct),
                _mean(subset, "vanilla", whole.vanilla),
                _mean(subset, "row_accuracy", correct[mask]),
                _mean(subset, "unparsed", found.unparsed[mask]),
            ]
            for name, members in _masks(row.groups.get(self.classes, "") for row in rows).items():
                inside = mask & members
                if name and inside.any():
                    part = circular(correct[inside], index[inside], options[inside])
                    scores.append(_mean(f"{subset}/{name}", self.metric, part.correct))
        return scores


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


def _mean(subset: str, metric: str, values: npt.NDArray[Any]) -> Score:
    return Score(subset, metric, float(values.mean()), len(values))


def _masks(names: Iterable[str]) -> dict[str, Flags]:
    """Where each name stands: bool [n], in order of first appearance."""
    listed = np.array(list(names), dtype=np.str_)
    return {str(name): listed == name for name in dict.fromkeys(listed.tolist())}


def _kinds(rows: Sequence[Question]) -> list[str]:
    return list(dict.fromkeys(kind for row in rows for kind in row.groups))


def _strings(values: Iterable[str]) -> npt.NDArray[np.str_]:
    return np.array(list(values), dtype=np.str_)
