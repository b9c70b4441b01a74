from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest

from fgbench import selection
from fgbench.report.page.words import Words, metric, words
from fgbench.report.remarks import SENTENCES

TEMPLATES = files("fgbench.report.page").joinpath("templates")
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def test_all_words_are_there_in_both_languages() -> None:
    pairs = json.loads(TEMPLATES.joinpath("words.json").read_text(encoding="utf-8")).values()
    for en, zh in [*pairs, *SENTENCES.values()]:
        assert not CHINESE.search(en)
        assert CHINESE.search(zh)


def test_templates_ask_only_for_words_that_are_there_and_use_all() -> None:
    known = set(json.loads(TEMPLATES.joinpath("words.json").read_text(encoding="utf-8")))
    text = "".join(each.read_text(encoding="utf-8") for each in TEMPLATES.iterdir() if each.name.endswith(".j2"))
    asked = {name for name in re.findall(r"(?:\bt|words)\('(\w+)'", text) if not name.endswith("_")}
    assert asked <= known, asked - known
    composed = {key for key in known if key.startswith(("scope_", "group_", "facts_"))}
    quoted = set(re.findall(r"'(\w+)'", text))
    assert known - composed - quoted == set()


def test_every_built_in_task_has_a_chinese_title() -> None:
    for name in selection.tasks():
        assert CHINESE.search(getattr(selection.tasks().get(name), "title_zh", "")), name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("i2t_r1", Words("image→text R@1", "图→文 R@1")),
        ("t2i_r10", Words("text→image R@10", "文→图 R@10")),
        ("apr", Words("APr", "APr")),
        ("accuracy", Words("Accuracy", "准确率")),
        ("i2t_rx", Words("i2t_rx", "i2t_rx")),
        ("my_metric", Words("my_metric", "my_metric")),
    ],
)
def test_metrics_have_names(name: str, expected: Words) -> None:
    assert metric(name) == expected


def test_unknown_words_are_an_error() -> None:
    with pytest.raises(KeyError):
        words("no such key")
