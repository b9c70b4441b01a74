"""``fgbench check-adapter`` and ``new-adapter``: for authors of adapters. Parses and prints, decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fgbench.cli_options import JsonOption, print_json


def mount(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("check-adapter")(check_adapter)
    app.command("new-adapter")(new_adapter)


def check_adapter(
    model: Annotated[str, typer.Argument(help="Alias, scheme:target or folder, as for 'eval --model'.")],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    json_: JsonOption = False,
) -> None:
    """Check a model against the adapter contract, in seconds, on generated pictures and texts.

    Exit codes: 0 no check failed; 1 some failed; 2 wrong usage. Warnings and speed are for your information.
    """
    from fgbench.adapter_kit.check import check_adapter as check

    if json_:
        report = check(model, device=device)
        print_json(report.as_json())
    else:
        report = check(model, device=device, tell=lambda each: typer.echo(str(each)))
        typer.echo(report.summary)
    raise typer.Exit(report.exit_code)


def new_adapter(
    name: Annotated[str, typer.Argument(help="What --model will take: small letters, digits and hyphens.")],
    folder: Annotated[
        Path | None, typer.Option(help="Where to write. Default: fgbench-NAME.", show_default=False)
    ] = None,
) -> None:
    """Write a small package with a working model, a test and a README; refuses to overwrite anything."""
    from fgbench.adapter_kit.skeleton import write_package

    target = write_package(name, folder)
    typer.echo(
        f"Written to {target}. It works as it is; replace the model by yours.\n\n"
        f"pip install -e {target}\nfgbench check-adapter {name}\n"
        f"fgbench eval --model {name} --task short-retrieval --dataset coco --data-root mini"
    )
