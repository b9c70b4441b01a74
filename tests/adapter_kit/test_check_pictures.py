"""Every check of preprocessor, pictures and dense features finds the fault that it is there for."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fgbench.adapter import ImageFeatures
from fgbench.adapter_kit.findings import Check

from ..fakes import DIM
from .broken import (
    Good,
    centred,
    checked,
    dense_only,
    found,
    nan,
    noisy,
    pooled_only,
    with_images,
    with_preprocessor,
)


def grow(tensors: Any) -> Any:
    return {**tensors, "cells": torch.cat([tensors["cells"]] * len(tensors["cells"]), dim=1)}


def jitter(tensors: Any) -> Any:
    return {**tensors, "cells": tensors["cells"] + random.random()}


def paint(image: Image.Image, view: str) -> Image.Image:
    image.putpixel((0, 0), tuple(255 - value for value in image.getpixel((0, 0))))  # type: ignore[union-attr]
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


def squash(image: Image.Image, view: str) -> Image.Image:
    return image.resize((96, 96))


def test_a_window_belongs_to_models_of_fixed_resolution() -> None:
    adapter = with_preprocessor(picture=squash)
    each = found(checked(adapter), "window")
    assert (each.status, "get a grid of 3×3, but info.window is None" in each.text) == ("warn", True)
    adapter.info = dataclasses.replace(adapter.info, window=96)
    each = found(checked(adapter), "window")
    assert (each.status, each.text) == ("pass", "96 pixels")
    assert found(checked(Good()), "window").text == "variable resolution"
    each = found(checked(Good(window=96)), "window")
    assert (each.status, "get 3 different grids" in each.text) == ("warn", True)
    assert found(checked(Good(dense=False, window=96)), "window").status == "n/a"


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
    assert "(test_check_pictures.py:" in each.text
    each = found(checked(with_preprocessor(picture=only_colourful)), "picture formats")
    assert each.text.startswith("grey: raised ValueError: two channels are equal")


def test_after_a_failure_nothing_that_builds_on_it_is_tried() -> None:
    report = checked(with_images(plain))
    assert [each.name for each in report.failures] == ["picture shapes", "dense features", "normalisation", "speed"]
    assert found(report, "extreme sizes") == Check("extreme sizes", "n/a", "needs 'picture shapes'", {})
    assert found(report, "text length").status == "pass"


def test_a_dimension_is_not_confused_with_another() -> None:
    assert DIM == 8
    each = found(checked(with_images(pooled_only(lambda pooled: pooled.T[:, :4]))), "picture shapes")
    assert "pooled is [8, 4] float32; expected [4, 8]" in each.text
