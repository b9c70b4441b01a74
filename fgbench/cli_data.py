"""``fgbench data``: what is on disk, where it belongs, downloading, checking, a miniature. Parses and prints only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fgbench.cli_options import DatasetOption, JsonOption, RootOption, SetOption, TaskOption, files, print_json
from fgbench.data.space import human_size

app = typer.Typer(
    help="Datasets: what is on disk, where it belongs, download, check, a miniature of all.", no_args_is_help=True
)


@app.command()
def status(
    task: TaskOption = "all",
    dataset: DatasetOption = None,
    data_root: RootOption = None,
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Show what is there of each dataset, its licence and its size. Reads annotations, opens no picture."""
    from fgbench import data_api
    from fgbench.report import data_screen

    result = data_api.status(task, dataset, data_root=data_root, files=files(set_))
    if json_:
        print_json(result.as_json())
    else:
        data_screen.print_status(result)


@app.command()
def where(
    task: TaskOption = "all",
    dataset: DatasetOption = None,
    data_root: RootOption = None,
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Show which files belong where, and the --set key for each if yours lie elsewhere."""
    from fgbench import data_api
    from fgbench.report import data_screen

    root, places = data_api.where(task, dataset, data_root=data_root, files=files(set_))
    if json_:
        print_json(data_screen.where_rows(root, places))
    else:
        data_screen.print_where(root, places)


@app.command()
def get(
    task: TaskOption = "all",
    dataset: DatasetOption = None,
    data_root: RootOption = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of the repository; with datasets from one only.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List files and sizes; download nothing.")] = False,
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Download what the hub has of the datasets that are not complete; say what to do by hand for the rest.

    HF_ENDPOINT (a mirror), HF_TOKEN and HF_HUB_OFFLINE are honoured. Files that are complete are kept: after an
    interruption the same command continues. Exit codes: 0 all there; 3 something has to be done by hand; 1 failure.
    """
    from fgbench import data_api
    from fgbench.report import data_screen

    result = data_api.get(
        task,
        dataset,
        data_root=data_root,
        files=files(set_),
        revision=revision,
        dry_run=dry_run,
        say=lambda line: typer.echo(line, err=True),
    )
    if json_:
        print_json(result.as_json())
    else:
        data_screen.print_get(result)
    raise typer.Exit(result.exit_code)


@app.command()
def verify(
    task: TaskOption = "all",
    dataset: DatasetOption = None,
    data_root: RootOption = None,
    decode: Annotated[bool, typer.Option("--decode", help="Decode every picture completely; slow.")] = False,
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Compare files with the published counts and checksums; find what is absent, unreadable or there twice.

    Reads every byte of every picture. Exit codes: 0 nothing wrong; 3 something is missing; 1 something is broken.
    """
    from fgbench import data_api
    from fgbench.report import data_screen
    from fgbench.runner.progress import Bars

    results = data_api.verify(task, dataset, data_root=data_root, files=files(set_), full=decode, progress=Bars())
    if json_:
        print_json([each.as_json() for each in results])
    else:
        data_screen.print_verify(results)
    verdicts = {each.verdict for each in results}
    raise typer.Exit(1 if "broken" in verdicts else 3 if "missing" in verdicts else 0)


@app.command()
def mini(
    output: Annotated[
        Path | None, typer.Option(help="New folder to write to. Default: the cache, where --data-root mini looks.")
    ] = None,
) -> None:
    """Write the miniature suite: every dataset in a few generated pictures, in the real files and encodings.

    No number measured on it says anything about real pictures; docs/miniature-suite.md says what it is for.
    """
    from fgbench.data.mini import VERSION, write_copy
    from fgbench.data.roots import resolve_root

    folder = output or resolve_root("mini")
    if output is not None:
        write_copy(output)
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = human_size(sum(path.stat().st_size for path in files))
    place = "mini" if output is None else folder
    typer.echo(f"{folder}: miniature suite, version {VERSION}: {len(files):,} files, {size}.")
    typer.echo(
        "Every dataset in a few pictures of coloured shapes, to try and to test fgbench: no benchmark of anything."
    )
    typer.echo(f"Use it with --data-root {place}, for example: fgbench eval --model fgclip2-tiny --data-root {place}")
