"""Shared by all tests: property tests without deadlines, and the reference material beside the repository."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from .plugins import install as install

settings.register_profile("fgbench", deadline=None, print_blob=True)
settings.load_profile("fgbench")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real annotation files and recorded figures; they are too large, or not ours, to lie in the repository."""
    folder = Path(__file__).resolve().parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"reference material is not at {folder}")
    return folder
