"""Generated datasets for the tests of what is on disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fgbench.data.mini import write_mini


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("generated") / "data"
    write_mini(root)
    return root


@pytest.fixture
def root(generated: Path, tmp_path: Path) -> Path:
    """Generated datasets that a test may damage."""
    shutil.copytree(generated, tmp_path / "data")
    return tmp_path / "data"
