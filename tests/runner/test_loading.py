from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fgbench.data.images import Probe
from fgbench.errors import DataError
from fgbench.requests import ImageRef
from fgbench.runner.cuts import Cut
from fgbench.runner.loading import prepare_all, probe_all
from fgbench.runner.passes import ImageJob, Pass

from ..fakes import FakePreprocessor, save_picture, save_pictures


def job(image: ImageRef, *crops: tuple[int, int, int, int] | None) -> ImageJob:
    return ImageJob(image, (24, 16), tuple(Pass(Cut("cells-dynamic", crop), b"key") for crop in crops or (None,)))


def test_probes_come_in_order_with_failures_among_them(tmp_path: Path) -> None:
    pictures = save_pictures(tmp_path, 20)
    wanted = [*pictures[:10], ImageRef(str(tmp_path / "no.png")), *pictures[10:]]
    found = list(probe_all(wanted))
    assert [ref for ref, _ in found] == wanted
    assert isinstance(found[10][1], DataError)
    assert len({value.digest for _, value in found if isinstance(value, Probe)}) == 20


@pytest.mark.parametrize("workers", [0, 2])
def test_pictures_come_in_order_whatever_the_workers(tmp_path: Path, workers: int) -> None:
    pictures = save_pictures(tmp_path, 7)
    found = list(prepare_all([job(ref) for ref in pictures], FakePreprocessor(), workers=workers, pin_memory=False))
    assert [each.job.image for each in found] == pictures
    expected = [
        each.inputs
        for each in prepare_all([job(ref) for ref in pictures], FakePreprocessor(), workers=0, pin_memory=False)
    ]
    for each, inputs in zip(found, expected, strict=True):
        assert each.inputs is not None
        assert inputs is not None
        assert torch.equal(each.inputs[0]["cells"], inputs[0]["cells"])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_picture_that_cannot_be_decoded_does_not_stop_the_others(tmp_path: Path, workers: int) -> None:
    good, bad = save_picture(tmp_path / "good.png"), save_picture(tmp_path / "bad.jpg", size=(64, 64))
    Path(bad.path).write_bytes(Path(bad.path).read_bytes()[:700])
    found = list(prepare_all([job(bad), job(good)], FakePreprocessor(), workers=workers, pin_memory=False))
    assert [each.inputs is None for each in found] == [True, False]
    assert "bad.jpg: damaged picture" in found[0].problem


def test_every_pass_of_a_job_gets_its_own_inputs(tmp_path: Path) -> None:
    picture = save_picture(tmp_path / "a.png")
    (found,) = prepare_all(
        [job(picture, None, (0, 0, 4, 8), (5, 5, 5, 9))], FakePreprocessor(), workers=0, pin_memory=False
    )
    assert found.inputs is not None
    assert [each["grid"].tolist() for each in found.inputs] == [[2, 4], [4, 2], [3, 3]]
    assert found.inputs[2]["cells"].abs().max() == 0, "a crop without pixels is black"


def test_crops_are_cut_from_the_picture(tmp_path: Path) -> None:
    picture = save_picture(tmp_path / "a.png")
    (found,) = prepare_all([job(picture, (3, 2, 7, 4))], FakePreprocessor(), workers=0, pin_memory=False)
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    assert found.inputs is not None
    assert found.inputs[0]["cells"].numpy().tolist() == noise[2:4, 3:7].reshape(-1, 3).tolist()


def test_no_jobs_are_no_work() -> None:
    assert list(prepare_all([], FakePreprocessor(), workers=0, pin_memory=False)) == []


def test_windows_are_cut_from_the_resized_picture(tmp_path: Path) -> None:
    class Pixels(FakePreprocessor):
        def __call__(self, image: Image.Image, view: str) -> Mapping[str, torch.Tensor]:
            return {"pixels": torch.from_numpy(np.array(image))}

    picture = save_picture(tmp_path / "a.png", size=(30, 20))
    boxes = [(0, 0, 8, 8), (10, 4, 18, 12)]
    job = ImageJob(picture, (30, 20), tuple(Pass(Cut("any", box, (18, 12)), dense=True) for box in boxes))
    [found] = prepare_all([job], Pixels(), workers=0, pin_memory=False)
    assert found.inputs is not None
    with Image.open(picture.path) as image:
        resized = np.asarray(image.resize((18, 12), Image.Resampling.BILINEAR))
    for inputs, (left, top, right, bottom) in zip(found.inputs, boxes, strict=True):
        assert np.array_equal(inputs["pixels"].numpy(), resized[top:bottom, left:right])
