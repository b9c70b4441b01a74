"""English beside Chinese on the same pictures, for the rows of a scope."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fgbench.compare.bilingual import gaps
from fgbench.compare.sides import Entry, Side
from fgbench.report.page.gather import Found
from fgbench.results.folder import stem


class GapRow(NamedTuple):
    """One score of a model in both languages, in percent.

    Attributes:
        label: of the model's row.
        english, chinese: ids of the datasets.
        metric: name.
        scores: English and Chinese.
        difference: English minus Chinese, in points.
        low, high: its 95 % interval, or None.
        remark: why the two are not alike, or why there is no interval.
    """

    label: str
    english: str
    chinese: str
    metric: str
    scores: tuple[float, float]
    difference: float
    low: float | None
    high: float | None
    remark: str


def gap_rows(label: str, found: Sequence[Found]) -> list[GapRow]:
    """The gaps of a model.

    Args:
        label: of its row.
        found: its records under the datasets' own protocols, all of one scope.
    """
    entries = {stem(each.record["dataset"], each.record["arguments"]["effective"].get("limit")): each for each in found}
    side = Side(label, {name: Entry(each.path, each.record) for name, each in entries.items()})
    rows = []
    for gap in gaps(side):
        remark = gap.remark
        for each in found:  # messages name files; nobody's folders belong on a page
            remark = remark.replace(f"{each.path.parent.parent}/", "")
        english, chinese = (entries[name].record["dataset"] for name in (gap.english, gap.chinese))
        low, high = (None if end is None else 100 * end for end in (gap.low, gap.high))
        scores = 100 * gap.scores[0], 100 * gap.scores[1]
        rows.append(GapRow(label, english, chinese, gap.metric, scores, 100 * gap.difference, low, high, remark))
    return rows
