"""The tables of the page on data say what the declarations say."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

from fgbench.selection import datasets
from fgbench.spec import DatasetSpec

from .pages import Page, page

GUIDE = page("prepare-data")


def specs(*, optional: bool) -> list[DatasetSpec]:
    everything = [datasets().get(name)[1] for name in datasets().names()]
    return [spec for spec in everything if spec.optional == optional]


def places(spec: DatasetSpec) -> list[str]:
    """The row of a dataset: id, places by role, hub repositories."""
    roles = (f"`{role}`: {', '.join(f'`{each}`' for each in found)}" for role, found in spec.files.items())
    return [f"`{spec.id}`", "<br>".join(roles), ", ".join(f"`{source.repo}`" for source in spec.hub) or "–"]


def licences() -> list[list[str]]:
    """Licences as declared, each with its datasets."""
    found: dict[str, list[str]] = defaultdict(list)
    for spec in specs(optional=False):
        found[spec.licence].append(f"`{spec.id}`")
    return [[licence, ", ".join(ids)] for licence, ids in found.items()]


def as_markdown(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


@pytest.mark.parametrize("page", [GUIDE, GUIDE.chinese], ids=["en", "zh"])
class TestTables:
    def test_places(self, page: Page) -> None:
        expected = [places(spec) for spec in specs(optional=False)]
        assert len(expected) == 29
        assert page.tables[-2][1:] == expected, as_markdown(expected)

    def test_places_of_optional_datasets(self, page: Page) -> None:
        expected = [places(spec) for spec in specs(optional=True)]
        assert page.tables[-1][1:] == expected, as_markdown(expected)

    def test_licences(self, page: Page) -> None:
        assert page.tables[-3][1:] == licences(), as_markdown(licences())

    def test_every_state_is_explained(self, page: Page) -> None:
        for state in ("present", "partial", "missing", "broken"):
            assert f"`{state}`" in page.text

    def test_every_reason_for_leaving_an_item_out_is_one_that_records_know(self, page: Page) -> None:
        known = next(line for line in (page_of_records()).splitlines() if line.startswith("| `counts.skipped`"))
        for reason in re.findall(r"`([a-z]+_[a-z_]+)`", page.text.partition("`--on-error skip`")[2].partition("##")[0]):
            assert f"`{reason}`" in known


def page_of_records() -> str:
    return page("records").text
