"""The segmenter's contract, on the smallest thing that fulfils it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from fgbench.requests import PredictedMaps
from fgbench.runner.catseg import segment
from fgbench.segmenter import Segmenter, SegmenterInfo

COLOURS = {"red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0), "blue": (0.0, 0.0, 1.0), "crimson": (0.9, 0.1, 0.1)}


class ColourSegmenter:
    """Knows names of colours; a class fits as well as the best of its names."""

    info = SegmenterInfo(
        name="colours",
        family="fake",
        source="made for tests",
        protocol="catseg",
        trained_on="nothing",
        classnames="max over synonyms",
    )

    def __init__(self) -> None:
        self.module = nn.Conv2d(3, 3, kernel_size=4, stride=4)
        self._classes: list[list[Tensor]] = []

    def set_prompts(self, classes: Sequence[Sequence[str]]) -> None:
        self._classes = [[torch.tensor(COLOURS[name]) for name in names] for names in classes]

    def predict(self, image: Image.Image, size: tuple[int, int]) -> npt.NDArray[np.uint16]:
        return segment(image, size, self._logits)

    def _logits(self, batch: Tensor) -> Tensor:
        small = nn.functional.avg_pool2d(batch / 255, 4)
        fits = [
            torch.stack([torch.einsum("bchw,c->bhw", small, colour) for colour in names]).amax(dim=0)
            for names in self._classes
        ]
        return torch.stack(fits, dim=1)


def halves() -> Image.Image:
    picture = np.zeros((20, 40, 3), dtype=np.uint8)
    picture[:, :20, 0] = picture[:, 20:, 2] = 255
    return Image.fromarray(picture)


def test_an_object_with_these_members_is_a_segmenter() -> None:
    segmenter: Segmenter = ColourSegmenter()
    assert isinstance(segmenter, Segmenter)
    assert not isinstance(nn.Identity(), Segmenter)


def test_maps_have_the_size_that_was_asked_for_and_name_the_classes() -> None:
    segmenter: Segmenter = ColourSegmenter()
    segmenter.set_prompts([["green"], ["blue"], ["crimson", "red"]])
    found = segmenter.predict(halves(), (8, 6))
    assert found.dtype == np.uint16
    assert found.tolist() == [[2] * 4 + [1] * 4] * 6


def test_new_prompts_replace_the_old_ones() -> None:
    segmenter: Segmenter = ColourSegmenter()
    segmenter.set_prompts([["green"], ["blue"], ["red"]])
    segmenter.set_prompts([["red"], ["blue"]])
    assert set(segmenter.predict(halves(), (40, 20)).flat) == {0, 1}


def test_the_facts_are_those_that_results_need() -> None:
    info = ColourSegmenter.info
    assert dataclasses.asdict(info)["settings"] == {}
    assert info.licence == "unknown"
    with pytest.raises(dataclasses.FrozenInstanceError):
        info.protocol = "training-free"  # type: ignore[misc]


def test_no_class_is_no_index_of_a_class() -> None:
    assert np.iinfo(np.uint16).max == PredictedMaps.NO_CLASS
