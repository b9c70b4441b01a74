"""The guide to adding a model: everything in it is run, and it explains everything that there is."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import fgbench
from fgbench.adapter import AdapterInfo
from fgbench.adapter_kit.skeleton import package_files

from ..adapters import tiny_models
from ..packaging.tools import command
from .pages import Page, page
from .reader import Reader

GUIDE = page("add-a-model")
LINES = 40
"""A model is promised to take fewer."""


@pytest.fixture(scope="module")
def reader(new_reader: Callable[[str], Reader]) -> Reader:
    found = new_reader("model")
    found.follow(GUIDE)
    return found


@pytest.mark.parametrize("page", [GUIDE, GUIDE.chinese], ids=["en", "zh"])
class TestCompleteness:
    """What the tables have to name."""

    def test_every_check_is_explained(self, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fgbench.adapter_kit.check._SECONDS", 0.0)
        report = fgbench.check_adapter("fgclip2-untrained", device="cpu")
        rows = [line for line in page.text.splitlines() if line.startswith("| `")]
        for check in report.checks:
            assert any(f"`{check.name}`" in line for line in rows), check.name

    def test_every_field_is_explained(self, page: Page) -> None:
        for each in dataclasses.fields(AdapterInfo):
            assert f"`{each.name}`" in page.text, each.name


def test_the_first_block_is_what_new_adapter_writes_and_is_short() -> None:
    path = "fgbench_my_model/model.py"
    [block] = [each for each in GUIDE.blocks if each.mark("file") == f"fgbench-my-model/{path}"]
    assert block.content == package_files("my-model")[path]
    assert len(block.content.splitlines()) < LINES


def test_what_is_shown_of_its_project_file_is_in_it() -> None:
    [block] = [each for each in GUIDE.blocks if each.mark("part of")]
    assert block.content in package_files("my-model")["pyproject.toml"]


@pytest.mark.slow
def test_everything_runs(reader: Reader) -> None:
    found = reader.output
    assert "my-model" in found["fgbench list models"]
    assert " 0 failed" in found["fgbench check-adapter my-model"].splitlines()[-1]
    [_, dense] = [output for block, output in found.items() if "import" in block]
    summary, mode = dense.splitlines()
    assert " 0 failed, 0 warned" in summary
    assert mode == "roi"


def test_the_real_checkpoint_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a tiny one instead of the one on the hub."""
    code, use = (each for each in GUIDE.blocks if each.mark("needs weights") is not None)
    assert len(code.content.splitlines()) <= LINES
    (tmp_path / (code.mark("file") or "")).write_text(code.content, encoding="utf-8")
    folder = tiny_models.clip(tmp_path / "clip")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    try:
        exec(use.content.replace("openai/clip-vit-base-patch16", folder.as_posix()), {})
        report = fgbench.check_adapter(sys.modules["my_clip"].Clip(str(folder)), device="cpu")
    finally:
        sys.modules.pop("my_clip", None)
    assert report.passed, str(report)
    assert not [each for each in report.checks if each.status == "warn"], str(report)


@pytest.mark.slow
def test_the_failure_shown_is_what_is_printed(reader: Reader) -> None:
    [shown] = [each.content for each in GUIDE.blocks if each.language == "text"]
    path = reader.folder / "site/fgbench_my_model/model.py"
    good = path.read_text(encoding="utf-8")
    path.write_text(good.replace("len(each) > LENGTH for each", "False for each"), encoding="utf-8")
    try:
        done = command("-m", "fgbench", "check-adapter", "my-model", cwd=reader.folder, path=path.parents[1])
    finally:
        path.write_text(good, encoding="utf-8")
    assert done.returncode == 1
    assert shown in done.stdout
