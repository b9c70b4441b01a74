"""The report; what is declared; every model that keeps the contract passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import fgbench
from fgbench.adapter_kit.findings import WIDTH, Check
from fgbench.errors import UsageError

from ..adapters import tiny_models
from .broken import (
    Good,
    checked,
    found,
    pooled_only,
    texts_only,
    with_images,
    with_preprocessor,
    with_texts,
)


def test_a_good_model_passes_every_check() -> None:
    report = checked(Good())
    assert {each.name for each in report.checks if each.status != "pass"} == {"speed"}, str(report)
    assert report.passed
    assert report.exit_code == 0
    assert report.summary == f"fake on cpu: {len(report.checks) - 1} passed, 0 failed, 0 warned, 0 not applicable."


def test_what_a_model_does_not_have_is_not_applicable() -> None:
    adapter = Good(dense=False, languages=("en",))
    adapter.preprocessor = with_preprocessor(picture=square).preprocessor
    report = checked(adapter)
    assert report.passed, str(report)
    absent = {each.name for each in report.checks if each.status == "n/a"}
    assert {"dense features", "dense order", "whole-picture box", "mixed sizes", "Chinese"} <= absent
    assert not adapter.dense_batches.count(True)


def square(image: Image.Image, view: str) -> Image.Image:
    return image.resize((10, 10))


@pytest.mark.parametrize(
    "make", [tiny_models.clip, tiny_models.siglip, tiny_models.naflex, tiny_models.open_clip_folder]
)
def test_built_in_adapters_pass(make: Callable[[Path], Path], tmp_path: Path) -> None:
    report = checked(str(make(tmp_path / "model")))
    assert report.passed, str(report)
    assert not [each for each in report.checks if each.status == "warn"], str(report)


def test_a_model_string_is_loaded_and_checked() -> None:
    report = checked("fgclip2-untrained")
    assert report.model == "fgclip2-untrained"
    assert {each.status for each in report.checks} == {"pass", "info"}, str(report)


class TestOutput:
    def test_lines_fit_a_terminal_and_json_has_everything(self) -> None:
        report = checked(with_images(pooled_only(lambda pooled: pooled[:, :3])))
        assert all(len(line) <= WIDTH for line in str(report).splitlines())
        content = json.loads(json.dumps(report.as_json()))
        assert (content["model"], content["device"], content["passed"]) == ("fake", "cpu", False)
        assert [row["name"] for row in content["checks"]] == [each.name for each in report.checks]
        [speed] = [row for row in content["checks"] if row["name"] == "speed"]
        assert speed["status"] == "fail"  # pictures cannot be encoded

    def test_speed_is_information_only(self) -> None:
        speed = found(checked(Good()), "speed")
        assert speed.status == "info"
        assert set(speed.values) == {"images_per_second", "texts_per_second", "preprocess_seconds"}
        assert min(speed.values.values()) > 0

    def test_checks_are_told_as_they_are_made(self) -> None:
        told: list[Check] = []
        report = fgbench.check_adapter(Good(), device="cpu", tell=told.append)
        assert told == list(report.checks)

    def test_names_are_unique(self) -> None:
        names = [each.name for each in checked(Good()).checks]
        assert len(set(names)) == len(names)

    def test_an_unknown_device_is_wrong_usage(self) -> None:
        with pytest.raises(UsageError, match="Device 'tpu'"):
            fgbench.check_adapter(Good(), device="tpu")


class TestMembers:
    def test_what_is_lacking_is_named(self) -> None:
        report = checked(object())
        assert [each.name for each in report.checks] == ["members"]
        assert "object has no info, module" in report.checks[0].text
        assert report.exit_code == 1

    def test_module_is_a_module(self) -> None:
        adapter = Good()
        adapter.module = lambda: None  # type: ignore[assignment]
        assert "expected a torch.nn.Module" in found(checked(adapter), "members").text

    def test_info_is_adapter_info(self) -> None:
        adapter = Good()
        adapter.info = {"name": "x"}  # type: ignore[assignment]
        report = checked(adapter)
        assert [each.text for each in report.checks] == ["info is a dict; expected fgbench.adapter.AdapterInfo."]
        assert report.model == "Good"

    def test_preprocessor_can_be_called(self) -> None:
        adapter = Good()
        adapter.preprocessor = "crop"  # type: ignore[assignment]
        assert "preprocessor cannot be called" in found(checked(adapter), "members").text


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"text_length": {"short": 30}}, "text_length lacks box, long"),
        ({"text_length": {"short": 30, "box": 60, "long": 60}}, "'plain' has the text lengths [30, 60]"),
        ({"text_length": {"short": 0, "box": 0, "long": 60}}, "text_length['short'] is 0"),
        ({"languages": "en"}, "languages is 'en', expected a tuple"),
        ({"languages": ("english",)}, "expected BCP 47 tags"),
        ({"dense": False, "region_default": "roi"}, "region_default is 'roi', dense None"),
        ({"dense_pooling": "mean"}, "dense_pooling is 'mean'"),
        ({"window": 0}, "window is 0, expected the side of the square input"),
        ({"window": (224, 224)}, "window is (224, 224)"),
        ({"dim": "8"}, "dim is '8'"),
        ({"source": ""}, "source is ''"),
        ({"settings": {"dtype": torch.float32}}, "cannot be written to a result"),
    ],
)
def test_declared_facts(info: dict[str, Any], message: str) -> None:
    facts = found(checked(Good(**info)), "declared facts")
    assert facts.status == "fail"
    assert message in facts.text


def test_weights_are_float32() -> None:
    adapter = Good()
    adapter.module.bfloat16()
    weights = found(checked(adapter), "weights")
    assert (weights.status, "weight is bfloat16; expected float32" in weights.text) == ("fail", True)
    adapter.module = torch.nn.Module()
    assert found(checked(adapter), "weights").status == "n/a"


def test_unit_vectors_are_worth_a_warning() -> None:
    def unit(rows: Tensor) -> Tensor:
        return torch.nn.functional.normalize(rows, dim=-1)

    adapter = with_texts(texts_only(unit))
    assert "all vectors of texts have length 1" in found(checked(adapter), "normalisation").text
    adapter.spoil_images = pooled_only(unit)
    each = found(checked(adapter), "normalisation")
    assert (each.status, "of pictures and texts" in each.text) == ("warn", True)
