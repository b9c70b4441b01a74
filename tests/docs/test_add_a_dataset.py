"""The guide to adding a dataset: everything in it is run, and it explains everything that there is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest

from fgbench.spec import DatasetSpec, EvaluationProtocol, TextProtocol

from .pages import Page, page
from .reader import Reader

GUIDE = page("add-a-dataset")


@pytest.fixture(scope="module")
def reader(new_reader: Callable[[str], Reader]) -> Reader:
    found = new_reader("dataset")
    found.follow(GUIDE)
    return found


@pytest.mark.parametrize("page", [GUIDE, GUIDE.chinese], ids=["en", "zh"])
def test_every_field_is_explained(page: Page) -> None:
    for each in dataclasses.fields(DatasetSpec):
        assert f"`{each.name}`" in page.text, each.name
    for part in (EvaluationProtocol, TextProtocol):
        for each in dataclasses.fields(part):
            assert f"`{part.__name__}.{each.name}`" in page.text


@pytest.mark.slow
def test_everything_runs(reader: Reader) -> None:
    found = reader.output
    assert "captions.tsv and images.zip from example.org/shop" in found["fgbench show shop"]
    assert "3 of 3" in found["fgbench data status --dataset shop --data-root data"]
    assert "shop-colours" in found["fgbench list tasks"]
    assert "4 passed" in found["python -m pytest fgbench-shop"]


@pytest.mark.slow
def test_results_are_complete(reader: Reader) -> None:
    folder = reader.folder / "results/fgclip2-untrained"
    for name in ("shop", "colours"):
        counts = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["counts"]
        assert counts["expected"] == counts["evaluated"] == counts["published"] == 3
