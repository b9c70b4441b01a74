"""The command line: parses and prints, decides nothing."""

from __future__ import annotations

import sys
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from fgbench.cli_adapter import mount
from fgbench.cli_compare import mount as mount_compare
from fgbench.cli_data import app as data_app
from fgbench.cli_detect import mount as mount_detect
from fgbench.cli_leaderboard import mount as mount_leaderboard
from fgbench.cli_options import (
    DatasetOption,
    DevicesOption,
    JsonOption,
    LimitOption,
    ProtocolOption,
    RootOption,
    SetOption,
    TaskOption,
    choices,
    divide,
    files,
    print_json,
    reading_options,
)
from fgbench.cli_plan import mount as mount_plan
from fgbench.cli_report import mount as mount_report
from fgbench.cli_selftest import mount as mount_selftest
from fgbench.cli_sweep import mount as mount_sweep
from fgbench.errors import FgbenchError, RankError, UsageError
from fgbench.runner.launch import speaks

if TYPE_CHECKING:
    from fgbench.api import Evaluation


class _Group(TyperGroup):
    """Typer ends an interrupted command without a word."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; say what became of the work if it is interrupted."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if not speaks():
                sys.exit(130)
            _stop("Interrupted. Finished chunks are kept: the same command continues where it stopped.", 130)


app = typer.Typer(
    name="fgbench",
    cls=_Group,
    help="Fine-grained evaluation of image-text models, English and Chinese.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(data_app, name="data")


class _Listed(str, Enum):
    tasks = "tasks"
    datasets = "datasets"
    models = "models"
    detectors = "detectors"


class _Region(str, Enum):
    roi = "roi"
    crop = "crop"


class _Precision(str, Enum):
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


class _OnError(str, Enum):
    fail = "fail"
    skip = "skip"


@app.command("eval")
def eval_(
    model: Annotated[str, typer.Option("--model", "-m", help="Alias, scheme:target or folder; see 'list models'.")],
    task: TaskOption = "all",
    dataset: DatasetOption = None,
    data_root: RootOption = None,
    output: Annotated[Path, typer.Option(help="Results folder.")] = Path("results"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[_Precision, typer.Option(help="Of activations; weights stay float32.")] = _Precision.fp32,
    region_mode: Annotated[
        _Region | None, typer.Option(help="Boxes as RoI of dense features, or as crops. Default: the model's own.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Pictures per forward pass.")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Loading processes.")] = None,
    limit: LimitOption = None,
    on_error: Annotated[
        _OnError, typer.Option(help="A dataset with broken items: leave it out (fail), or count and skip them.")
    ] = _OnError.fail,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget stored embeddings of this model.")] = False,
    protocol: ProtocolOption = None,
    chat: Annotated[
        str | None,
        typer.Option(
            help="Chat model built on this one, for datasets that need generated text. Default: the declared one."
        ),
    ] = None,
    save_visuals: Annotated[
        int,
        typer.Option(min=0, help="So many pictures per dataset of what the model did, where there are any to draw."),
    ] = 0,
    compile_: Annotated[
        bool,
        typer.Option("--compile", help="Compile the layers of both towers (torch.compile): a slow start, then faster."),
    ] = False,
    devices: DevicesOption = None,
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Evaluate a model: plan, encode, score, write records, print a table.

    Exit codes: 0 all evaluated; 3 some not evaluated (data or capability missing); 2 wrong usage; 1 failure.
    A run that was stopped continues where it was when the same command is given again.
    """
    divide(devices, device)
    from fgbench import api
    from fgbench.runner.progress import Bars

    result = api.evaluate(
        model,
        task,
        dataset,
        data_root=data_root,
        output=output,
        device=device,
        precision=precision.value,
        region_mode=region_mode.value if region_mode else None,
        batch_size=batch_size,
        workers=workers,
        limit=limit,
        on_error=on_error.value,
        fresh=fresh,
        files=files(set_),
        protocol=choices(protocol),
        chat=chat,
        save_visuals=save_visuals,
        compile=compile_,
        progress=Bars(),
    )
    _print_result(result, json_=json_)


@app.command()
def score(
    predictions: Annotated[Path, typer.Option("--predictions", "-p", help="File or folder with the predictions.")],
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Id of one dataset.")] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task", "-t", help="Its task; alone: the folder holds a file or folder per dataset, called by its id."
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="What results call the maker of the predictions.")] = "predictions",
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="How they are to be read (docs/predictions.md)."),
    ] = None,
    data_root: RootOption = None,
    output: Annotated[Path, typer.Option(help="Results folder.")] = Path("results"),
    limit: LimitOption = None,
    on_error: Annotated[
        _OnError, typer.Option(help="Items that cannot be scored: refuse (fail), or count and skip them.")
    ] = _OnError.fail,
    protocol: ProtocolOption = None,
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Score predictions that were made elsewhere (label maps, detections, answers). Loads no model."""
    from fgbench.score_api import score as score_predictions
    from fgbench.score_api import score_task

    if dataset is None and task is None:
        raise UsageError("Say what the predictions are for: --dataset ID, or --task ID.")
    score_them = partial(score_task, str(task)) if dataset is None else partial(score_predictions, dataset, task=task)
    result = score_them(
        predictions=predictions,
        name=name,
        options=reading_options(option),
        data_root=data_root,
        output=output,
        limit=limit,
        on_error=on_error.value,
        files=files(set_),
        protocol=choices(protocol),
    )
    _print_result(result, json_=json_)


def _print_result(result: Evaluation, *, json_: bool) -> None:
    if not speaks():
        raise typer.Exit(result.exit_code)
    if json_:
        print_json(
            {
                "records": list(result.records),
                "not_evaluated": [
                    {"dataset": each.dataset, "task": each.task, "reason": each.reason, "failed": each.failed}
                    for each in result.not_evaluated
                ],
                "folder": str(result.folder),
            }
        )
    else:
        from fgbench.report.screen import print_evaluation

        print_evaluation(result)
    raise typer.Exit(result.exit_code)


@app.command("list")
def list_(what: Annotated[_Listed, typer.Argument(help="What to list.")], json_: JsonOption = False) -> None:
    """List tasks, datasets, models or detectors."""
    from fgbench.report import catalogue, screen

    rows = getattr(catalogue, what.value)()
    if json_:
        print_json(rows)
    else:
        screen.print_rows(rows, leave_out=("family", "source", "licence", "aliases", "main"))


@app.command()
def show(name: Annotated[str, typer.Argument(help="Id of a dataset or model.")], json_: JsonOption = False) -> None:
    """Show everything that is declared about a dataset or a model, without loading it."""
    from fgbench.report import catalogue, screen

    facts = catalogue.facts(name)
    if json_:
        print_json(facts)
    else:
        screen.print_facts(facts)


mount(app)
mount_plan(app)
mount_detect(app)
mount_leaderboard(app)
mount_selftest(app)
mount_sweep(app)
mount_compare(app)
mount_report(app)


def main() -> None:
    """Entry point of the console script; errors that fgbench raises on purpose are printed without a traceback."""
    try:
        app()
    except UsageError as error:
        _stop(str(error), 2)
    except RankError as error:
        if error.relayed:
            sys.exit(error.code)
        _stop(str(error), error.code)
    except FgbenchError as error:
        _stop(str(error), 1)


def _stop(message: str, code: int) -> NoReturn:
    print(f"fgbench: {message}", file=sys.stderr)  # noqa: T201 - the one place where errors reach the user
    sys.exit(code)
