"""Every check finds the fault that it is there for, and none finds fault with a model that keeps the contract."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import fgbench
from fgbench.adapter import ImageFeatures
from fgbench.adapter_kit import check
from fgbench.adapter_kit.findings import WIDTH, AdapterReport, Check
from fgbench.errors import UsageError

from ..adapters import tiny_models
from ..fakes import DIM, FakeAdapter
from .broken import (
    Good,
    Reader,
    dense_only,
    pooled_only,
    texts_only,
    with_images,
    with_preprocessor,
    with_texts,
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speed is measured once."""
    monkeypatch.setattr(check, "_SECONDS", 0.0)


def checked(adapter: Any) -> AdapterReport:
    return fgbench.check_adapter(adapter, device="cpu")


def found(report: AdapterReport, name: str) -> Check:
    [each] = [each for each in report.checks if each.name == name]
    return each


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


def grow(tensors: Any) -> Any:
    return {**tensors, "cells": torch.cat([tensors["cells"]] * len(tensors["cells"]), dim=1)}


def jitter(tensors: Any) -> Any:
    return {**tensors, "cells": tensors["cells"] + random.random()}


def paint(image: Image.Image, view: str) -> Image.Image:
    image.putpixel((0, 0), tuple(255 - value for value in image.getpixel((0, 0))))  # type: ignore[union-attr,arg-type]
    return image


def batched(tensors: Any) -> Any:
    return [tensors["cells"]]


def unnamed(name: str, size: tuple[int, int]) -> Any:
    return None


def fickle(name: str, size: tuple[int, int]) -> str:
    return f"{name}-{random.random()}"


class Forgetful:
    """Remembers the last size, as a preprocessor must not."""

    last = (0, 0)

    def name(self, name: str, size: tuple[int, int]) -> str:
        self.last = size
        return name

    def picture(self, image: Image.Image, view: str) -> Image.Image:
        return image.crop((0, 0, min(image.width, self.last[0]), image.height))


remembered = Forgetful()


@pytest.mark.parametrize(
    ("parts", "name", "message"),
    [
        ({"extra": lambda: None}, "pickled size", "the preprocessor cannot be pickled"),
        ({"extra": np.zeros(700_000)}, "pickled size", "expected less than 5,000,000"),
        ({"name": unnamed}, "view names", "returned None; expected a short text"),
        ({"name": fickle}, "view names", "when called again. Expected a name that follows"),
        ({"after": jitter}, "tensors of a view", "'cells' of one picture differs when called again"),
        ({"picture": paint}, "tensors of a view", "changes the picture it is given"),
        ({"after": batched}, "tensors of a view", "the preprocessor returned list"),
        ({"after": grow}, "tensors of a view", "expected the same shape apart from the first dimension"),
        ({"name": remembered.name, "picture": remembered.picture}, "tensors of a view", "nothing remembered"),
    ],
)
def test_preprocessor(parts: dict[str, Any], name: str, message: str) -> None:
    each = found(checked(with_preprocessor(**parts)), name)
    assert each.status == "fail"
    assert message in each.text


def half(features: ImageFeatures) -> ImageFeatures:
    return features._replace(pooled=features.pooled.half())


def plain(features: ImageFeatures) -> Tensor:
    return features.pooled


def nan(vectors: Tensor) -> Tensor:
    return torch.where(vectors > vectors.mean(), torch.nan, vectors)


def noisy(strength: float) -> Callable[[Tensor], Tensor]:
    return lambda vectors: vectors + strength * vectors.abs().max() * torch.rand(vectors.shape)


def centred(vectors: Tensor) -> Tensor:
    return vectors - vectors.mean(dim=0)


def with_class_token(tokens: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    return torch.cat([tokens[:, :1], tokens], dim=1), grid


@pytest.mark.parametrize(
    ("change", "name", "message"),
    [
        (plain, "picture shapes", "encode_images returned a tensor [4, 8] float32 on cpu"),
        (half, "picture shapes", "pooled is [4, 8] float16; expected [4, 8] float32"),
        (pooled_only(lambda pooled: pooled[0]), "picture shapes", "pooled is [8] float32"),
        (pooled_only(lambda pooled: pooled[:, :5]), "picture shapes", "info.dim: 8"),
        (pooled_only(nan), "picture shapes", "NaN or infinity in 4 of 4 rows"),
        (pooled_only(torch.ones_like), "picture values", "all pictures got the same vector"),
        (pooled_only(noisy(0.1)), "same picture twice", "module.eval()"),
        (pooled_only(centred), "picture in a batch", "A row must depend on its own input only"),
        (pooled_only(lambda pooled: pooled.flip(0)), "picture in a batch", "rows in another order"),
        (dense_only(lambda tokens, grid: (None, grid)), "dense features", "tokens is None, but info.dense is 'cells'"),
        (dense_only(lambda tokens, grid: (tokens, None)), "dense features", "grid is None"),
        (dense_only(lambda tokens, grid: (tokens, grid + 1)), "dense features", "but there are 8 tokens"),
        (dense_only(lambda tokens, grid: (tokens, grid.float())), "dense features", "grid is [1, 2] float32"),
        (dense_only(lambda tokens, grid: (tokens[0], grid)), "dense features", "tokens are [8, 8]"),
        (dense_only(lambda tokens, grid: (nan(tokens), grid)), "dense features", "tokens contain NaN"),
        (dense_only(lambda tokens, grid: (centred(tokens), grid)), "dense in a batch", "tokens alone and in a batch"),
        (
            dense_only(lambda tokens, grid: (tokens / tokens.norm() * 3e38, grid)),
            "whole-picture box",
            "NaN or infinity",
        ),
    ],
)
def test_pictures(change: Callable[[ImageFeatures], Any], name: str, message: str) -> None:
    each = found(checked(with_images(change)), name)
    assert each.status == "fail"
    assert message in each.text


def test_padding_that_is_not_masked_is_found() -> None:
    """The fake sums over its cells; a mean sees how many zeros were added."""
    adapter = with_images(lambda each: each if each.tokens is None else each._replace(pooled=each.tokens.mean(dim=1)))
    assert "mask the rest" in found(checked(adapter), "mixed sizes").text


def test_pooled_must_not_depend_on_what_else_is_asked_for() -> None:
    adapter = with_images(lambda each: each if each.tokens is None else each._replace(pooled=each.pooled + 50))
    each = found(checked(adapter), "dense and global")
    assert (each.status, "give the dense view another name" in each.text) == ("fail", True)
    adapter.preprocessor = with_preprocessor(own_dense_view=True).preprocessor
    assert found(checked(adapter), "dense and global").status == "n/a"


def centre(image: Image.Image, view: str) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def test_a_dense_view_that_crops_is_found() -> None:
    each = found(checked(with_preprocessor(picture=centre)), "dense coverage")
    assert (each.status, "the left edge" in each.text) == ("fail", True)


def test_tokens_in_another_order_are_worth_a_warning() -> None:
    adapter = with_images(dense_only(lambda tokens, grid: (tokens.flip(1), grid)))
    each = found(checked(adapter), "dense order")
    assert (each.status, "Expected tokens row by row" in each.text) == ("warn", True)
    each = found(checked(with_images(dense_only(with_class_token))), "dense features")
    assert (each.status, "Is it a class token?" in each.text) == ("warn", True)


def test_last_bits_are_worth_a_warning() -> None:
    report = checked(with_images(pooled_only(noisy(1e-6))))
    assert found(report, "same picture twice").status == "warn"
    assert report.passed, str(report)


def only_large(image: Image.Image, view: str) -> Image.Image:
    return image.resize((100 // (image.width // 2), 10))


def only_colourful(image: Image.Image, view: str) -> Image.Image:
    red, green, _ = np.moveaxis(np.asarray(image), 2, 0)
    if (red == green).all() and len(np.unique(red)) > 2:
        raise ValueError("two channels are equal")
    return image


def test_pictures_that_raise_are_named() -> None:
    each = found(checked(with_preprocessor(picture=only_large)), "extreme sizes")
    assert each.text.startswith("a picture of 1×1 pixels: raised ZeroDivisionError")
    assert "(test_check.py:" in each.text
    each = found(checked(with_preprocessor(picture=only_colourful)), "picture formats")
    assert each.text.startswith("grey: raised ValueError: two channels are equal")


def test_after_a_failure_nothing_that_builds_on_it_is_tried() -> None:
    report = checked(with_images(plain))
    assert [each.name for each in report.failures] == ["picture shapes", "dense features", "normalisation", "speed"]
    assert found(report, "extreme sizes") == Check("extreme sizes", "n/a", "needs 'picture shapes'", {})
    assert found(report, "text length").status == "pass"


@pytest.mark.parametrize(
    ("adapter", "name", "message"),
    [
        (FakeAdapter(), "no texts", "encode_texts([], 'short'): raised RuntimeError"),
        (with_texts(lambda each: each.vectors), "text shapes", "expected fgbench.adapter.TextFeatures"),
        (with_texts(lambda each: each._replace(truncated=[])), "text shapes", "truncated has 0 entries"),
        (with_texts(texts_only(nan)), "text shapes", "vectors has NaN or infinity"),
        (with_texts(texts_only(torch.ones_like)), "text values", "all texts of kind 'short' got the same vector"),
        (with_texts(texts_only(noisy(0.1))), "same text twice", "the same texts twice differ by"),
        (with_texts(texts_only(centred)), "text in a batch", "padding that is not masked"),
        (with_texts(texts_only(lambda rows: rows.flip(0))), "text in a batch", "rows in another order"),
        (Reader(lambda text, kind: text + kind), "text paths", "'short' and 'box' have the path 'plain', but their"),
        (
            Good(text_path={"short": "a", "box": "a", "long": "a"}, text_length={"short": 9, "box": 9, "long": 9}),
            "",
            "",
        ),
        (Reader(flag=lambda text, limit: False), "text length", "a text of 38 words is not flagged as truncated"),
        (Reader(flag=lambda text, limit: True), "text length", "a text of 1 words is flagged as truncated"),
        (Reader(lambda text, kind: text[:20]), "text length", "its last word changes nothing"),
        (Reader(lambda text, kind: text[: -text.index("x")]), "text shapes", "kind 'short': raised ValueError"),
        (
            Reader(lambda text, kind: text.encode("ascii", "replace").decode()),
            "Chinese",
            "一只红狗 and 三辆蓝车 got the same vector (kind 'short')",
        ),
    ],
)
def test_texts(adapter: FakeAdapter, name: str, message: str) -> None:
    report = checked(adapter)
    if not name:
        assert report.passed, str(report)
        return
    each = found(report, name)
    assert each.status == "fail"
    assert message in each.text


class SamePaths(Good):
    """Declares two paths, has one."""

    def encode_texts(self, texts: Any, kind: Any) -> Any:
        features = super().encode_texts(texts, "short")
        return features._replace(truncated=[len(text) > self.info.text_length[kind] for text in texts])


def test_paths_that_are_the_same_should_have_one_name() -> None:
    each = found(checked(SamePaths()), "text paths")
    assert (each.status, "but equal vectors" in each.text) == ("fail", True)


def raising(*bad: str) -> Callable[[str, Any], str]:
    def read(text: str, kind: Any) -> str:
        if any(text == each or (each and each in text) for each in bad):
            raise KeyError(text)
        return text

    return read


def test_texts_that_raise_are_named() -> None:
    assert "the text '': raised KeyError" in found(checked(Reader(raising(""))), "odd texts").text
    assert "the text '</s> dog': raised KeyError" in found(checked(Reader(raising("</s>"))), "special tokens").text


def test_texts_that_end_at_a_special_token_are_worth_a_warning() -> None:
    each = found(checked(Reader(lambda text, kind: text.split("</s>")[0])), "special tokens")
    assert (each.status, each.text[:33]) == ("warn", "what follows </s> in a text chang")


def test_unit_vectors_are_worth_a_warning() -> None:
    def unit(rows: Tensor) -> Tensor:
        return torch.nn.functional.normalize(rows, dim=-1)

    adapter = with_texts(texts_only(unit))
    assert "all vectors of texts have length 1" in found(checked(adapter), "normalisation").text
    adapter.spoil_images = pooled_only(unit)
    each = found(checked(adapter), "normalisation")
    assert (each.status, "of pictures and texts" in each.text) == ("warn", True)


def test_a_dimension_is_not_confused_with_another() -> None:
    assert DIM == 8
    each = found(checked(with_images(pooled_only(lambda pooled: pooled.T[:, :4]))), "picture shapes")
    assert "pooled is [8, 4] float32; expected [4, 8]" in each.text
