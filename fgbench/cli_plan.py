"""``fgbench plan``. Parses and prints, decides nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from fgbench.cli_options import (
    DatasetOption,
    JsonOption,
    LimitOption,
    ProtocolOption,
    RootOption,
    SetOption,
    TaskOption,
    choices,
    files,
    print_json,
)
from fgbench.data.uncollected import without_collection


def mount(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("plan")(plan)


@without_collection()  # a plan is a million objects, none of them garbage before the command ends
def plan(
    task: TaskOption = "all",
    dataset: DatasetOption = None,
    data_root: RootOption = None,
    limit: LimitOption = None,
    protocol: ProtocolOption = None,
    set_: SetOption = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Time this dual encoder and estimate the cost."),
    ] = None,
    device: Annotated[str, typer.Option(help="With --model: auto, cpu, cuda, cuda:N or mps.")] = "auto",
    json_: JsonOption = False,
) -> None:
    """Show what would be encoded, what is saved by encoding each input once, and what is missing.

    Loads no model, unless --model names one: then time, disk and memory are estimated too.
    """
    from fgbench import api

    made = api.plan(task, dataset, data_root=data_root, limit=limit, files=files(set_), protocol=choices(protocol))
    cost = None
    if model is not None:
        from fgbench.plan_api import estimate

        cost = estimate(made, model, device=device)
    if json_:
        print_json(made.summary() | ({"estimate": cost.as_json()} if cost else {}))
    else:
        from fgbench.report.screen import print_estimate, print_plan

        print_plan(made.summary())
        if cost:
            print_estimate(cost)
