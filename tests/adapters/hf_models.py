"""A tiny checkpoint of each kind that transformers loads, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fgbench.adapters.hf import load

from .tiny_models import clip, naflex, siglip

MAKERS: dict[str, Callable[[Path], Path]] = {"clip": clip, "siglip": siglip, "naflex": naflex}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in MAKERS.items()}


@pytest.fixture(scope="module")
def adapters(folders: dict[str, Path]) -> dict[str, Any]:
    return {name: load(str(folder)) for name, folder in folders.items()}
