"""``fgbench detect`` and ``fgbench proposals``: run, import and export. Parses and prints, decides nothing."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fgbench.cli_options import DevicesOption, JsonOption, RootOption, SetOption, divide, files, print_json
from fgbench.runner.launch import speaks

app = typer.Typer(help="Stored detections: import, export, look at.", no_args_is_help=True)

DatasetArgument = Annotated[str, typer.Option("--dataset", "-d", help="Id of a detection dataset.")]
OutputOption = Annotated[
    Path | None, typer.Option(help="Folder of the proposals. Default: the dataset's own place.", show_default=False)
]


def mount(main: typer.Typer) -> None:
    """Add the commands to the command line."""
    main.command("detect")(detect)
    main.add_typer(app, name="proposals")


def detect(
    detector: Annotated[str, typer.Option(help="llmdet-tiny, llmdet-base, llmdet-large, a hub id or a folder.")],
    dataset: DatasetArgument,
    data_root: RootOption = None,
    output: OutputOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N pictures; needs --output.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Pictures per forward pass.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    fresh: Annotated[bool, typer.Option("--fresh", help="Replace the proposals that are there.")] = False,
    devices: DevicesOption = None,
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Run an open-vocabulary detector over a dataset once, so that any model can re-score its boxes.

    A run that was stopped continues where it was when the same command is given again.
    """
    divide(devices, device)
    from fgbench import detect_api
    from fgbench.runner.progress import Bars

    result = detect_api.detect(
        detector,
        dataset,
        data_root=data_root,
        output=output,
        limit=limit,
        device=device,
        batch_size=batch_size,
        fresh=fresh,
        files=files(set_),
        progress=Bars(),
    )
    if not speaks():
        return
    report = result.report
    if json_:
        print_json({"folder": str(result.folder), **asdict(report)})
        return
    typer.echo(
        f"{result.folder}: {report.detections:,} detections with {report.boxes:,} boxes on {report.images:,} pictures\n"
        f"{report.made} shards made, {report.reused} were there"
    )
    for reason, count in report.dropped.items():
        if count:
            typer.echo(f"{count:,} dropped: {reason.replace('_', ' ')}")
    if report.damaged:
        typer.echo(f"{len(report.damaged)} damaged shards were found and made again")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="COCO/LVIS result file: a JSON list.")],
    dataset: DatasetArgument,
    data_root: RootOption = None,
    output: OutputOption = None,
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Store detections that were made elsewhere; broken entries are refused, or dropped and counted."""
    from fgbench import detect_api

    result = detect_api.import_results(file, dataset, data_root=data_root, output=output, files=files(set_))
    if json_:
        print_json({"folder": str(result.folder), **result.report.as_json()})
    else:
        typer.echo("\n".join([str(result.folder), *result.report.lines()]))


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Folder of the proposals.")],
    file: Annotated[Path, typer.Argument(help="JSON file to write.")],
) -> None:
    """Write proposals as a COCO/LVIS result file."""
    from fgbench import detect_api

    typer.echo(f"{file}: {detect_api.export_results(folder, file):,} entries")


@app.command()
def info(
    folder: Annotated[Path, typer.Argument(help="Folder of the proposals.")],
) -> None:
    """Check stored proposals and show their counts and how they were made, as JSON."""
    from fgbench import detect_api

    print_json(detect_api.describe_proposals(folder))
