"""The self-test on a small part of the suite, and what it refuses to compare."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fgbench import selection, selftest_api
from fgbench.cli import app
from fgbench.errors import DataError, FgbenchError, ModelError, UsageError
from fgbench.selftest.expectation import read_expectation, write_expectation
from fgbench.selftest_api import selftest, write_expected
from fgbench.spec import DatasetSpec
from fgbench.task import Task

SMALL = "boxclass-cn"
"""A dataset of few texts and pictures."""


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FGBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def only_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole suite is one dataset."""
    real = selection.select

    def select(task: str | None, dataset: str | None) -> list[tuple[Task, DatasetSpec]]:
        return real(task, dataset or SMALL)

    monkeypatch.setattr(selection, "select", select)


def test_this_installation_measures_what_it_should(tmp_path: Path) -> None:
    found = selftest(dataset=SMALL, output=tmp_path)
    assert found.passed, found.outside
    assert {score.dataset for score in found.scores} == {SMALL}
    assert found.protocol == {}
    assert (tmp_path / "results.csv").is_file()
    assert selftest(dataset=SMALL, records=tmp_path) == found
    (tmp_path / "fgclip2-tiny/boxclass-cn.json").unlink()
    assert "no record of fgclip2-tiny" in selftest(dataset=SMALL, records=tmp_path).not_evaluated[SMALL]


@pytest.mark.usefixtures("only_small")
def test_written_expectations_are_met_to_the_last_digit(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    made = write_expected(path, model="fgclip2-untrained?seed=3", output=tmp_path / "results")
    assert made.model == "fgclip2-untrained?seed=3"
    assert made.rule == read_expectation().rule
    found = selftest(dataset=SMALL, expected=path)
    assert [score.measured for score in found.scores] == [score.expected for score in found.scores]
    assert found.environment == found.other_pictures == ()


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"version": 1}, DataError, "version 1 of the miniature suite"),
        ({"weights": {"fgclip2-tiny": "0" * 64}}, ModelError, "weights of fgclip2-tiny"),
        ({"model": "fgclip2-untrained"}, ModelError, "fgclip2-tiny, which fgclip2-untrained does not stand for"),
        ({"datasets": {}}, UsageError, "no expected results for boxclass-cn"),
    ],
)
def test_what_does_not_compare_is_refused(
    tmp_path: Path, change: dict[str, object], error: type[FgbenchError], said: str
) -> None:
    shipped = read_expectation()
    names = {name: each for name, each in shipped.datasets.items() if each.model == "fgclip2-tiny"}
    changed = dataclasses.replace(shipped, **{"datasets": names, **change})  # type: ignore[arg-type]
    write_expectation(changed, tmp_path / "expected.json")
    with pytest.raises(error, match=said):
        selftest(dataset=SMALL, expected=tmp_path / "expected.json")


@pytest.mark.usefixtures("only_small")
def test_nothing_is_written_where_a_dataset_is_not_evaluated(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is written"):
        write_expected(tmp_path / "own.json", model="llava-untrained")
    assert not (tmp_path / "own.json").exists()


class TestCommand:
    def run(self, *arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["selftest", *arguments])
        return result.exit_code, result.stdout or str(result.exception)

    def test_a_number_that_is_off_fails_and_says_what_that_means(self, tmp_path: Path) -> None:
        shipped = read_expectation()
        dataset = shipped.datasets[SMALL]
        first, *others = dataset.scores
        off = dataclasses.replace(first, value=first.value + first.allowed + 0.01)
        moved = dataclasses.replace(
            dataset, scores=(off, *others), protocol={**dataset.protocol, "budget": 128}, images_sha256=""
        )
        write_expectation(
            dataclasses.replace(shipped, datasets={SMALL: moved}, environment={}), tmp_path / "expected.json"
        )
        options = ("--dataset", SMALL, "--expected", str(tmp_path / "expected.json"))
        code, text = self.run(*options)
        text = " ".join(text.split())
        assert code == 1
        assert "OUTSIDE" in text
        assert "budget: 128 → None" in text
        assert "not byte for byte" in text
        assert "do not trust its results" in text
        code, text = self.run(*options, "--json")
        assert code == 1
        assert [score["inside"] for score in json.loads(text)["scores"]] == [False, True]

    def test_inside(self) -> None:
        code, text = self.run("--dataset", SMALL)
        assert code == 0
        assert "Passed: 2 of 2 numbers" in " ".join(text.split())

    @pytest.mark.parametrize("arguments", [("--model", "fgclip2-tiny"), ("--write", "x.json", "--dataset", SMALL)])
    def test_options_that_contradict_each_other(self, arguments: tuple[str, ...]) -> None:
        code, text = self.run(*arguments)
        assert code == 1
        assert "--write" in text

    def test_writing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: dict[str, object] = {}

        def write(path: Path, **options: object) -> object:
            asked.update(options, path=path)
            return read_expectation()

        monkeypatch.setattr(selftest_api, "write_expected", write)
        code, _ = self.run("--write", str(tmp_path / "own.json"), "--model", "fgclip2")
        assert code == 0
        assert (asked["path"], asked["model"]) == (tmp_path / "own.json", "fgclip2")
