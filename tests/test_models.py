from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fgbench import models
from fgbench.adapter import Adapter
from fgbench.errors import ModelError, UsageError
from fgbench.models import Family, ModelSpec, load_adapter, parse

from .fakes import FakeAdapter
from .plugins import Install

LOADED: list[tuple[str, dict[str, str]]] = []


def load_fake(target: str, *, size: str = "small", revision: str = "main", strict: str = "") -> Adapter:
    LOADED.append((target, {"size": size, "revision": revision}))
    return FakeAdapter(name="ignored", source=target, notes=("from the adapter",))


def load_nothing(target: str) -> object:
    return object()


def load_with_a_bug(target: str) -> object:
    raise TypeError("unsupported operand")


FAKE = Family(
    scheme="fake",
    title="fakes",
    factory=f"{__name__}:load_fake",
    example="fake:some/target",
    options={"size": "small or large", "revision": "commit", "strict": "unused"},
    models=(
        ModelSpec(
            id="fake-base",
            title="Fake base",
            target="someone/fake-base",
            licence="MIT",
            languages=("en", "zh"),
            paper=("Fake", "ViT-B/16"),
            aliases=("fake-b",),
            note="settings are inferred",
        ),
        ModelSpec(id="fake-tuned", title="Fake tuned", target="x", licence="MIT", options={"size": "large"}),
    ),
    accepts=lambda path: (path / "fake.json").is_file() or path.suffix == ".fake",
)
EMPTY = Family("empty", "returns no adapter", f"{__name__}:load_nothing", "empty:x")
BUGGY = Family("buggy", "has a bug", f"{__name__}:load_with_a_bug", "buggy:x")


@pytest.fixture(autouse=True)
def families(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(models, "families", lambda: (FAKE, EMPTY, BUGGY))
    monkeypatch.chdir(tmp_path)
    LOADED.clear()


def test_a_declared_model_knows_its_target() -> None:
    choice = parse("fake-base")
    assert (choice.name, choice.target, choice.options) == ("fake-base", "someone/fake-base", {})


def test_an_alias_is_reported_under_the_model_s_own_name() -> None:
    assert parse("fake-b") == parse("fake-base")


def test_a_scheme_takes_any_target() -> None:
    choice = parse("fake:some/target:with/colon")
    assert (choice.name, choice.target) == ("fake:some/target:with/colon", "some/target:with/colon")


def test_options_are_split_off() -> None:
    choice = parse("fake:x?size=large&revision=abc=1")
    assert choice.target == "x"
    assert choice.options == {"size": "large", "revision": "abc=1"}


@pytest.mark.parametrize("text", ["fake:x?size", "fake:x?=large", "fake:x?size=", "fake-base?size=large&x"])
def test_an_option_without_key_or_value_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected key=value"):
        parse(text)


@pytest.mark.parametrize("text", ["fake:x?colour=red", "fake-base?colour=red"])
def test_an_unknown_option_is_answered_with_the_known_ones(text: str) -> None:
    with pytest.raises(UsageError, match=r"no option 'colour'.*revision, size"):
        parse(text)


def test_a_family_without_options_says_so() -> None:
    with pytest.raises(UsageError, match="Their options: none"):
        parse("empty:x?size=1")


@pytest.mark.parametrize("text", ["fake", "fake:", "fake?size=large"])
def test_a_scheme_without_target_shows_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="needs a target, for example 'fake:some/target'"):
        parse(text)


def test_a_declared_model_takes_no_target() -> None:
    with pytest.raises(UsageError, match="'fake-base' is a model of its own"):
        parse("fake-base:x")


def test_a_misspelt_alias_is_corrected() -> None:
    with pytest.raises(UsageError, match="Did you mean 'fake-base'"):
        parse("fake-bas")


def test_a_hub_id_is_told_its_scheme() -> None:
    with pytest.raises(UsageError, match="type 'hf:someone/model'"):
        parse("someone/model")


@pytest.mark.parametrize("text", ["x" * 5000, "fake-base\0"])
def test_a_name_that_cannot_be_a_path_is_an_unknown_name(text: str) -> None:
    with pytest.raises(UsageError, match="There is no model"):
        parse(text)


def test_an_existing_path_wins_over_an_alias(tmp_path: Path) -> None:
    (tmp_path / "fake-base").mkdir()
    (tmp_path / "fake-base/fake.json").touch()
    choice = parse("fake-base")
    assert choice.target == "fake-base"
    assert choice.entry is not None
    assert choice.entry.model is None


def test_a_path_may_have_options_and_even_a_question_mark(tmp_path: Path) -> None:
    for name in ("plain", "odd?size=name"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "fake.json").touch()
    assert parse("plain?size=large").options == {"size": "large"}
    assert parse("odd?size=name").target == "odd?size=name"


def test_options_of_a_path_are_checked_too(tmp_path: Path) -> None:
    (tmp_path / "plain.fake").touch()
    with pytest.raises(UsageError, match="no option 'colour'"):
        parse("plain.fake?colour=red")


@pytest.mark.parametrize(("folder", "name"), [("last", "last"), ("run-1.0", "run-1.0"), ("a.b.c", "a.b.c")])
def test_a_folder_gives_its_whole_name(tmp_path: Path, folder: str, name: str) -> None:
    """Two checkpoints ``run-1.0`` and ``run-1.5`` are two models."""
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "fake.json").touch()
    assert parse(f"./{folder}/").name == name


def test_a_file_gives_its_name_without_suffix(tmp_path: Path) -> None:
    (tmp_path / "weights.fake").touch()
    assert parse("weights.fake").name == "weights"


def test_a_path_that_nobody_recognises_is_refused(tmp_path: Path) -> None:
    (tmp_path / "strange").mkdir()
    with pytest.raises(UsageError, match="strange exists, but no adapter recognises it"):
        parse("strange")


def test_a_plug_in_s_factory_gets_target_and_options(install: Install) -> None:
    source = "def load(target, **options): return ('loaded', target, options)"
    install("pluga", source, {"fgbench.adapters": {"theirs": "load"}})
    choice = parse("theirs:target?depth=3")
    assert choice.entry is None
    assert callable(choice.factory)
    assert (choice.name, choice.target, choice.options) == ("theirs:target?depth=3", "target", {"depth": "3"})


def test_a_plug_in_may_not_need_a_target(install: Install) -> None:
    install("pluga", "def load(target): ...", {"fgbench.adapters": {"theirs": "load"}})
    assert parse("theirs").target == ""


def test_declared_facts_win_over_those_of_the_adapter() -> None:
    info = load_adapter("fake-base").info
    assert LOADED == [("someone/fake-base", {"size": "small", "revision": "main"})]
    assert info.name == "fake-base"
    assert info.licence == "MIT"
    assert info.languages == ("en", "zh")
    assert info.paper == ("Fake", "ViT-B/16")
    assert info.notes == ("from the adapter", "settings are inferred")
    assert info.source == "someone/fake-base"


def test_the_name_carries_options_but_not_the_revision() -> None:
    assert load_adapter("fake-base?size=large&revision=v1").info.name == "fake-base?size=large"
    assert load_adapter("fake-b?strict=1&size=large").info.name == "fake-base?size=large&strict=1"
    assert LOADED[0][1]["revision"] == "v1"


def test_the_source_of_a_local_model_carries_nobody_s_folders(tmp_path: Path) -> None:
    folder = tmp_path / "somebody" / "checkpoint"
    folder.mkdir(parents=True)
    (folder / "fake.json").touch()
    info = load_adapter(str(folder)).info
    assert (info.name, info.source) == ("checkpoint", "local:checkpoint")


def test_the_name_of_a_model_string_with_a_file_carries_nobody_s_folders(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").touch()
    assert parse(f"fake:{tmp_path}/weights.pt").name == "fake:weights.pt"
    assert parse(f"fake:base@{tmp_path}/weights.pt?size=large").name == "fake:base@weights.pt?size=large"
    assert parse("fake:base@weights.pt").name == "fake:base@weights.pt"
    assert parse("fake:someone/base").name == "fake:someone/base", "no file: a hub id"


def test_the_name_leaves_presets_out() -> None:
    """They belong to the declared model; only what the user chose is added."""
    choice = parse("fake-tuned?strict=1")
    assert choice.name == "fake-tuned?strict=1"
    assert choice.options == {"size": "large", "strict": "1"}
    assert parse("fake-tuned?size=small").options == {"size": "small"}


def test_a_factory_that_returns_something_else_is_a_model_error() -> None:
    with pytest.raises(ModelError, match="returned object, which lacks members of the adapter protocol"):
        load_adapter("empty:x")


def test_an_option_that_a_plug_in_does_not_take_is_a_usage_error(install: Install) -> None:
    install("pluga", "def load(target): ...", {"fgbench.adapters": {"theirs": "load"}})
    with pytest.raises(UsageError, match="unexpected keyword argument 'depth'"):
        load_adapter("theirs:x?depth=3")


def test_a_bug_in_a_factory_keeps_its_traceback() -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        load_adapter("buggy:x")


def test_the_fake_conforms_to_the_protocol() -> None:
    assert isinstance(FakeAdapter(), Adapter)


class TestCatalogue:
    """The built-in families, as declared."""

    @pytest.fixture
    def declared(self, monkeypatch: pytest.MonkeyPatch) -> tuple[Family, ...]:
        monkeypatch.undo()
        return models.families()

    def test_every_name_is_registered_once(self, declared: tuple[Family, ...]) -> None:
        names = [name for family in declared for name in (family.scheme, *(model.id for model in family.models))]
        assert set(names) <= set(models.registry())
        assert len(names) == len(set(names))

    def test_every_example_can_be_parsed(self, declared: tuple[Family, ...]) -> None:
        for family in declared:
            choice = parse(family.example)
            assert choice.entry is not None
            assert choice.entry.family is family

    def test_preset_options_are_options_of_the_family(self, declared: tuple[Family, ...]) -> None:
        undeclared: dict[str, Any] = {
            model.id: set(model.options) - set(family.options) for family in declared for model in family.models
        }
        assert {name: options for name, options in undeclared.items() if options} == {}
