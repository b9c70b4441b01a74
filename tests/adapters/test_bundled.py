"""The small trained models that come with fgbench: they load without a network, and they have learned something."""

from __future__ import annotations

from pathlib import Path

import pytest

from fgbench import evaluate
from fgbench.data.mini.boxes import write_boxes
from fgbench.data.mini.label_maps import write_label_maps
from fgbench.data.mini.world import render, scene
from fgbench.errors import UsageError
from fgbench.generator import Generator
from fgbench.models import declared_chat, load_adapter, load_model

CHAT = "llava-tiny"
NAMES = ("fgclip2-tiny", "fgclip2-tiny-early")
DATASETS = "fg-ovd,coco-box,pascal-context-59"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundled")
    write_boxes(folder)
    write_label_maps(folder)
    return folder


def measured(model: str, root: Path, output: Path) -> dict[str, float]:
    """Every score by dataset, subset and metric."""
    result = evaluate(model, dataset=DATASETS, data_root=root, output=output, device="cpu")
    assert result.exit_code == 0
    return {
        f"{record['dataset']}/{score['subset']}/{score['metric']}": score["value"]
        for record in result.records
        for score in record["scores"]
    }


@pytest.mark.parametrize("name", NAMES)
def test_they_load_and_say_what_they_are(name: str) -> None:
    info = load_adapter(name).info
    assert (info.name, info.source) == (name, f"bundled with fgbench: {name}")
    assert info.languages == ("en", "zh")
    assert any("nothing about real pictures" in note for note in info.notes)
    assert set(info.files) == {"config.json", "tokenizer.json", "model.safetensors"}


def test_the_chat_model_loads_and_ends_its_answers() -> None:
    model = load_model(CHAT)
    assert isinstance(model, Generator)
    info = model.info
    assert (info.name, info.source, info.family) == (CHAT, f"bundled with fgbench: {CHAT}", "llava-naflex")
    assert info.languages == ("en", "zh")
    assert any("nothing about real pictures" in note for note in info.notes)
    shown = render(scene("evaluation", 0))
    prompts = [
        "How many things are there?\nAnswer the question using a single word or phrase.",
        "Please provide the bounding box coordinate of the region this sentence describes: the thing.",
        "图中有几个东西？\nA. 一个\nB. 三个\nC. 两个\nD. 五个\n请直接回答选项字母。",
    ]
    number, box, letter = model.generate(prompts, [[shown]] * len(prompts), 100)
    assert number.text in {"1", "2", "3", "4", "5"}
    assert letter.text in {"A", "B", "C", "D"}
    assert len(box.text.split(", ")) == 4
    assert not any(reply.truncated or reply.problem for reply in (number, box, letter))


def test_both_are_declared_for_each_other() -> None:
    assert [declared_chat(name) for name in NAMES] == [CHAT, CHAT]
    assert declared_chat("fgclip2-untrained") == "llava-untrained"


@pytest.mark.parametrize("scheme", ["bundled", "bundled-chat"])
def test_an_unknown_name_is_answered_with_those_there_are(scheme: str) -> None:
    with pytest.raises(UsageError, match=r"fgclip2-tiny.*llava-tiny"):
        load_model(f"{scheme}:nothing")


@pytest.mark.slow
def test_training_shows_on_scenes_that_were_not_trained_on(root: Path, tmp_path: Path) -> None:
    trained = measured("fgclip2-tiny", root, tmp_path / "trained")
    chance = measured("fgclip2-untrained", root, tmp_path / "chance")
    assert trained["coco-box/all/top1"] >= 0.6
    assert trained["fg-ovd/easy/top1"] >= 0.7
    assert trained["pascal-context-59/all/miou"] >= 3 * chance["pascal-context-59/all/miou"]
    assert all(value < 1 for key, value in trained.items() if key.endswith("top1"))
