from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from fgbench import selection
from fgbench.errors import UsageError
from fgbench.selection import select
from fgbench.spec import Choice, DatasetSpec, EvaluationProtocol, TextProtocol

from .fakes import FakeTask, dataset_spec
from .plugins import Install

PLUG_IN = """
from fgbench.tasks.fine_grained import FG_OVD
from dataclasses import replace

class Another:
    id, title, position = "another", "Another", 5
    datasets = (replace(FG_OVD, id="their-dataset", task="another"),)
    def load(self, spec, files, limit): ...
    def requests(self, spec, loaded): ...
    def score(self, spec, loaded, features): ...

task = Another()
"""


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Registries are built once per process; plug-ins of one test must not be seen by the next."""
    yield
    selection.tasks.cache_clear()
    selection.datasets.cache_clear()


@pytest.fixture
def installed(install: Install) -> Install:
    selection.tasks.cache_clear()
    selection.datasets.cache_clear()
    return install


def ids(task: str | list[str] | None, dataset: str | list[str] | None = None) -> list[str]:
    return [spec.id for _, spec in select(task, dataset)]


def every() -> list[DatasetSpec]:
    return [selection.datasets().get(name)[1] for name in selection.datasets()]


def test_nothing_chosen_means_everything_but_optional_datasets() -> None:
    assert ids(None) == ids("all") == [spec.id for spec in every() if not spec.optional]


def test_an_optional_dataset_is_chosen_by_its_name() -> None:
    assert ids("all", "coco-karpathy,coco") == ["coco", "coco-karpathy"]
    assert ids("short-retrieval", "coco-karpathy") == ["coco-karpathy"]
    assert "coco-karpathy" not in ids("short-retrieval")


def test_every_dataset_of_the_paper_belongs_to_all() -> None:
    assert [spec.id for spec in every() if spec.optional and spec.published] == []


def test_tasks_come_in_the_paper_s_order() -> None:
    positions = [selection.tasks().get(name).position for name in selection.tasks()]
    assert positions == sorted(set(positions))


def test_a_task_chooses_its_datasets() -> None:
    assert ids("fine-grained") == ["fg-ovd"]


def test_names_may_be_separated_by_commas_and_blanks() -> None:
    assert ids(" short-retrieval , fine-grained ", "coco,fg-ovd") == ["fg-ovd", "coco"]


def test_a_sequence_is_as_good_as_commas() -> None:
    assert ids(["fine-grained", "short-retrieval"], ["coco"]) == ["coco"]


def test_the_order_asked_for_does_not_matter_and_doubles_count_once() -> None:
    assert ids(None, "coco,fg-ovd,coco") == ["fg-ovd", "coco"]


@pytest.mark.parametrize("empty", ["", " , ", []])
def test_an_empty_choice_is_refused(empty: str | list[str]) -> None:
    with pytest.raises(UsageError, match="empty list"):
        select(empty, None)
    with pytest.raises(UsageError, match="empty list"):
        select(None, empty)


def test_a_misspelt_task_is_corrected() -> None:
    with pytest.raises(UsageError, match=r"There is no task 'fine-graind'. Did you mean 'fine-grained'"):
        select("fine-graind", None)


def test_a_misspelt_dataset_is_corrected_even_beside_a_right_one() -> None:
    with pytest.raises(UsageError, match=r"There is no dataset 'fgovd'. Did you mean 'fg-ovd'"):
        select(None, "coco,fgovd")


def test_a_dataset_of_another_task_is_refused() -> None:
    with pytest.raises(UsageError, match="'coco' belongs to task 'short-retrieval', which is not among fine-grained"):
        select("fine-grained", "coco")


def test_a_package_can_add_a_task(installed: Install) -> None:
    installed("pluga", PLUG_IN, {"fgbench.tasks": {"another": "task"}})
    assert ids("another") == ["their-dataset"]
    assert "their-dataset" in ids(None)


def test_a_broken_package_is_left_out_with_a_warning(installed: Install) -> None:
    installed("pluga", "1/0", {"fgbench.tasks": {"another": "task"}})
    with pytest.warns(UserWarning, match="Left out: Task 'another' comes from the package 'pluga'"):
        found = ids(None)
    assert "coco" in found


def test_a_package_that_offers_no_task_is_left_out_with_a_warning(installed: Install) -> None:
    installed("pluga", "task = 'not a task'", {"fgbench.tasks": {"another": "task"}})
    with pytest.warns(UserWarning, match="Left out: .*'another'"):
        found = ids(None)
    assert "coco" in found


def test_a_package_cannot_replace_a_dataset(installed: Install) -> None:
    source = PLUG_IN.replace("their-dataset", "fg-ovd")
    installed("pluga", source, {"fgbench.tasks": {"another": "task"}})
    with pytest.raises(UsageError, match=r"Two datasets are called 'fg-ovd'.*task fine-grained.*task another"):
        select(None, None)


class TestChoices:
    OPEN = dataset_spec(
        "open",
        protocol=EvaluationProtocol(
            id="free",
            text=TextProtocol(kind="box", lowercase=True),
            choices={
                "synonyms": Choice("mean", ("mean", "first"), "names of a class"),
                "alpha": Choice("0.5", None, ""),
            },
        ),
    )
    SELECTED: ClassVar = [(FakeTask({}), OPEN), (FakeTask({}), dataset_spec("closed"))]

    def test_what_differs_from_the_default_is_kept(self) -> None:
        chosen = selection.choose(self.SELECTED, {"synonyms": "first", "alpha": "0.5"})
        assert [dict(spec.protocol.chosen) for _, spec in chosen] == [{"synonyms": "first"}, {}]
        assert chosen[0][1].protocol.choice("synonyms") == "first"
        assert chosen[0][1].protocol.choice("alpha") == "0.5"
        assert not self.OPEN.protocol.chosen

    @pytest.mark.parametrize(
        ("choices", "message"),
        [
            ({"synonym": "first"}, "leave open: alpha, synonyms"),
            ({"synonyms": "last"}, "mean, first"),
            ({"alpha": "1.5"}, "a number from 0 to 1"),
            ({"alpha": "nan"}, "a number from 0 to 1"),
            ({"alpha": "half"}, "a number from 0 to 1"),
        ],
    )
    def test_mistakes_list_what_there_is(self, choices: dict[str, str], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            selection.choose(self.SELECTED, choices)
