"""Main numbers for print, in one of several forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fgbench import selection
from fgbench.data.atomic import write_atomic
from fgbench.errors import UsageError
from fgbench.leaderboard.export import html_tables, latex, markdown
from fgbench.leaderboard.hf_card import model_card
from fgbench.leaderboard.inputs import read_inputs
from fgbench.leaderboard.panels import Panel, panels

_TABLES: Mapping[str, Callable[[Sequence[Panel]], str]] = {"md": markdown, "latex": latex, "html": html_tables}
_CARD = "hf-card"
FORMATS = (*_TABLES, _CARD)


def publish(
    inputs: Sequence[Path],
    form: str,
    *,
    task: str = "all",
    edition: str | None,
    model: str | None = None,
    output: Path | None = None,
) -> str:
    """Main numbers of results, beside those of the paper.

    Args:
        inputs: records, results folders, leaderboard files.
        form: one of :data:`FORMATS`.
        task: ids of tasks, separated by commas, or ``all``.
        edition: of the paper, or None.
        model: for a model card: whose.
        output: file to write, if any.

    Raises:
        DataMissingError, DataError: see :func:`fgbench.leaderboard.inputs.read_inputs`.
        StoreError: the file cannot be written.
    """
    if model is not None and form != _CARD:
        raise UsageError("--model is for model cards: add --format hf-card.")
    found = read_inputs(inputs)
    tasks = list(dict.fromkeys(owner.id for owner, _ in selection.select(task, None)))
    rows = [row for row in found.rows if row["task"] in tasks]
    text = model_card(rows, model) if form == _CARD else _TABLES[form](panels(rows, tasks, edition))
    if output is not None:
        write_atomic(output, text.encode())
    return text
