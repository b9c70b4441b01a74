"""Tables as Markdown, LaTeX and HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from itertools import accumulate, groupby

from fgbench.leaderboard.panels import Cell, Line, Panel

MISSING = "--"
_UNITS = "Percent, with the 95 % interval where there is one. Bold: best of the column; {second}: second."


def markdown(panels: Sequence[Panel]) -> str:
    """GitHub's tables; the second-best value is in italics."""
    return "\n".join(_markdown_panel(panel) for panel in panels)


def _markdown_panel(panel: Panel) -> str:
    names = ["Model", "Backbone", "Origin", *(_column(column.dataset, column.name) for column in panel.columns)]
    lines = [
        f"### {_md(panel.title)}{' (miniature suite)' if panel.miniature else ''}",
        "",
        "| " + " | ".join(map(_md, names)) + " |",
        "| --- | --- | --- |" + " ---: |" * len(panel.columns),
    ]
    for line in _lines(panel):
        cells = [_styled(cell, "**{}**".format, "*{}*".format, "({})".format, " {})".format) for cell in line.cells]
        who = [_md(line.model), _md(line.backbone), "measured" if line.measured else "reported"]
        lines.append("| " + " | ".join((*who, *cells)) + " |")
    lines += ["", _UNITS.format(second="italics"), ""]
    lines += [f"* {_md(note)}" for note in panel.notes]
    lines += [f"* {letter}) {_md(text)}" for letter, text in panel.footnotes.items()]
    return "\n".join(lines) + "\n"


def latex(panels: Sequence[Panel]) -> str:
    """Tables in the shape of the paper's: ``booktabs`` rules, datasets over their columns, sizes of backbones apart."""
    head = "% Needs \\usepackage{booktabs,graphicx}. Bold: best of a column; underlined: second; --: no value.\n"
    return head + "\n".join(_latex_panel(panel) for panel in panels)


def _latex_panel(panel: Panel) -> str:
    rows = [
        "\\begin{table*}[t]",
        "\\centering",
        f"\\caption{{{_tex(panel.title)}{', miniature suite' if panel.miniature else ''} (percent).}}",
        "\\resizebox{\\linewidth}{!}{%",
        f"\\begin{{tabular}}{{ll{'c' * len(panel.columns)}}}",
        "\\toprule",
        *_latex_header(panel),
    ]
    for group in panel.groups:
        rows.append("\\midrule")
        for line in group:
            cells = [
                _styled(cell, "\\textbf{{{}}}".format, "\\underline{{{}}}".format, _tex_small, "$^{{{}}}$".format)
                for cell in line.cells
            ]
            name = _tex(line.model) + (" (measured)" if line.measured else "")
            rows.append(" & ".join((name, _tex(line.backbone) or MISSING, *cells)) + " \\\\")
    rows += ["\\bottomrule", "\\end{tabular}}"]
    remarks = [*panel.notes, *(f"{letter}) {text}" for letter, text in panel.footnotes.items())]
    if remarks:
        rows.append("\\par\\smallskip\\raggedright\\footnotesize " + " ".join(map(_tex, remarks)))
    rows.append("\\end{table*}")
    return "\n".join(rows) + "\n"


def _latex_header(panel: Panel) -> list[str]:
    """One line of datasets; below it, where a dataset has several columns, their names."""
    names = [_tex(column.name) for column in panel.columns]
    if not any(names):
        return [" & ".join(["Method", "Backbone", *(_tex(column.dataset) for column in panel.columns)]) + " \\\\"]
    spans = _spans(panel)
    top = ["", "", *(f"\\multicolumn{{{width}}}{{c}}{{{_tex(dataset)}}}" for dataset, width in spans)]
    starts = accumulate((width for _, width in spans), initial=3)
    rules = [f"\\cmidrule(lr){{{start}-{start + width - 1}}}" for start, (_, width) in zip(starts, spans, strict=False)]
    return [" & ".join(top) + " \\\\", "".join(rules), " & ".join(["Method", "Backbone", *names]) + " \\\\"]


def _spans(panel: Panel) -> list[tuple[str, int]]:
    """Datasets with the number of their columns."""
    return [(dataset, len(list(members))) for dataset, members in groupby(panel.columns, lambda each: each.dataset)]


def html_tables(panels: Sequence[Panel]) -> str:
    """Plain tables for a page of one's own; everything is escaped, nothing is fetched."""
    return "\n".join(_html_panel(panel) for panel in panels)


def _html_panel(panel: Panel) -> str:
    escape = html.escape
    rows = [
        f'<table class="fgbench{" miniature" if panel.miniature else ""}">',
        f"<caption>{escape(panel.title)}{' (miniature suite)' if panel.miniature else ''}, percent</caption>",
        "<thead>",
        '<tr><th rowspan="2">Model</th><th rowspan="2">Backbone</th><th rowspan="2">Origin</th>'
        + "".join(f'<th colspan="{width}">{escape(dataset)}</th>' for dataset, width in _spans(panel))
        + "</tr>",
        "<tr>" + "".join(f"<th>{escape(column.name)}</th>" for column in panel.columns) + "</tr>",
        "</thead>",
    ]
    for group in panel.groups:
        rows.append("<tbody>")
        for line in group:
            cells = [
                _styled(
                    cell, "<b>{}</b>".format, "<u>{}</u>".format, "<small>({})</small>".format, "<sup>{}</sup>".format
                )
                for cell in line.cells
            ]
            who = (line.model, line.backbone, "measured" if line.measured else "reported")
            names = "".join(f"<td>{escape(name)}</td>" for name in who)
            rows.append(f"<tr>{names}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
        rows.append("</tbody>")
    rows.append("</table>")
    notes = [_UNITS.format(second="underlined"), *panel.notes]
    notes += [f"{letter}) {text}" for letter, text in panel.footnotes.items()]
    return "\n".join([*rows, "<ul>", *(f"<li>{escape(note)}</li>" for note in notes), "</ul>"]) + "\n"


def _lines(panel: Panel) -> list[Line]:
    return [line for group in panel.groups for line in group]


def _column(dataset: str, name: str) -> str:
    return f"{dataset} {name}".strip()


def _styled(
    cell: Cell | None,
    best: Callable[[str], str],
    second: Callable[[str], str],
    small: Callable[[str], str],
    mark: Callable[[str], str],
) -> str:
    if cell is None:
        return MISSING
    text = {1: best, 2: second}.get(cell.rank, str)(cell.text)
    return text + (f" {small(cell.interval)}" if cell.interval else "") + (mark(cell.marks) if cell.marks else "")


def _tex_small(interval: str) -> str:
    return f"{{\\scriptsize({interval.replace('–', '--')})}}"


_MD_SPECIAL = re.compile(r"([\\`*_\[\]|~])")


def _md(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no link, no cell border."""
    return _MD_SPECIAL.sub(r"\\\1", html.escape(text, quote=False))


_TEX_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "†": r"\dag{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "*": r"\textasteriskcentered{}",
}  # fmt: skip


def _tex(text: str) -> str:
    """Text that LaTeX shows as it is."""
    return "".join(_TEX_SPECIAL.get(each, each) for each in text)
