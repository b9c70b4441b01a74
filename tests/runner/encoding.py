"""What the tests of the encoder share: requests, their jobs, and the rows that are stored for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fgbench.adapter import RegionMode
from fgbench.data.images import probe
from fgbench.requests import Float32, Images, Regions, Request, Texts
from fgbench.runner.encode import Encoder
from fgbench.runner.jobs import JobBuilder
from fgbench.runner.passes import Address, ImageJob, TextJob

from ..fakes import FakeAdapter, save_picture

Work = tuple[list[Address], list[list[ImageJob]], list[list[TextJob]]]
BOXES = np.array([[0.0, 0.0, 24.0, 16.0], [3.5, 2.0, 10.0, 12.5], [20.0, 10.0, 30.0, 30.0]])


def work(adapter: FakeAdapter, requests: Sequence[Request], mode: RegionMode = "roi") -> Work:
    """Where the rows of each request will be, and the chunks of jobs."""
    images = {ref for each in requests if isinstance(each, (Images, Regions)) for ref in each.images}
    builder = JobBuilder(adapter.info, adapter.preprocessor, mode, {ref: probe(ref) for ref in images})
    addresses = [builder.address(each) for each in requests]
    return addresses, builder.image_chunks(), builder.text_chunks()


def encode(encoder: Encoder, requests: Sequence[Request], mode: RegionMode = "roi") -> list[Float32]:
    """The stored rows of each request."""
    assert isinstance(encoder.adapter, FakeAdapter)
    addresses, images, texts = work(encoder.adapter, requests, mode)
    encoder.encode_images(images)
    encoder.encode_texts(texts)
    return [encoder.store.read(address.keys)[0] for address in addresses]


def mixed(folder: Path) -> list[Request]:
    """Pictures of three shapes, boxes on half of them, and texts."""
    shapes = ((24, 16), (16, 24), (20, 20))
    pictures = [save_picture(folder / f"{n}.png", n, shapes[n % 3]) for n in range(14)]
    boxes = np.array([[1.0 + n / 4, 2.0, 5.0, 4.0 + n / 3] for n in range(14)])
    texts = ["word " * (n % 4) + str(n) for n in range(12)]
    return [Images(pictures), Regions(pictures[::2], np.arange(14) // 2, boxes), Texts(texts, "short")]
