"""What is broken on purpose falls outside the self-test's tolerance: on cheap rows; in full by scripts.breakages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fgbench.models import load_adapter
from fgbench.selftest.comparison import Comparison
from fgbench.selftest.expectation import read_expectation
from scripts.breakages import CODES, concerned, harmless_table, matrix, read_measured

from .breakages import BREAKAGES, HARMLESS, Breakage
from .measuring import caught, measure, moved
from .remembering import Remembering

CHEAP = ("fg-ovd", "coco-box", "boxclass-cn", "lvis-minival", "coco", "sharegpt4v", "voc-20")
"""Rows of few texts; most show the same pictures."""

Run = Callable[[Breakage, tuple[str, ...]], Comparison]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FGBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        expectation = read_expectation()
        model = Remembering(load_adapter(expectation.model))
        folder = tmp_path_factory.mktemp("results")
        yield lambda breakage, datasets: measure(breakage, expectation, datasets, folder, model)


def test_nothing_is_caught_where_nothing_is_broken(run: Run) -> None:
    found = run(HARMLESS[0], CHEAP)
    assert found.passed, found.outside
    assert {score.dataset for score in found.scores} == set(CHEAP)


IN_FULL = [each for each in BREAKAGES if set(each.catches) & set(CHEAP)]


@pytest.mark.parametrize("breakage", IN_FULL, ids=[each.id for each in IN_FULL])
def test_a_breakage_is_caught(run: Run, breakage: Breakage) -> None:
    wanted = tuple(name for name in breakage.catches if name in CHEAP)
    assert caught(run(breakage, wanted)) == set(wanted)


def test_a_patch_is_taken_away_again(run: Run) -> None:
    unbroken = run(HARMLESS[0], ("fg-ovd",))
    assert moved(run(BREAKAGES[0], ("fg-ovd",))) == {"fg-ovd"}
    assert run(HARMLESS[0], ("fg-ovd",)).scores == unbroken.scores


def test_the_list_is_consistent() -> None:
    everything = (*HARMLESS, *BREAKAGES)
    assert len({each.id for each in everything}) == len(everything)
    for each in BREAKAGES:
        assert set(each.catches) <= set(concerned(each)), each.id
    assert set(CODES) == set(read_expectation().datasets)
    assert len(set(CODES.values())) == len(CODES)


def test_the_matrix_says_what_was_caught(run: Run, tmp_path: Path) -> None:
    expectation = read_expectation()
    found = {each.id: run(HARMLESS[0], ("boxclass-cn",)) for each in BREAKAGES[:1]}
    broken = run(next(each for each in BREAKAGES if each.id == "class-off"), ("boxclass-cn",))
    text = matrix(expectation, {each.id: found[BREAKAGES[0].id] for each in BREAKAGES} | {"class-off": broken})
    [line] = [line for line in text.splitlines() if line.startswith("class ids off by one ")]
    assert line.count("##") == 1
    assert f"1 of {len(BREAKAGES)} breakages" in text
    (tmp_path / "class-off.json").write_text(json.dumps(broken.as_json()))
    again = read_measured(tmp_path / "class-off.json")
    assert (again.scores, caught(again), moved(again)) == (broken.scores, caught(broken), moved(broken))
    table = harmless_table({HARMLESS[0].id: found[BREAKAGES[0].id], HARMLESS[1].id: broken}).splitlines()
    assert table[2].endswith("| 0 of 2 | 0.00 | – |")
    assert table[3].endswith("| boxclass-cn |")
