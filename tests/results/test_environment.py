from __future__ import annotations

import json
import platform
import socket
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from fgbench.results import environment
from fgbench.results.environment import describe


def test_versions_are_those_installed() -> None:
    found = describe(torch.device("cpu"), "bf16")
    assert found["packages"]["numpy"] == version("numpy")
    assert found["packages"]["fgbench"] == version("fgbench")
    assert (found["python"], found["device"], found["precision"]) == (platform.python_version(), "cpu", "bf16")


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_PACKAGES", ("numpy", "a-package-that-does-not-exist"))
    packages = describe(torch.device("cpu"), "fp32")["packages"]
    assert packages == {"numpy": version("numpy"), "a-package-that-does-not-exist": None}


def test_nothing_tells_who_ran_it_or_where(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "HOME", "HOSTNAME"):
        monkeypatch.setenv(name, "/secret")
    monkeypatch.setattr(platform, "node", lambda: "secret")
    monkeypatch.setattr(socket, "gethostname", lambda: "secret")
    text = json.dumps(describe(torch.device("cpu"), "fp32"))
    assert "secret" not in text
    assert str(Path.cwd()) not in text
