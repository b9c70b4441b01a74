"""``fgbench leaderboard``: build, check, add, export. Parses and prints, decides nothing."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fgbench.cli_options import JsonOption, print_json

if TYPE_CHECKING:
    from fgbench.leaderboard.inputs import LeftOut

_app = typer.Typer(help="Leaderboards: results of many models beside published numbers.", no_args_is_help=True)


def mount(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(_app, name="leaderboard")


class _Edition(str, Enum):
    icml = "icml-2026-v3"
    page = "project-page-2025-10-27"
    none = "none"


class _Format(str, Enum):
    md = "md"
    latex = "latex"
    html = "html"
    hf_card = "hf-card"


_INPUTS = "Records (.json), results folders, leaderboard files (.csv) or folders of these."
InputsArgument = Annotated[list[Path], typer.Argument(help=_INPUTS)]
OptionalInputsArgument = Annotated[
    list[Path] | None, typer.Argument(help=f"{_INPUTS} Without any: the paper's numbers alone.", show_default=False)
]
MiniatureOption = Annotated[
    bool, typer.Option("--allow-miniature", help="Accept results on the miniature suite; they stand apart.")
]
PartialOption = Annotated[
    bool, typer.Option("--allow-partial", help="Accept results on a part of a dataset; they are not ranked.")
]


@_app.command()
def build(
    inputs: OptionalInputsArgument = None,
    output: Annotated[Path, typer.Option(help="Folder for the tables.")] = Path("leaderboard"),
    edition: Annotated[
        list[_Edition] | None,
        typer.Option(help="Editions of the paper shown beside; may be repeated. Default: all.", show_default=False),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Merge results and the paper's tables: one long CSV, and one wide CSV per task."""
    from fgbench.leaderboard.build import build as run
    from fgbench.report.paper import EDITIONS

    chosen = [each.value for each in edition] if edition else list(EDITIONS)
    done = run(inputs or [], output, editions=chosen)
    if json_:
        print_json(done.as_json())
        return
    for place, rows in done.files.items():
        typer.echo(f"{output / place}: {rows:,} rows")
    typer.echo(f"{done.measured:,} measured and {done.reported:,} reported numbers.")
    _print_left_out(done.left_out)


@_app.command()
def check(
    file: Annotated[Path, typer.Argument(help="Leaderboard file.")],
    items: Annotated[
        Path | None,
        typer.Option(help="Results folder with the outcomes of items (.items.npz): recompute the values from them."),
    ] = None,
    allow_miniature: MiniatureOption = False,
    allow_partial: PartialOption = False,
    json_: JsonOption = False,
) -> None:
    """Check a leaderboard file: every problem with line, column and reason. Exit codes: 0 accepted; 1 refused."""
    from fgbench.leaderboard.check import check_file

    report, _ = check_file(file, allow=_allowed(miniature=allow_miniature, partial=allow_partial), items=items)
    if json_:
        print_json(report.as_json())
    else:
        for problem in report.sorted():
            typer.echo(f"{file}: {problem}")
        if items is not None:
            typer.echo(
                f"{report.recomputed:,} values recomputed from items agree; {report.not_recomputed:,} are of metrics "
                "that items do not give."
            )
        typer.echo(f"{file}: {report.verdict}")
    raise typer.Exit(0 if report.accepted else 1)


@_app.command()
def add(
    inputs: InputsArgument,
    to: Annotated[Path, typer.Option(help="Leaderboard file; made if it is not there.")],
    allow_miniature: MiniatureOption = False,
    allow_partial: PartialOption = False,
    json_: JsonOption = False,
) -> None:
    """Put results into a leaderboard file: checked, sorted, each evaluation once. Exit code 3: nothing was accepted."""
    from fgbench.leaderboard.add import add as run

    done = run(inputs, to, allow=_allowed(miniature=allow_miniature, partial=allow_partial))
    if json_:
        print_json(done.as_json())
    else:
        for what, names in (("added", done.added), ("replaced", done.replaced), ("unchanged", done.unchanged)):
            for name in names:
                typer.echo(f"{what}: {name}")
        _print_left_out(done.left_out)
        counts = f"{len(done.added):,} added, {len(done.replaced):,} replaced, {len(done.unchanged):,} unchanged"
        typer.echo(f"{to}: {counts}, {len(done.left_out):,} left out; {done.rows:,} rows")
    raise typer.Exit(0 if done.added or done.replaced or done.unchanged else 3)


@_app.command()
def export(
    inputs: OptionalInputsArgument = None,
    format_: Annotated[_Format, typer.Option("--format", "-f", help="Form of the tables.")] = _Format.md,
    task: Annotated[str, typer.Option("--task", "-t", help="Task ids, comma-separated, or 'all'.")] = "all",
    edition: Annotated[_Edition, typer.Option(help="Edition of the paper shown beside.")] = _Edition.icml,
    model: Annotated[str | None, typer.Option(help="For hf-card: whose card.")] = None,
    output: Annotated[Path | None, typer.Option(help="File to write. Default: standard output.")] = None,
) -> None:
    """Main numbers as tables for a README (md), a paper (latex), a page (html) or a model card of the hub (hf-card)."""
    from fgbench.leaderboard.publish import publish

    text = publish(
        inputs or [],
        format_.value,
        task=task,
        edition=None if edition is _Edition.none else edition.value,
        model=model,
        output=output,
    )
    if output is None:
        typer.echo(text, nl=False)
    else:
        typer.echo(f"{output}: written")


def _allowed(*, miniature: bool, partial: bool) -> tuple[str, ...]:
    chosen = {"miniature": miniature, "partial": partial}
    return tuple(name for name, wanted in chosen.items() if wanted)


def _print_left_out(left_out: list[LeftOut]) -> None:
    for each in left_out:
        typer.echo(f"left out: {each.what}: {each.why}", err=True)
