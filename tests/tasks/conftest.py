"""Real annotation files for the tests of readers."""

from __future__ import annotations

from pathlib import Path

import pytest

from .reading import there


@pytest.fixture(scope="module")
def data(shared: Path) -> Path:
    """Real annotation files."""
    return there(shared / "data")
