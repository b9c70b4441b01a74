"""Nothing inside a chunk waits for the device: on the meta device there are no values to wait for."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch

from fgbench.data.images import probe
from fgbench.requests import ClassPrompts, Images, LabelMaps, Regions, RegionScores
from fgbench.runner.encode import Encoder
from fgbench.runner.jobs import JobBuilder

from ..fakes import FakeAdapter, FakePreprocessor, fake_encoder, save_pictures

CLASSES = ClassPrompts(("sky", "sea", "sand"), ("a {}",), "box")


class OnTheHost(FakePreprocessor):
    """Leaves its grids where the engine reads them."""

    host_inputs = ("grid",)


def test_a_chunk_of_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = save_pictures(tmp_path / "pictures", 5)
    boxes = np.array([[1.0, 2.0, 8.0, 9.0]] * 5)
    rows = np.arange(5)
    adapter = FakeAdapter()
    adapter.preprocessor = OnTheHost()
    builder = JobBuilder(adapter.info, adapter.preprocessor, "roi", {ref: probe(ref) for ref in pictures})
    for request in (
        Images(pictures),
        Regions(pictures, rows, boxes),
        LabelMaps(pictures, CLASSES),
        LabelMaps(pictures, CLASSES, windows="sclip"),
        RegionScores(pictures, rows, boxes, rows, rows % 3, CLASSES, (0.01, 1.0)),
    ):
        builder.address(request)
    encoder = fake_encoder(adapter, tmp_path / "store")
    encoder.encode_texts(builder.text_chunks())

    finished: list[tuple[int, int]] = []
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # there is none for meta
    monkeypatch.setattr(
        Encoder, "_finish", lambda _, chunk: finished.append((len(chunk.rows.keys), len(chunk.reducing.keys)))
    )
    encoder.device = torch.device("meta")
    adapter.module.to(encoder.device)
    encoder.encode_images(builder.image_chunks())
    assert finished == [(10, 15)]
