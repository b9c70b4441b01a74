"""Options that several commands share."""

from __future__ import annotations

import json
import os
import sys
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
DevicesOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Divide the work among N processes on this machine: one per GPU, or with --device cpu one per share of "
        "the cores. The results are the same for every N.",
        show_default=False,
    ),
]
LimitOption = Annotated[
    int | None, typer.Option(min=1, help="Only the first N items of each subset; not comparable with anything.")
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


def divide(devices: int | None, device: str) -> None:
    """Do what ``--devices`` says: run the command in several processes instead of this one, and exit with its code.

    Raises:
        UsageError: not so many devices, or ``torchrun`` has started another number of processes.
    """
    started = os.environ.get("WORLD_SIZE", "")
    if devices is None or started == str(devices):
        return
    if started:
        raise UsageError(f"--devices {devices}, but WORLD_SIZE is {started}: torchrun has divided the work already.")
    if devices > 1:
        from fgbench.runner.launch import relaunch

        raise typer.Exit(relaunch(devices, device, sys.argv))


def print_json(content: Any) -> None:
    """Print JSON on standard output."""
    typer.echo(json.dumps(content, ensure_ascii=False, indent=1))
