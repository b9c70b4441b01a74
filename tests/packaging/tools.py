"""What the packaging tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def command(
    *arguments: str | Path, cwd: Path, path: Path | None = None, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run this interpreter.

    Args:
        arguments: of the interpreter.
        cwd: working directory.
        path: one more folder to import from.
        variables: more of the environment.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "160"}
    environment |= {"FGBENCH_CACHE": str(cwd / "cache"), **(variables or {})}
    if path:
        environment["PYTHONPATH"] = os.pathsep.join([str(path), *filter(None, [environment.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=500,
        check=False,
    )


def need(package: str, major: int = 1) -> None:
    """Skip the test if a build tool is not here, or too old. Importing setuptools to ask would change this process."""
    try:
        found = version(package)
    except PackageNotFoundError:
        found = "0"
    if int(found.partition(".")[0]) < major:
        pytest.skip(f"needs {package} {major} or newer, found {found}")
