"""What every adapter promises to the engine (:mod:`fgbench.adapter`), checked on a loaded one."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fgbench import check_adapter
from fgbench.adapter import Adapter
from fgbench.requests import TextKind

KINDS: tuple[TextKind, ...] = ("short", "long", "box")


def picture(width: int = 64, height: int = 43, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def encode(adapter: Any, images: Sequence[Image.Image], *, dense: bool = False) -> Any:
    """As the engine does, for pictures of one view."""
    purpose = "dense" if dense else "global"
    tensors = [adapter.preprocessor(image, adapter.preprocessor.view(purpose, image.size, None)) for image in images]
    with torch.inference_mode():
        return adapter.encode_images({key: torch.stack([t[key] for t in tensors]) for key in tensors[0]}, dense=dense)


def vectors(adapter: Any, texts: Sequence[str], kind: TextKind = "short") -> Tensor:
    with torch.inference_mode():
        found: Tensor = adapter.encode_texts(texts, kind).vectors
    return found


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


def check_contract(adapter: Any, *, word: str = "a ", single: int = 1) -> None:
    """Check shapes, types, independence of batch mates, truncation, odd pictures and the preprocessor's travels.

    Args:
        adapter: in evaluation mode.
        word: a text of one token (``single`` tokens), which can be repeated.
        single: how many tokens ``word`` has.
    """
    info = adapter.info
    assert isinstance(adapter, Adapter)
    assert not adapter.module.training
    assert {parameter.dtype for parameter in adapter.module.parameters()} == {torch.float32}
    _check_pictures(adapter)
    for kind in KINDS:
        _check_texts(adapter, kind, word, (info.text_length[kind] - 2) // single)
    report = check_adapter(adapter)
    assert report.passed, str(report)


def _check_pictures(adapter: Any) -> None:
    info, views = adapter.info, adapter.preprocessor
    images = [picture(40 + 7 * i, 60 - 5 * i, i) for i in range(5)]
    for dense in (False, True) if info.dense else (False,):
        together = encode(adapter, images, dense=dense)
        assert together.pooled.shape == (5, info.dim)
        assert together.pooled.dtype == torch.float32
        for i, image in enumerate(images):
            alone = encode(adapter, [image], dense=dense)
            assert_close(alone.pooled[0], together.pooled[i])
            if dense:
                assert together.tokens.shape == (5, int(together.grid[i].prod()), info.dim)
                assert_close(alone.tokens[0], together.tokens[i])
        for size in ((1, 1), (3, 5), (3000, 10), (10, 3000), (0, 5), (5, 0)):
            odd = encode(adapter, [Image.new("RGB", size, (9, 90, 200))], dense=dense)
            assert bool(torch.isfinite(odd.pooled).all()), size
    copy = pickle.loads(pickle.dumps(views))
    assert len(pickle.dumps(views)) < 1 << 20
    for purpose in ("global", "dense"):
        view = views.view(purpose, (64, 43), 256)
        for key, value in views(picture(), view).items():
            assert torch.equal(copy(picture(), view)[key], value)


def _check_texts(adapter: Any, kind: TextKind, word: str, room: int) -> None:
    texts = ["", word, word * 3, word * room, word * (room + 1), word * 400]
    with torch.inference_mode():
        found = adapter.encode_texts(texts, kind)
        assert found.vectors.shape == (6, adapter.info.dim)
        assert found.vectors.dtype == torch.float32
        assert list(found.truncated) == [False] * 4 + [True] * 2, kind
        # What was cut off cannot be seen.
        assert_close(found.vectors[3], found.vectors[4])
        assert_close(found.vectors[3], found.vectors[5])
        for i, text in enumerate(texts):
            assert_close(adapter.encode_texts([text], kind).vectors[0], found.vectors[i])
        nothing = adapter.encode_texts([], kind)
    assert nothing.vectors.shape == (0, adapter.info.dim)
    assert list(nothing.truncated) == []


class Bomb:
    """Runs code when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.mark, "boom"))
