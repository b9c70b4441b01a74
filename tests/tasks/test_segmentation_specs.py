"""Declarations of the segmentation sets and the prompts that follow from their choices."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path, PurePosixPath

import pytest

from fgbench.report.paper import foreign_protocol
from fgbench.requests import ClassPrompts, LabelMaps
from fgbench.runner.windows import NAMES, PRESETS
from fgbench.spec import DatasetSpec, MetricKey
from fgbench.task import DrawsPictures, ScoresPredictions, Task
from fgbench.tasks.label_encodings import FOLDS
from fgbench.tasks.resources import lines
from fgbench.tasks.segmentation import TASK
from fgbench.tasks.segmentation_specs import SETS, TEMPLATES

from .segmentation_layouts import opened, some_maps, write_set

PICTURES = {
    "ade20k-847": 2000,
    "pascal-context-459": 5104,
    "ade20k-150": 2000,
    "pascal-context-59": 5104,
    "voc-20": 1449,
    "voc-21": 1449,
}


def prompts(root: Path, dataset: str, **chosen: str) -> ClassPrompts:
    """Class prompts under some choices."""
    write_set(root, dataset, "prepared", some_maps(dataset))
    found = opened(dataset, root)
    spec = replace(found.spec, protocol=replace(found.spec.protocol, chosen=chosen))
    maps = TASK.requests(spec, found.loaded)["maps"]
    assert isinstance(maps, LabelMaps)
    return maps.classes


def test_the_task_conforms_and_comes_after_the_others() -> None:
    assert isinstance(TASK, Task)
    assert isinstance(TASK, ScoresPredictions)
    assert isinstance(TASK, DrawsPictures)
    assert (TASK.id, TASK.position) == ("segmentation", 70)
    assert [spec.id for spec in TASK.datasets] == list(PICTURES)


@pytest.mark.parametrize("spec", TASK.datasets, ids=lambda spec: spec.id)
class TestEach:
    def test_protocol(self, spec: DatasetSpec) -> None:
        protocol = spec.protocol
        assert protocol.id == "training-free"
        assert (protocol.text.kind, protocol.text.lowercase, protocol.budget) == ("box", True, 1024)
        assert {name: protocol.choice(name) for name in ("windows", "templates")} == {
            "windows": "auto",
            "templates": "imagenet80",
        }
        assert protocol.choices["windows"].allowed == NAMES == ("auto", *PRESETS)
        assert ("synonyms" in protocol.choices) == (spec.id == "ade20k-847")
        assert {"miou", "background", "upsampling", "tie", "classes"} <= set(protocol.details)

    def test_the_paper_s_numbers_are_another_protocol_s(self, spec: DatasetSpec) -> None:
        assert set(spec.published) == set(spec.main)
        assert {cell.protocol for cell in spec.published.values()} == {"catseg"}
        for key in spec.published:
            assert foreign_protocol(spec, key, spec.protocol.id) == "catseg"
            assert foreign_protocol(spec, key, "catseg") is None
        assert any("catseg" in note for note in spec.notes)

    def test_numbers(self, spec: DatasetSpec) -> None:
        assert spec.published_items == {"all": PICTURES[spec.id]}
        assert spec.main == (MetricKey("all", "miou"),)
        assert spec.metrics[:3] == ("miou", "miou_union", "miou_all")

    def test_the_digest_of_the_prompts_is_that_of_the_list(self, spec: DatasetSpec) -> None:
        data = files("fgbench.tasks").joinpath(f"data/{spec.protocol.text.classes}.txt").read_bytes()
        [prefix] = re.findall(r"\(sha256 ([0-9a-f]{8})…\)", spec.protocol.details["classes"])
        assert hashlib.sha256(data).hexdigest().startswith(prefix)

    def test_places_and_words(self, spec: DatasetSpec) -> None:
        assert {"images", "prepared"} <= set(spec.files)
        for places in spec.files.values():
            assert len(set(places)) == len(places) > 0
            assert not any(PurePosixPath(place).is_absolute() or ".." in place for place in places)
        assert re.fullmatch(r"https://\S+", spec.homepage)
        assert "<data root>" in spec.how_to_get
        assert all((spec.title, spec.licence, spec.citation))


@pytest.mark.parametrize("known", SETS, ids=lambda known: known.spec.id)
def test_lists_and_forms_go_together(known: object) -> None:
    assert isinstance(known, type(SETS[0]))
    classes = len(lines(known.classes))
    assert classes == int(known.spec.id.rsplit("-", 1)[-1])
    assert known.spec.protocol.text.classes == known.prompts
    for form in known.forms:
        assert form.role in known.spec.files
        decoded = form.encoding.lookup
        assert decoded[decoded < 65_534].max() == classes - 1
    folded = FOLDS[known.fold][: len(lines(known.prompts))] if known.fold else range(len(lines(known.prompts)))
    assert sorted(set(folded)) == list(range(classes))


class TestPrompts:
    def test_80_templates_unless_chosen(self, tmp_path: Path) -> None:
        found = prompts(tmp_path, "ade20k-150")
        assert found.names == lines("ade150_classnames")
        assert found.templates == lines("templates_80")
        assert found.classes is None
        assert "a bad photo of a chest of drawers." in found.strings()

    def test_one_template_lower_cased(self, tmp_path: Path) -> None:
        found = prompts(tmp_path, "pascal-context-459", templates="scene")
        assert set(TEMPLATES) == {"imagenet80", "scene"}
        assert lines("templates_scene") == ("A photo of a {} in the scene",)
        assert found.strings()[255] == "a photo of a monkey in the scene"
        assert len(found.strings()) == 459

    def test_voc21_prompts_59_names(self, tmp_path: Path) -> None:
        found = prompts(tmp_path, "voc-21")
        assert (len(found.names), found.names[19:22]) == (59, ("tvmonitor", "bag", "bed"))
        assert "background" not in found.names

    def test_synonyms_share_a_class(self, tmp_path: Path) -> None:
        found = prompts(tmp_path, "ade20k-847", templates="scene")
        assert found.classes is not None
        assert (len(found.names), len(found.classes), found.classes[-1]) == (1281, 1281, 846)
        assert found.names[:3] == ["wall", "building", "edifice"]
        assert list(found.classes[:4]) == [0, 1, 1, 2]
        assert sorted(set(found.classes)) == list(range(847))
        place = found.names.index("lord's table")
        assert found.names[place - 2] == "altar"
        assert lines("ade847_classnames")[found.classes[place]] == "altar, communion table, lord's table"

    def test_or_the_first_one_stands_for_all(self, tmp_path: Path) -> None:
        found = prompts(tmp_path, "ade20k-847", synonyms="first")
        assert found.classes is None
        assert (len(found.names), len(set(found.names))) == (847, 837)
        assert found.names[1] == "building"


def test_windows_and_budget_reach_the_request(tmp_path: Path) -> None:
    write_set(tmp_path, "voc-20", "prepared", some_maps("voc-20"))
    found = opened("voc-20", tmp_path)
    assert (found.maps.windows, found.maps.budget) == ("auto", 1024)
    spec = replace(found.spec, protocol=replace(found.spec.protocol, chosen={"windows": "proxy448"}))
    assert TASK.requests(spec, found.loaded)["maps"].windows == "proxy448"


def test_the_limit_keeps_the_first_pictures(tmp_path: Path) -> None:
    write_set(tmp_path, "voc-20", "prepared", some_maps("voc-20"))
    found = opened("voc-20", tmp_path, limit=2)
    assert found.stems == list(some_maps("voc-20"))[:2]
    assert found.loaded.size == {"all": 2}
