"""CAT-Seg's test-time procedure against a slow one in float64 that follows the published description step by step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from fgbench.errors import ModelError
from fgbench.runner.catseg import CROPS, fuse, segment, views
from fgbench.runner.windows import scaled

Float64 = npt.NDArray[np.float64]


def weights(cells: int, pixels: int) -> Float64:
    """[pixels, cells]: how much each cell counts for each pixel in a linear interpolation between cell centres."""
    result = np.zeros((pixels, cells))
    for pixel in range(pixels):
        place = min(max((pixel + 0.5) * cells / pixels - 0.5, 0), cells - 1)
        below = int(place)
        result[pixel, below] += 1 - (place - below)
        result[pixel, min(below + 1, cells - 1)] += place - below
    return result


def interpolated(maps: Float64, width: int, height: int) -> Float64:
    return np.asarray(weights(maps.shape[-2], height) @ maps @ weights(maps.shape[-1], width).T)


def sigmoid(values: Float64) -> Float64:
    return np.asarray(1 / (1 + np.exp(-values)))


def slow_scores(logits: Float64, width: int, height: int) -> Float64:
    """All classes of all pixels: [K, height, width]."""
    crops = sigmoid(interpolated(logits, 384, 384))
    total, visits = np.zeros((logits.shape[1], 640, 640)), np.zeros((640, 640))
    for number, (top, left) in enumerate([(0, 0), (0, 256), (256, 0), (256, 256)]):
        total[:, top : top + 384, left : left + 384] += crops[number]
        visits[top : top + 384, left : left + 384] += 1
    everything = 0.5 * total / visits + 0.5 * interpolated(crops[4], 640, 640)
    return interpolated(everything, width, height)


def slow_views(image: Image.Image) -> Float64:
    width, height = image.size
    scale = min(640 / min(width, height), 2560 / max(width, height))
    small = image.resize((int(width * scale + 0.5), int(height * scale + 0.5)), Image.Resampling.BILINEAR)
    pixels = np.asarray(small, dtype=np.float64).transpose(2, 0, 1)
    square = interpolated(pixels, 640, 640)
    quarters = [square[:, top : top + 384, left : left + 384] for top in (0, 256) for left in (0, 256)]
    return np.stack([*quarters, interpolated(pixels, 384, 384)])


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def some_logits(classes: int, side: int = 6, spread: float = 2) -> torch.Tensor:
    return spread * torch.randn(5, classes, side, side, generator=torch.Generator().manual_seed(0))


class TestViews:
    @pytest.mark.parametrize("size", [(60, 40), (40, 60), (333, 500), (1000, 20), (640, 640)])
    def test_they_agree_with_the_slow_ones(self, size: tuple[int, int]) -> None:
        image = noise(*size)
        found = views(image)
        assert found.dtype == torch.float32
        assert found.shape == (5, 3, 384, 384)
        assert np.abs(found.numpy() - slow_views(image)).max() < 0.05  # of 255; float32 places samples so exactly

    def test_crops_lie_where_they_are_said_to_lie(self) -> None:
        """A ramp from left to right and one from top to bottom."""
        ramp = np.zeros((640, 640, 3), dtype=np.uint8)
        ramp[..., 0], ramp[..., 1] = np.arange(640)[None] % 256, np.arange(640)[:, None] % 256
        found = views(Image.fromarray(ramp))
        assert CROPS == ((0, 0, 384, 384), (256, 0, 640, 384), (0, 256, 384, 640), (256, 256, 640, 640))
        assert [crop[0, 0, 1].item() for crop in found[:4]] == [1, 1, 1, 1]
        assert torch.equal(found[1][0, 0], torch.from_numpy(ramp[0, 256:, 0]).float())
        assert torch.equal(found[2][1, :, 0], torch.from_numpy(ramp[256:, 0, 1]).float())

    def test_the_picture_is_resized_as_in_detectron2(self) -> None:
        assert scaled((683, 512), 640, 2560) == (854, 640)
        assert scaled((333, 500), 640, 2560) == (640, 961)
        assert scaled((1000, 20), 640, 2560) == (2560, 51)


class TestFuse:
    @pytest.mark.parametrize("size", [(50, 37), (640, 640), (13, 90)])
    def test_it_agrees_with_the_slow_procedure(self, size: tuple[int, int]) -> None:
        logits = some_logits(20)
        expected = slow_scores(logits.double().numpy(), *size)
        found = fuse(logits, size)
        assert found.dtype == np.uint16
        assert found.shape == size[::-1]
        chosen = np.take_along_axis(expected, found[None].astype(np.int64), axis=0)[0]
        assert (chosen >= expected.max(axis=0) - 1e-6).all()
        assert (found == expected.argmax(axis=0)).mean() > 0.999

    @pytest.mark.parametrize("chunk", [1, 3, 16, None])
    def test_the_chunk_does_not_change_a_pixel(self, chunk: int | None) -> None:
        logits = some_logits(17)
        assert np.array_equal(fuse(logits, (40, 30), chunk), fuse(logits, (40, 30), 17))

    @pytest.mark.parametrize(
        ("spoil", "share"),
        [(lambda logits: logits[[1, 0, 2, 3, 4]], 0.05), (lambda logits: logits[[4, 1, 2, 3, 0]], 0.05),
         (lambda logits: logits.transpose(2, 3), 0.05)],
    )  # fmt: skip
    def test_every_view_has_its_place(self, spoil: Callable[[torch.Tensor], torch.Tensor], share: float) -> None:
        logits = some_logits(20)
        assert (fuse(spoil(logits), (50, 37)) != fuse(logits, (50, 37))).mean() > share

    def test_probabilities_are_averaged_and_not_logits(self) -> None:
        """Where all crops overlap, class 0 has logits 20, -1, -1, -1: their mean is 4.25, their mean probability 0.45;
        class 1 has 0 everywhere: 0.5.
        """
        logits = torch.zeros(5, 2, 2, 2)
        logits[:, 0] = -1
        logits[0, 0] = 20
        logits[4] = 0
        found = fuse(logits, (640, 640))
        assert found[320, 320] == 1
        assert found[10, 10] == 0

    def test_the_lowest_index_wins_also_across_chunks(self) -> None:
        logits = some_logits(4)
        assert np.array_equal(fuse(torch.cat([logits, logits, logits], dim=1), (40, 30), 3), fuse(logits, (40, 30)))

    def test_classes_that_the_network_left_out_never_win(self) -> None:
        """CAT-Seg's decoder takes the 256 likeliest classes of a view; the others get a logit of -100."""
        logits = torch.full((5, 300, 6, 6), -100.0)
        logits[:, 290:] = some_logits(10)
        assert np.array_equal(fuse(logits, (40, 30)), fuse(some_logits(10), (40, 30)) + 290)

    def test_logits_are_not_written_to(self) -> None:
        logits = some_logits(3, side=384)
        before = logits.clone()
        fuse(logits, (20, 20))
        assert torch.equal(logits, before)

    @pytest.mark.parametrize("shape", [(4, 3, 6, 6), (5, 3, 6), (5, 0, 6, 6)])
    def test_other_shapes_are_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ModelError, match="expected"):
            fuse(torch.zeros(shape), (10, 10))

    def test_values_that_are_no_numbers_are_refused(self) -> None:
        logits = some_logits(3)
        logits[2, 1, 0, 0] = torch.nan
        with pytest.raises(ModelError, match="NaN"):
            fuse(logits, (10, 10))


def test_from_a_picture_to_its_label_map() -> None:
    """A network that names the strongest colour: a picture of three stripes comes back as three stripes."""
    stripes = np.zeros((30, 90, 3), dtype=np.uint8)
    for colour in range(3):
        stripes[:, 30 * colour : 30 * colour + 30, colour] = 255

    def strongest(batch: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(batch / 64 - 2, 4)

    found = segment(Image.fromarray(stripes), (90, 30), strongest)
    expected = np.repeat(np.arange(3), 30)[None].repeat(30, axis=0)
    assert (found == expected).mean() > 0.98
    assert set(np.flatnonzero((found != expected).any(axis=0))) <= {29, 30, 59, 60}
