"""Templates and class names that ship with the tasks."""

from __future__ import annotations

from collections import Counter
from importlib.resources import files

import pytest

from fgbench.requests import ClassPrompts
from fgbench.selection import datasets
from fgbench.tasks.labelled import class_prompts
from fgbench.tasks.resources import lines

from .reading import excerpt

NAMES = ("imagenet_classnames", "imagenet_classnames_zh", "imagenet_wnids", "templates_80", "templates_80_zh")


def prompts(names: list[str], dataset: str) -> ClassPrompts:
    found = class_prompts(names, datasets().get(dataset)[1].protocol.text)
    assert isinstance(found, ClassPrompts)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_files_are_plain_lists(name: str) -> None:
    data = files("fgbench.tasks").joinpath(f"data/{name}.txt").read_bytes()
    text = data.decode("utf-8")
    assert "\r" not in text
    assert not text.startswith("\ufeff")
    assert tuple(text.removesuffix("\n").split("\n")) == lines(name)
    assert all(line == line.strip() != "" for line in lines(name))


def test_an_unknown_list_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        lines("no_such_list")


@pytest.mark.parametrize(("name", "distinct"), [("templates_80", 80), ("templates_80_zh", 78)])
def test_80_templates_with_one_place_each(name: str, distinct: int) -> None:
    found = lines(name)
    assert (len(found), len(set(found))) == (80, distinct)
    assert all(template.count("{}") == 1 and template.count("{") == 1 for template in found)


def test_templates_are_those_of_clip_in_their_order() -> None:
    found = lines("templates_80")
    assert (found[0], found[-1]) == ("a bad photo of a {}.", "a tattoo of the {}.")
    assert {"a origami {}.", "a {} in a video game.", "itap of my {}."} <= set(found)
    assert Counter(lines("templates_80_zh")).most_common(2) == [("{}的裁剪照片。", 2), ("{}的涂鸦照。", 2)]


def test_1000_english_names_of_998_classes() -> None:
    found = lines("imagenet_classnames")
    assert (len(found), len(set(found)), len({name.lower() for name in found})) == (1000, 998, 998)
    assert (found[21], found[134], found[517], found[999]) == (
        "kite (bird of prey)", "crane bird", "construction crane", "toilet paper",
    )  # fmt: skip
    twice = {name: [n for n, other in enumerate(found) if other == name] for name, k in Counter(found).items() if k > 1}
    assert twice == {"missile": [657, 744], "sunglasses": [836, 837]}
    assert sum(name != name.lower() for name in found) == 155
    assert sum("(" in name for name in found) == 6


def test_1000_chinese_names() -> None:
    found = lines("imagenet_classnames_zh")
    assert (len(found), len(set(found)), found[21]) == (1000, 999, "鸢（猛禽）")
    assert [n for n, name in enumerate(found) if name == "太阳镜"] == [836, 837]


def test_1000_wnids_in_order() -> None:
    found = lines("imagenet_wnids")
    assert list(found) == sorted(set(found))
    assert (len(found), found[0], found[21], found[278], found[-1]) == (
        1000, "n01440764", "n01608432", "n02119789", "n15075141",
    )  # fmt: skip


def test_imagenet_has_79_840_different_texts() -> None:
    strings = prompts(list(lines("imagenet_classnames")), "imagenet-1k").strings()
    assert (len(strings), len(set(strings))) == (80_000, 79_840)
    assert strings[21 * 80] == "a bad photo of a kite (bird of prey)."
    assert not any(text != text.lower() for text in strings)


def test_coco_has_6_400_different_texts() -> None:
    names = [row["name"] for row in excerpt("coco_instances.json")["categories"]]
    assert len(names) == 80
    strings = prompts(names, "coco-box").strings()
    assert (len(strings), len(set(strings))) == (6400, 6400)
    assert {"a bad photo of a tv.", "a bad photo of a hair drier.", "a tattoo of the potted plant."} <= set(strings)


def test_without_templates_the_bare_name_is_the_prompt() -> None:
    found = prompts(["T恤", "{}"], "boxclass-cn")
    assert found.strings() == ["T恤", "{}"]
