"""``fgbench compare`` and ``fgbench bilingual``. Parses and prints, decides nothing."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fgbench.cli_options import JsonOption, print_json
from fgbench.errors import DataMissingError, UsageError

PAPER = "paper"

ResultsOption = Annotated[Path, typer.Option(help="Results folder in which models are looked up.")]


def mount(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("compare")(compare)
    app.command("bilingual")(bilingual)


def compare(
    first: Annotated[
        str, typer.Argument(metavar="A", help="Model in the results folder, or a record or folder of them.")
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="Likewise; or 'paper' for the numbers of the paper.")],
    results: ResultsOption = Path("results"),
    all_: Annotated[bool, typer.Option("--all", help="Every score, not only those that stand for a dataset.")] = False,
    json_: JsonOption = False,
) -> None:
    """Compare two models item by item, or a model with the paper. Loads no model.

    Exit codes: 0 every row was compared; 3 some could not be (the table says why); 2 wrong usage; 1 failure.
    """
    from fgbench.compare.comparison import compare_sides
    from fgbench.compare.paper import compare_with_paper
    from fgbench.compare.sides import find
    from fgbench.report.comparison import comparison_table, paper_table
    from fgbench.report.screen import show

    if first == PAPER:
        raise UsageError(f"Put the model first: fgbench compare {second} {PAPER}")
    if second == PAPER:
        beside = compare_with_paper(find(first, results))
        print_json(beside.as_json()) if json_ else show(paper_table(beside))
        raise typer.Exit(beside.exit_code)
    found = compare_sides(find(first, results), find(second, results), everything=all_)
    print_json(found.as_json()) if json_ else show(comparison_table(found))
    raise typer.Exit(found.exit_code)


def bilingual(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]…", help="Models in the results folder. Default: all of them.")
    ] = None,
    results: ResultsOption = Path("results"),
    json_: JsonOption = False,
) -> None:
    """Show each model's English and Chinese scores on the same pictures, and the gap between them."""
    from fgbench.compare.bilingual import declared, gaps
    from fgbench.compare.sides import find, names
    from fgbench.report.comparison import gaps_table
    from fgbench.report.screen import show

    found = [gap for model in models or names(results) for gap in gaps(find(model, results))]
    if not found:
        listed = ", ".join(f"{english} with {chinese}" for english, chinese in declared())
        raise DataMissingError(f"No model has the records of both languages. The pairs are: {listed}.")
    print_json([asdict(gap) for gap in found]) if json_ else show(gaps_table(found))
