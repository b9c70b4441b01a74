"""The page as bytes: one HTML file that loads nothing, runs only its own script, and shows foreign text as text.

Every value is escaped by Jinja (autoescape is on for all templates) after :func:`fgbench.report.page.text.visible` has
made it printable. The Content-Security-Policy allows the page's own style sheet and script, by their digests, and
nothing else: no request of any kind, no inline style or handler. Equal records give equal bytes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from fgbench.report.page import geometry, levels
from fgbench.report.page.footnotes import Footnotes, sentence
from fgbench.report.page.gather import LeftOut
from fgbench.report.page.numbers import Value
from fgbench.report.page.provenance import model_facts, record_facts
from fgbench.report.page.reported import Specs
from fgbench.report.page.text import shorten, visible
from fgbench.report.page.view import LABEL, Result, ScopePart, Titles
from fgbench.report.page.words import Words, metric, words
from fgbench.report.paper import EDITION
from fgbench.results.folder import COLUMNS, neutral, rows
from fgbench.spec import MetricKey

BAR_SCALE = 0.84
"""Share of a bar chart's width that 100 % takes; the rest is for the number."""


class ExplorerRow(NamedTuple):
    """A line of the table of all numbers."""

    label: str
    dataset: str
    task: str
    title: Words
    language: str
    subset: str
    metric: str
    value: Value
    protocol: str
    scope: str
    main: bool


class Filter(NamedTuple):
    """A choice for a filter: what cells hold, and how it is called."""

    key: str
    words: Words


def render(
    results: Sequence[Result],
    scopes: Sequence[ScopePart],
    left_out: Sequence[LeftOut],
    *,
    specs: Specs,
    titles: Titles,
    version: str,
) -> bytes:
    """Make the page.

    Args:
        results: all records, in order.
        scopes: from :func:`fgbench.report.page.view.build`.
        left_out: files that are not shown.
        specs: dataset by id; None for one that this installation does not know.
        titles: title of a task by id.
        version: of fgbench.
    """
    environment = _environment()
    style = _compact(_asset("page.css").replace("@@LEVELS@@", levels.style()))
    script = _compact(_asset("page.js"))
    models = model_facts(results)
    explorer = _explorer(results, scopes, titles)
    html = environment.get_template("page.html.j2").render(
        policy=f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; base-uri 'none'; "
        "form-action 'none'",
        style=Markup(style),  # our own files
        script=Markup(script),
        results=results,
        scopes=scopes,
        models=models,
        left_out=left_out,
        rows=explorer,
        filters=_filters(explorer),
        dataset_count=len({result.found.record["dataset"] for result in results}),
        data={"columns": COLUMNS, "rows": _data(results)},
        version=version,
        title_of=lambda name: spec.title if (spec := specs(name)) else name,
        known=lambda name: specs(name) is not None,
        record_facts=record_facts,
    )
    return (_compact(html) + "\n").encode()


def signed(points: float) -> str:
    """A difference with its sign; what rounds to zero has none."""
    text = f"{points:+.1f}".replace("-", "−")
    return text if text[1:] != "0.0" else "0.0"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["has"] = lambda mapping, key: key in mapping
    environment.globals.update(
        words=words, metric=metric, sentence=sentence, geometry=geometry, level=levels.level, scale=BAR_SCALE,
        signed=signed, notes_of=Footnotes, edition=EDITION,
    )  # fmt: skip
    return environment


def _finalize(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _asset(name: str) -> str:
    return files("fgbench.report.page").joinpath("templates").joinpath(name).read_text(encoding="utf-8")


def _compact(text: str) -> str:
    """Without indentation and empty lines, which are half of what a template engine writes."""
    return re.sub(r"\n\s*", "\n", text).strip()


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _explorer(results: Iterable[Result], scopes: Iterable[ScopePart], titles: Titles) -> list[ExplorerRow]:
    main = {(part.scope, column) for part in scopes for column in part.columns}
    found = []
    for result in results:
        record, standing = result.found.record, result.standing
        for score in record["scores"]:
            value = Value.of(score, result.number)
            key = MetricKey(score["subset"], score["metric"])
            found.append(
                ExplorerRow(
                    shorten(record["model"]["name"], LABEL), record["dataset"], record["task"], titles(record["task"]),
                    record["language"], key.subset, key.metric, value,
                    standing.variant or record["protocol"]["id"], standing.scope.value,
                    (standing.scope, (record["dataset"], key)) in main,
                )
            )  # fmt: skip
    return found


def _filters(explorer: Sequence[ExplorerRow]) -> list[tuple[int, str, list[Filter]]]:
    """Column of the table, its heading, and the values there are; only where there is something to choose."""
    choices: list[tuple[int, str, Callable[[ExplorerRow], Filter]]] = [
        (0, "model", lambda row: Filter(row.label, Words(row.label, row.label))),
        (2, "task", lambda row: Filter(row.task, row.title)),
        (3, "lang_column", lambda row: Filter(row.language, Words(row.language, row.language))),
        (10, "data_column", lambda row: Filter(row.scope, words(f"scope_{row.scope}"))),
    ]
    found = [(index, key, list(dict.fromkeys(map(of, explorer)))) for index, key, of in choices]
    return [each for each in found if len(each[2]) > 1]


def _data(results: Iterable[Result]) -> list[list[Any]]:
    """The rows of ``results.csv`` with neutral cells."""
    return [[neutral(row[name]) for name in COLUMNS] for result in results for row in rows(result.found.record)]
