"""Shared by all tests: property tests without deadlines, and the reference material beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from .plugins import install as install

# New examples on every run at a desk; the same ones on every run in CI, where a verdict has to be repeatable.
settings.register_profile("fgbench", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI")))
settings.load_profile("fgbench")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real annotation files and recorded figures; they are too large, or not ours, to lie in the repository."""
    folder = Path(__file__).resolve().parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"reference material is not at {folder}")
    return folder
