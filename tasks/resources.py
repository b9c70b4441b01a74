"""Templates, class names and tables that ship with the tasks."""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType


@lru_cache
def lines(name: str) -> tuple[str, ...]:
    """The lines of ``tasks/data/<name>.txt``."""
    return tuple(_text(f"{name}.txt").splitlines())


@lru_cache
def table(name: str) -> tuple[MappingProxyType[str, str], ...]:
    """The rows of ``tasks/data/<name>.csv``, by column name."""
    return tuple(map(MappingProxyType, csv.DictReader(_text(f"{name}.csv").splitlines())))


def _text(name: str) -> str:
    return files("fgbench.tasks").joinpath("data").joinpath(name).read_text(encoding="utf-8")
