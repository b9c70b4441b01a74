"""Figures of the same numbers as the page: radar, bars with intervals, heat map; SVG and PNG, without a display.

Equal records give equal SVG files: no date, no random identifiers, text as outlines. Chinese figures are made if a font
with Chinese characters is installed.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fgbench.data.atomic import write_atomic
from fgbench.report.page import geometry, levels
from fgbench.report.page.fonts import Fonts, find
from fgbench.report.page.numbers import Column
from fgbench.report.page.standing import Group
from fgbench.report.page.text import shorten
from fgbench.report.page.view import Row, ScopePart, TaskPart
from fgbench.report.page.words import Words, metric, words

COLOURS = ("#0b62b4", "#c2510a", "#0a7d62", "#93409a", "#7d6608", "#b3264a", "#04758f", "#4b5563")
"""Those of the page on paper."""

_MARKERS = "os^Dv+p_"
_NAME = 40
_INK, _QUIET, _LINE = "#1b2129", "#5a6472", "#dfe3e8"
_NO_CHINESE = (
    "No font with Chinese characters is installed: figures are in English only, and what cannot be drawn is written as "
    "<U+…>. On Debian: apt-get install fonts-noto-cjk."
)
_SHOWN = (Group.MEASURED, Group.REPORTED)


class _Style(NamedTuple):
    """Language and fonts of a set of figures."""

    language: str
    fonts: Fonts

    def say(self, text: Words) -> str:
        return self.fonts.drawable(text.zh if self.language == "zh" else text.en)

    def name(self, row: Row) -> str:
        reported = f" ({self.say(words('badge_reported'))})" if row.group is Group.REPORTED else ""
        return shorten(self.fonts.drawable(row.label), _NAME) + reported


def draw(scopes: Sequence[ScopePart], folder: Path) -> tuple[list[Path], list[str]]:
    """Write the figures of every scope.

    Args:
        scopes: from :func:`fgbench.report.page.view.build`.
        folder: where to.

    Returns:
        The files ``<scope>-<figure>.<language>.<suffix>``, and what to know about them.

    Raises:
        StoreError: a file cannot be written.
    """
    fonts = find()
    styles = [_Style(language, fonts) for language in (("en", "zh") if fonts.chinese else ("en",))]
    notes = [] if fonts.chinese else [_NO_CHINESE]
    written = []
    settings: Any = {
        "svg.hashsalt": "fgbench", "svg.fonttype": "path", "text.parse_math": False, "font.family": fonts.families,
        "font.size": 9, "text.color": _INK, "axes.labelcolor": _INK, "xtick.color": _QUIET, "ytick.color": _INK,
        "axes.edgecolor": _LINE, "axes.unicode_minus": False,
    }  # fmt: skip
    with mpl.rc_context(settings):
        for part in scopes:
            for style in styles:
                for kind, figure in _figures(part, style):
                    name = f"{part.scope.value}-{kind}.{style.language}"
                    written += [_save(figure, folder / f"{name}.{suffix}") for suffix in ("svg", "png")]
    return written, notes


def _figures(part: ScopePart, style: _Style) -> Iterator[tuple[str, Figure]]:
    if part.radar():
        yield "radar", _radar(part, style)
    if any(map(_rows, part.tasks)):
        yield "bars", _bars(part, style)
    yield "heatmap", _heat_map(part, style)


def _save(figure: Figure, path: Path) -> Path:
    suffix = path.suffix[1:]
    metadata: dict[str, Any] = {"Date": None} if suffix == "svg" else {}
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, dpi=150, bbox_inches="tight", metadata=metadata)
    write_atomic(path, buffer.getvalue())
    return path


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _look(row: Row) -> dict[str, Any]:
    colour = COLOURS[row.series % len(COLOURS)]
    reported = row.group is Group.REPORTED
    return {"color": colour, "linestyle": "--" if reported else "-", "marker": _MARKERS[row.series % len(_MARKERS)],
            "markerfacecolor": "white" if reported else colour}  # fmt: skip


def _radar(part: ScopePart, style: _Style) -> Figure:
    figure = _figure(6.4, 5.2)
    axes: Any = figure.add_subplot(projection="polar")
    axes.set_theta_offset(math.pi / 2)
    axes.set_theta_direction(-1)
    angles = [2 * math.pi * index / len(part.tasks) for index in range(len(part.tasks))]
    axes.set_ylim(0, 100)
    axes.set_yticks(geometry.RINGS[:-1], [str(ring) for ring in geometry.RINGS[:-1]], color=_QUIET, fontsize=7)
    axes.set_xticks(angles, ["\n".join(geometry.lines(style.say(task.title))) for task in part.tasks])
    axes.tick_params(axis="x", pad=12)
    axes.grid(color=_LINE)
    axes.spines["polar"].set_color(_LINE)
    for row, means in part.radar():
        values = [math.nan if mean is None else mean for mean in means]
        axes.plot(
            [*angles, angles[0]], [*values, values[0]], label=style.name(row), linewidth=1.6, markersize=4, **_look(row)
        )
    _legend(figure, axes.get_legend_handles_labels()[0])
    return figure


def _bars(part: ScopePart, style: _Style) -> Figure:
    tasks = [task for task in part.tasks if _rows(task)]
    heights = [len(_drawn(task)) * (len(_rows(task)) + 1) + 5 for task in tasks]
    # Two columns of about equal height, tasks in their order.
    half = next(n for n in range(1, len(tasks) + 1) if 2 * sum(heights[:n]) >= sum(heights))
    columns = [found for found in (range(half), range(half, len(tasks))) if found]
    tallest = max(sum(heights[n] for n in column) for column in columns)
    figure = _figure(5.6 * len(columns), 0.11 * tallest + 0.4 * max(map(len, columns)) + 0.8)
    for below, own in zip(figure.subfigures(1, len(columns), squeeze=False)[0], columns, strict=True):
        panels = below.subplots(len(own), 1, squeeze=False, gridspec_kw={"height_ratios": [heights[n] for n in own]})
        for n, (panel,) in zip(own, panels, strict=True):
            _panel(panel, tasks[n], style)
    drawn = {id(row): row for task in tasks for row in _rows(task)}
    handles = [
        Patch(facecolor=_face(row), edgecolor=_look(row)["color"], label=style.name(row)) for row in drawn.values()
    ]
    _legend(figure, handles)
    return figure


def _rows(task: TaskPart) -> list[Row]:
    return [row for row in task.rows if row.group in _SHOWN]


def _drawn(task: TaskPart) -> list[Column]:
    return [column for column in task.columns if any(column in row.values for row in _rows(task))]


def _face(row: Row) -> str:
    return "none" if row.group is Group.REPORTED else str(_look(row)["color"])


def _panel(panel: Axes, task: TaskPart, style: _Style) -> None:
    rows, columns = _rows(task), _drawn(task)
    step = len(rows) + 1
    for place, row in enumerate(rows):
        found = [(n * step + place, row.values[column]) for n, column in enumerate(columns) if column in row.values]
        panel.barh(
            [y for y, _ in found], [v.percent for _, v in found], 0.85, color=_face(row), edgecolor=_look(row)["color"]
        )
        for y, v in found:
            if v.low is not None and v.high is not None:
                ends = [[max(0, v.percent - v.low)], [max(0, v.high - v.percent)]]
                panel.errorbar(v.percent, y, xerr=ends, color=_INK, capsize=1.5, linewidth=0.8, capthick=0.8)
            end = v.percent if v.high is None else max(v.high, v.percent)
            panel.text(end + 1.2, y, f"{v.percent:.1f}", va="center", fontsize=6, color=_QUIET)
    places = [n * step + (len(rows) - 1) / 2 for n in range(len(columns))]
    panel.set_yticks(places, [_title(task, column, style) for column in columns], fontsize=7)
    panel.set_ylim(len(columns) * step - 1, -1)
    panel.set_xlim(0, 109)
    panel.set_xticks((0, 25, 50, 75, 100))
    panel.tick_params(axis="both", length=0, labelsize=7)
    panel.grid(axis="x", color=_LINE)
    panel.set_axisbelow(True)
    for side in panel.spines.values():
        side.set_visible(False)
    panel.set_title(style.say(task.title), loc="left", fontsize=9, fontweight="bold")


def _title(task: TaskPart, column: Column, style: _Style) -> str:
    subset = [column.key.subset] if column.key.subset not in ("*", "all") else []
    return style.fonts.drawable(" ".join([task.titles[column.dataset], style.say(metric(column.key.metric)), *subset]))


def _heat_map(part: ScopePart, style: _Style) -> Figure:
    names = [(task, dataset) for task in part.tasks for dataset in task.titles]
    figure = _figure(0.36 * len(names) + 2.2, 0.3 * len(part.rows) + 2.2)
    axes = figure.add_subplot()
    means = [[task.dataset_mean(row, dataset) for task, dataset in names] for row in part.rows]
    values = [[math.nan if mean is None else mean for mean in row] for row in means]
    colours = LinearSegmentedColormap.from_list("levels", [levels.ground(n, levels.LIGHT) for n in range(levels.STEPS)])
    axes.imshow(values, cmap=colours, vmin=0, vmax=100, aspect="auto")
    for y, row in enumerate(means):
        for x, mean in enumerate(row):
            ink = _INK if mean is None else levels.ink(levels.ground(levels.level(mean), levels.LIGHT))
            axes.text(x, y, "–" if mean is None else f"{mean:.1f}", ha="center", va="center", fontsize=6.5, color=ink)
    axes.set_xticks(
        range(len(names)), [style.fonts.drawable(task.titles[dataset]) for task, dataset in names], rotation=90
    )
    axes.set_yticks(range(len(part.rows)), [_row_title(row, style) for row in part.rows])
    axes.set_xticks([x - 0.5 for x in range(1, len(names))], minor=True)
    axes.set_yticks([y - 0.5 for y in range(1, len(part.rows))], minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="both", length=0, labelsize=7.5)
    for side in axes.spines.values():
        side.set_visible(False)
    return figure


def _row_title(row: Row, style: _Style) -> str:
    variant = f" [{style.fonts.drawable(shorten(row.variant, _NAME))}]" if row.variant else ""
    return style.name(row) + variant


def _legend(figure: Figure, handles: Sequence[Any]) -> None:
    """Below the figure, in as many columns as the longest name allows (about twelve characters per inch)."""
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = int(12 * figure.get_figwidth() / (longest + 6))
    figure.legend(handles=handles, loc="outside lower center", ncols=max(1, min(columns, len(handles))), frameon=False)
