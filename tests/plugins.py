"""Installed packages, faked: a module and its ``dist-info`` folder in a place on the import path."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

Install = Callable[[str, str, Mapping[str, Mapping[str, str]]], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """``install(package, source, {group: {name: attribute}})`` makes a package that is gone after the test."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    installed: list[str] = []

    def _install(package: str, source: str, entry_points: Mapping[str, Mapping[str, str]]) -> None:
        (site / f"{package}.py").write_text(source, encoding="utf-8")
        info = site / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8")
        lines = []
        for group, points in entry_points.items():
            lines += [f"[{group}]", *(f"{name} = {package}:{attribute}" for name, attribute in points.items()), ""]
        (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
        importlib.invalidate_caches()
        installed.append(package)

    yield _install
    for package in installed:
        sys.modules.pop(package, None)
