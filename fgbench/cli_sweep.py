"""``fgbench sweep``. Parses and prints, decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fgbench.cli_options import JsonOption, RootOption, SetOption, files, print_json, sweep_values


def mount(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("sweep")(sweep)


def sweep(
    model: Annotated[str, typer.Option("--model", "-m", help="Alias, scheme:target or folder; see 'list models'.")],
    dataset: Annotated[str, typer.Option("--dataset", "-d", help="Id of one dataset.")],
    over: Annotated[
        list[str], typer.Option("--over", metavar="KEY=VALUE,…", help="Values of a choice of scoring; may be repeated.")
    ],
    data_root: RootOption = None,
    output: Annotated[Path, typer.Option(help="Results folder; holds the stored answers.")] = Path("results"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N items.")] = None,
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Score one dataset under every combination of choices; the model runs once. Shows sensitivity, makes no result."""
    from fgbench.runner.progress import Bars
    from fgbench.sweep_api import sweep as run

    found = run(
        model,
        dataset,
        sweep_values(over),
        data_root=data_root,
        output=output,
        device=device,
        limit=limit,
        files=files(set_),
        progress=Bars(),
    )
    if json_:
        rows = [
            {"chosen": dict(chosen), "scores": [score.__dict__ for score in scores]} for chosen, scores in found.rows
        ]
        print_json({"dataset": found.dataset, "rows": rows})
    else:
        from fgbench.report.screen import print_sweep

        print_sweep(found)
