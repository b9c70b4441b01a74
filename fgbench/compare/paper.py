"""A model's scores beside the numbers that the paper prints."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from fgbench import selection
from fgbench.compare.comparison import in_table_order
from fgbench.compare.protocol import Difference, as_published, protocol_difference
from fgbench.compare.sides import Entry, Side
from fgbench.report.paper import EDITION, REFERENCE, published
from fgbench.spec import MetricKey

ROUNDING = 0.05
"""Half a unit of the last printed digit, in percent. Some printed values were rounded twice: then it is 0.1."""


@dataclass(frozen=True)
class PaperRow:
    """One score beside the paper's.

    Attributes:
        dataset, subset, metric: which score.
        measured: in percent.
        paper: as printed, in percent.
        difference: measured - paper, in percentage points.
        low, high: 95 % interval of the measured score, in percent; None if the record has none.
        one_item: what one item is worth, in percentage points; None if the score is no mean over items.
        differing: fields of the protocol in which they differ, as far as the paper's is known.
    """

    dataset: str
    subset: str
    metric: str
    measured: float
    paper: float
    difference: float
    low: float | None
    high: float | None
    one_item: float | None
    differing: tuple[Difference, ...]

    @property
    def comparable(self) -> bool:
        """Do they mean the same, as far as is known?"""
        return not any(each.decisive for each in self.differing)

    @property
    def verdict(self) -> str:
        """How far apart they are: ``equal`` as printed, ``rounded twice`` (equal if the paper's was), ``one item``,
        ``inside`` the interval, ``apart``, or ``not comparable``.
        """
        if not self.comparable:
            return "not comparable"
        gap = abs(self.difference)
        if gap <= ROUNDING + 1e-9:
            return "equal"
        if gap <= 2 * ROUNDING + 1e-9:
            return "rounded twice"
        if self.one_item is not None and gap <= ROUNDING + self.one_item:
            return "one item"
        if self.low is not None and self.high is not None and self.low <= self.paper <= self.high:
            return "inside"
        return "apart"


@dataclass(frozen=True)
class WithPaper:
    """Result of :func:`compare_with_paper`.

    Attributes:
        model: its name.
        row: method and backbone of the paper's row.
        own: is that the model's own row?
        edition: of the paper.
        rows: in table order.
        without: datasets of which the paper prints nothing for this row.
        notes: for the reader.
    """

    model: str
    row: tuple[str, str]
    own: bool
    edition: str
    rows: tuple[PaperRow, ...]
    without: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0 every row is comparable, 3 some are not."""
        return 0 if self.rows and self.own and all(row.comparable for row in self.rows) else 3

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            **{key: value for key, value in asdict(self).items() if key != "rows"},
            "rows": [
                {
                    **{key: value for key, value in asdict(row).items() if key != "differing"},
                    "differing": [each._asdict() for each in row.differing],
                    "comparable": row.comparable,
                    "verdict": row.verdict,
                }
                for row in self.rows
            ],
        }


def compare_with_paper(side: Side) -> WithPaper:
    """Put the paper's numbers beside a model's; beside a model that the paper lacks, those of its reference row."""
    known = {name: entry for name, entry in side.entries.items() if entry.record["dataset"] in selection.datasets()}
    own = next(
        (tuple(entry.record["model"]["paper"]) for entry in known.values() if entry.record["model"]["paper"]), None
    )
    model = (own[0], own[1]) if own else REFERENCE
    rows: list[PaperRow] = []
    without = []
    for name in in_table_order({name: entry.record for name, entry in known.items()}):
        found = list(_rows(name, known[name], model))
        rows += found
        if not found:
            without.append(name)
    lacking = [name for name in side.entries if name not in known]
    notes = [f"Unknown datasets: {', '.join(lacking)}."] if lacking else []
    return WithPaper(side.name, model, own is not None, EDITION, tuple(rows), tuple(without), tuple(notes))


def _rows(name: str, entry: Entry, model: tuple[str, str]) -> list[PaperRow]:
    record = entry.record
    spec = selection.datasets().get(record["dataset"])[1]
    found = []
    for score in record["scores"]:
        key = MetricKey(score["subset"], score["metric"])
        paper = published(spec, key, model)
        if paper is None:
            continue
        measured = 100 * score["value"]
        interval = score.get("interval") or {}
        sample = entry.samples().get(key)
        of_items = sample is not None and sample.values is not None and sample.unit != "category"
        found.append(
            PaperRow(
                name,
                key.subset,
                key.metric,
                measured,
                paper,
                measured - paper,
                100 * interval["low"] if interval else None,
                100 * interval["high"] if interval else None,
                100 / score["n"] if of_items else None,
                tuple(_differing(entry, key, model)),
            )
        )
    return found


def _differing(entry: Entry, key: MetricKey, model: tuple[str, str]) -> list[Difference]:
    record = entry.record
    spec = selection.datasets().get(record["dataset"])[1]
    paper = as_published(spec, key, model, record["counts"]["published"])
    found = [
        each._replace(decisive=True) if each.field == "counts.expected" else each
        for each in protocol_difference(record, paper)
    ]
    if record["protocol"].get("region_mode") == "crop":
        found.append(Difference("protocol.region_mode", "crop", "roi, as far as is known", False))
    if record["counts"]["published"] is None:
        found.append(Difference("counts.expected", record["counts"]["expected"], "not published", False))
    if skipped := sum(record["counts"]["skipped"].values()):
        found.append(Difference("counts.skipped", skipped, 0, False))
    return found
