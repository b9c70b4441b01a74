"""``fgbench report``. Parses and prints, decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def mount(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("report")(report)


def report(
    results: Annotated[Path, typer.Argument(help="Results folder, as 'fgbench eval' wrote it, or one model's in it.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The page. Default: report.html in the results folder.", show_default=False
        ),
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(help="Also write figures to this folder, as SVG and PNG.", show_default=False)
    ] = None,
) -> None:
    """Write one self-contained HTML page over all results of a folder; opens from disk, loads nothing, needs no server.

    Results on other data or under another protocol stand apart. Files that are no readable records are named and
    left out.
    """
    from fgbench.report.screen import print_report
    from fgbench.report_api import report as write

    print_report(write(results, output, plots=plots))
