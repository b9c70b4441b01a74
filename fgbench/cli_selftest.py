"""``fgbench selftest``. Parses and prints, decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fgbench.cli_options import DatasetOption, JsonOption, TaskOption, print_json
from fgbench.errors import UsageError


def mount(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("selftest")(selftest)


def selftest(
    task: TaskOption = "all",
    dataset: DatasetOption = None,
    expected: Annotated[
        Path | None, typer.Option(help="File of expected results. Default: the one that comes with fgbench.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Results folder to keep. Default: a temporary one.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    records: Annotated[
        Path | None,
        typer.Option(
            help="Evaluate nothing: compare what 'fgbench eval --data-root mini' left in this results folder."
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(help="Compare nothing: measure the whole suite and write this file of expected results."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="With --write: whose numbers. Default: that of --expected.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Does this installation measure what it should? Evaluates the miniature suite, compares with expected numbers.

    Exit codes: 0 every number is inside its tolerance; 1 one is not, or a dataset was not evaluated.
    """
    from fgbench import selftest_api
    from fgbench.runner.progress import Bars

    if write is not None:
        if dataset is not None or task != "all":
            raise UsageError("--write measures the whole suite: leave out --task and --dataset.")
        made = selftest_api.write_expected(
            write, model=model, expected=expected, output=output, device=device, progress=Bars()
        )
        count = sum(len(each.scores) for each in made.datasets.values())
        typer.echo(f"{write}: {count} expected numbers of {len(made.datasets)} datasets, model {made.model}.", err=True)
        return
    if model is not None:
        raise UsageError("--model goes with --write only: the file of expected results names the model.")
    found = selftest_api.selftest(
        task, dataset, expected=expected, output=output, device=device, progress=Bars(), records=records
    )
    if json_:
        print_json(found.as_json())
    else:
        from fgbench.report.selftest_screen import print_comparison

        print_comparison(found)
    raise typer.Exit(0 if found.passed else 1)
