"""Seconds per pass and per text of a loaded model: measured on a few synthetic inputs of a plan's real shapes."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from fgbench.adapter import Adapter
from fgbench.data.atomic import write_atomic
from fgbench.errors import StoreError
from fgbench.requests import TextKind
from fgbench.runner.device import Precision, computing
from fgbench.runner.price import PassKind, Range, Rates, Size, TextKindOf
from fgbench.runner.transfer import collate

if TYPE_CHECKING:
    import torch

SCHEMA = "fgbench.rates/1"
RUNS = 3
"""Batches per kind, after one that is not counted."""


def calibrate(
    adapter: Adapter,
    device: torch.device,
    precision: Precision,
    passes: Mapping[PassKind, Size],
    texts: Iterable[TextKindOf],
    known: Rates,
) -> Rates:
    """Measure what is not known yet.

    Args:
        adapter: loaded, on the device.
        device, precision: of the run.
        passes: kinds of image pass, with the size of a picture that has it.
        texts: kinds of text.
        known: what was measured before.
    """
    made, prepared, written = dict(known.passes), dict(known.preparing), dict(known.texts)
    batch = 32 if device.type == "cuda" else 4
    rng = np.random.default_rng(0)
    for kind, (width, height) in passes.items():
        if kind in made:
            continue
        picture = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        inputs = adapter.preprocessor(picture, kind.view)
        prepared[kind] = _measured(lambda p=picture, k=kind: adapter.preprocessor(p, k.view), lambda: None, 1)  # type: ignore[misc]
        made[kind] = _on_device(
            lambda i=inputs, k=kind: adapter.encode_images(collate([i] * batch, device), dense=k.dense),  # type: ignore[misc]
            device, precision, batch,
        )  # fmt: skip
    kinds: dict[str, TextKind] = {path: kind for kind, path in adapter.info.text_path.items()}
    for text in texts:
        if text not in written:
            # Words of English: most of four or five letters.
            strings = [(f"some red thing near {n} " * text.length)[: text.length * 3 // 4] for n in range(8 * batch)]
            written[text] = _on_device(
                lambda s=strings, t=text: adapter.encode_texts(s, kinds[t.path]),  # type: ignore[misc]
                device, precision, len(strings),
            )  # fmt: skip
    return Rates(made, written, prepared)


def _on_device(function: Callable[[], Any], device: torch.device, precision: Precision, batch: int) -> Range:
    import torch

    def finish() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    with computing(device, precision):
        return _measured(function, finish, batch)


def _measured(function: Callable[[], Any], finish: Callable[[], None], batch: int) -> Range:
    """Seconds per item: fastest, median, slowest."""
    seconds = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        function()
        finish()
        seconds.append((time.perf_counter() - start) / batch)
    return Range(min(seconds[1:]), statistics.median(seconds[1:]), max(seconds[1:]))


def read_rates(path: Path) -> Rates:
    """What was measured before; nothing if there is no such file or it is not understood."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] == SCHEMA:
            return Rates(
                {PassKind(view, dense): Range(*map(float, each)) for view, dense, each in content["passes"]},
                {
                    TextKindOf(text_path, length): Range(*map(float, each))
                    for text_path, length, each in content["texts"]
                },
                {PassKind(view, dense): Range(*map(float, each)) for view, dense, each in content["preparing"]},
            )
    return Rates({}, {}, {})


def write_rates(path: Path, rates: Rates) -> None:
    """Remember; a cache that cannot be written costs time, nothing else."""
    content = {"schema": SCHEMA} | {
        name: [[*kind, list(each)] for kind, each in getattr(rates, name).items()]
        for name in ("passes", "texts", "preparing")
    }
    with suppress(StoreError):
        write_atomic(path, json.dumps(content).encode())
