"""Options that several commands share."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from fgbench.errors import UsageError

TaskOption = Annotated[str, typer.Option("--task", "-t", help="Task ids, comma-separated, or 'all'.")]
DatasetOption = Annotated[str | None, typer.Option("--dataset", "-d", help="Dataset ids, comma-separated.")]
RootOption = Annotated[
    str | None,
    typer.Option(
        help="Folder that holds the datasets, or 'mini' for a few generated pictures. "
        "Default: data_root in fgbench.toml, else 'data'.",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="DATASET.ROLE=PATH", help="Where a file or folder lies instead; may be repeated."),
]
ProtocolOption = Annotated[
    list[str] | None,
    typer.Option(
        "--protocol",
        metavar="KEY=VALUE",
        help="A choice that protocols leave open ('fgbench show <dataset>' lists them); may be repeated.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output instead of a table.")]


def files(pairs: list[str] | None) -> dict[str, str]:
    """Places by ``<dataset>.<role>``, from the values of ``--set``.

    Raises:
        UsageError: a value without ``=``.
    """
    return _pairs("--set", pairs, "DATASET.ROLE=PATH, for example coco.images=/data/val2017")


def choices(pairs: list[str] | None) -> dict[str, str]:
    """Values by name, from the values of ``--protocol``.

    Raises:
        UsageError: a value without ``=``.
    """
    return _pairs("--protocol", pairs, "KEY=VALUE, for example synonyms=first")


def reading_options(pairs: list[str] | None) -> dict[str, str]:
    """Values by name, from the values of ``--option``.

    Raises:
        UsageError: a value without ``=``.
    """
    return _pairs("--option", pairs, "KEY=VALUE, for example offset=1")


def sweep_values(pairs: list[str]) -> dict[str, list[str]]:
    """Values by name, from the values of ``--over``.

    Raises:
        UsageError: a value without ``=``, or nothing after it.
    """
    found = _pairs("--over", pairs, "KEY=VALUE,VALUE, for example alpha=0,0.5")
    values = {key: [each.strip() for each in text.split(",") if each.strip()] for key, text in found.items()}
    for key, each in values.items():
        if not each:
            raise UsageError(f"--over {key}=: expected at least one value.")
    return values


def _pairs(option: str, pairs: list[str] | None, expected: str) -> dict[str, str]:
    found = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{option} {pair}: expected {expected}.")
        found[key] = value
    return found


def print_json(content: Any) -> None:
    """Print JSON on standard output."""
    typer.echo(json.dumps(content, ensure_ascii=False, indent=1))
