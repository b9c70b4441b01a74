"""Templates and class names that ship with the tasks."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files


@lru_cache
def lines(name: str) -> tuple[str, ...]:
    """The lines of ``tasks/data/<name>.txt``."""
    text = files("fgbench.tasks").joinpath("data").joinpath(f"{name}.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
