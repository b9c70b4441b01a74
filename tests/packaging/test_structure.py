"""What docs/design.md says about imports, held against the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from .tools import REPOSITORY

PLACES = {"fgbench": "fgbench", "tasks": "fgbench.tasks", "adapters": "fgbench.adapters"}


def _name(path: Path) -> str:
    top, *rest = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join([PLACES[top], *rest]).removesuffix(".__init__")


MODULES = {_name(path): path for place in PLACES for path in (REPOSITORY / place).rglob("*.py")}


def _imports(name: str) -> Iterator[str]:
    """Modules of the project that a module imports: also inside functions, and for types alone."""
    path = MODULES[name]
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base for alias in node.names]
        else:
            continue
        yield from (each for each in found if each in MODULES and each != name)


def test_imports_are_read_as_they_are_meant() -> None:
    assert {"fgbench.requests", "fgbench.data.files"} <= set(_imports("fgbench.task"))
    assert "fgbench.tasks.captions" in set(_imports("fgbench.tasks.short_retrieval"))


def test_no_module_imports_itself_by_a_detour() -> None:
    order = list(TopologicalSorter({name: set(_imports(name)) for name in MODULES}).static_order())
    assert len(order) == len(MODULES)


OUTSIDE = ("fgbench.tasks", "fgbench.adapters")


@pytest.mark.parametrize("name", [each for each in sorted(MODULES) if not each.startswith(OUTSIDE)])
def test_the_core_imports_no_task_and_no_adapter(name: str) -> None:
    assert not [each for each in _imports(name) if each.startswith(OUTSIDE)]
