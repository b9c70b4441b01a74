"""What the tests of the checks share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speed is measured once."""
    monkeypatch.setattr("fgbench.adapter_kit.check._SECONDS", 0.0)
