from __future__ import annotations

import sys

import pytest

from fgbench.errors import UsageError
from fgbench.registry import Registry, resolve

from .plugins import Install

GROUP = "fgbench.test_registry"


def registry(*names: str) -> Registry[object]:
    things: Registry[object] = Registry("model", entry_point_group=GROUP)
    for name in names:
        things.add(name, f"built-in {name}", origin="fgbench.builtin")
    return things


def test_a_name_gives_the_thing_registered_under_it() -> None:
    assert registry("one", "two").get("two") == "built-in two"


def test_a_collision_names_both_sides() -> None:
    things = registry("clip")
    with pytest.raises(UsageError, match=r"'clip'.*from fgbench.builtin.*from elsewhere"):
        things.add("clip", "another", origin="elsewhere")
    assert things.get("clip") == "built-in clip"


@pytest.mark.parametrize("typed", ["fgclip-2", "FGCLIP2", "fgclp2"])
def test_a_near_miss_is_answered_with_the_right_name(typed: str) -> None:
    with pytest.raises(UsageError, match=r"There is no model .*Did you mean 'fgclip2'\?"):
        registry("fgclip2", "openclip").get(typed)


def test_a_far_miss_lists_what_is_known() -> None:
    with pytest.raises(UsageError, match="Known: fgclip2, openclip"):
        registry("fgclip2", "openclip").get("zzzzzz")


def test_names_keep_the_order_of_registration() -> None:
    assert list(registry("z", "a", "m")) == ["z", "a", "m"]


def test_an_entry_point_is_found_and_loaded(install: Install) -> None:
    install("pluga", "thing = 'from the package'", {GROUP: {"extra": "thing"}})
    things = registry("own")
    assert list(things) == ["own", "extra"]
    assert "extra" in things
    assert things.get("extra") == "from the package"
    assert things.origin("extra") == "pluga 1.0"
    assert things.origin("own") == "fgbench.builtin"


def test_entry_points_of_other_groups_are_not_ours(install: Install) -> None:
    install("pluga", "thing = 1", {"somebody.else": {"extra": "thing"}})
    assert "extra" not in registry()


def test_listing_imports_nothing(install: Install) -> None:
    install("pluga", "raise RuntimeError('imported')", {GROUP: {"extra": "thing"}})
    assert list(registry()) == ["extra"]
    assert "pluga" not in sys.modules


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import a_module_that_does_not_exist", "ModuleNotFoundError"),
        ("1/0", "ZeroDivisionError"),
        ("def (", "SyntaxError"),
        ("other = 1", "AttributeError"),
    ],
)
def test_a_plug_in_that_cannot_be_loaded_is_named_with_its_error(install: Install, source: str, reason: str) -> None:
    install("pluga", source, {GROUP: {"extra": "thing"}})
    with pytest.raises(UsageError, match=rf"'extra' comes from the package 'pluga'.*{reason}.*uninstall"):
        registry().get("extra")


def test_a_broken_plug_in_leaves_the_others_usable(install: Install) -> None:
    install("pluga", "1/0", {GROUP: {"bad": "thing"}})
    install("plugb", "thing = 'good'", {GROUP: {"good": "thing"}})
    assert registry().get("good") == "good"


def test_two_packages_with_one_name_are_told_apart(install: Install) -> None:
    install("pluga", "thing = 'a'", {GROUP: {"extra": "thing"}})
    install("plugb", "thing = 'b'", {GROUP: {"extra": "thing"}})
    things = registry()
    with pytest.raises(UsageError, match="claimed by") as caught:
        things.get("extra")
    assert "pluga/extra" in str(caught.value)
    assert "plugb/extra" in str(caught.value)
    assert things.get("pluga/extra") == "a"
    assert things.get("plugb/extra") == "b"


def test_a_package_cannot_take_a_built_in_name_in_silence(install: Install) -> None:
    install("pluga", "thing = 'a'", {GROUP: {"own": "thing"}})
    things = registry("own")
    with pytest.raises(UsageError, match=r"own of fgbench itself, pluga/own"):
        things.get("own")
    assert things.get("pluga/own") == "a"
    assert things.names() == ["own"]


def test_an_unknown_package_before_the_slash_is_unknown(install: Install) -> None:
    install("pluga", "thing = 'a'", {GROUP: {"extra": "thing"}})
    with pytest.raises(UsageError, match="There is no model 'plugz/extra'"):
        registry().get("plugz/extra")


def test_resolve_gives_a_module_or_one_of_its_attributes() -> None:
    import json

    assert resolve("json") is json
    assert resolve("json:dumps") is json.dumps


def test_a_bare_checkout_is_told_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fgbench.tasks", None)
    with pytest.raises(UsageError, match=r"fgbench.tasks is not installed.*pip install -e"):
        resolve("fgbench.tasks")


def test_other_missing_modules_keep_their_traceback() -> None:
    with pytest.raises(ModuleNotFoundError, match="a_module_that_does_not_exist"):
        resolve("a_module_that_does_not_exist")
