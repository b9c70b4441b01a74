"""A model that keeps the contract, and ways to break it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

import fgbench
from fgbench.adapter import ImageFeatures, Purpose, TextFeatures
from fgbench.adapter_kit.findings import AdapterReport, Check
from fgbench.requests import TextKind

from ..fakes import DIM, FakeAdapter, FakePreprocessor


class Good(FakeAdapter):
    """Keeps the contract: pictures of three forms that are padded, two text paths, Chinese."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(**{"languages": ("en", "zh"), **changes})

    def encode_texts(self, texts: Sequence[str], kind: TextKind) -> TextFeatures:
        if not texts:
            return TextFeatures(torch.zeros(0, DIM), [])
        return super().encode_texts(texts, kind)


class Cells(FakePreprocessor):
    """A preprocessor with one function in the place of view or call.

    Attributes:
        picture: changes the picture before it is cut into cells.
        name: changes the view's name.
        after: changes the tensors.
    """

    def __init__(self, **parts: Any) -> None:
        super().__init__(own_dense_view=parts.pop("own_dense_view", False))
        self.picture: Callable[[Image.Image, str], Image.Image] = parts.get("picture", keep_picture)
        self.name: Callable[..., Any] = parts.get("name", keep_name)
        self.after: Callable[[Mapping[str, Tensor]], Any] = parts.get("after", keep_tensors)
        self.extra = parts.get("extra")

    def view(self, purpose: Purpose, size: tuple[int, int], budget: int | None) -> Any:
        return self.name(super().view(purpose, size, budget), size)

    def __call__(self, image: Image.Image, view: str) -> Any:
        return self.after(super().__call__(self.picture(image, view), view))


def keep_picture(image: Image.Image, view: str) -> Image.Image:
    return image


def keep_name(name: str, size: tuple[int, int]) -> str:
    return name


def keep_tensors(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    return tensors


def with_preprocessor(**parts: Any) -> Good:
    adapter = Good()
    adapter.preprocessor = Cells(**parts)
    return adapter


def with_images(change: Callable[[ImageFeatures], Any], **info: Any) -> Good:
    adapter = Good(**info)
    adapter.spoil_images = change
    return adapter


def with_texts(change: Callable[[TextFeatures], Any], **info: Any) -> Good:
    adapter = Good(**info)
    adapter.spoil_texts = change
    return adapter


class Reader(Good):
    """Reads texts through a function of (text, kind) and flags them by another one."""

    def __init__(
        self,
        read: Callable[[str, TextKind], str] = lambda text, kind: text,
        flag: Callable[[str, int], bool] = lambda text, limit: len(text) > limit,
        **info: Any,
    ) -> None:
        super().__init__(**info)
        self._read, self._flag = read, flag

    def encode_texts(self, texts: Sequence[str], kind: TextKind) -> TextFeatures:
        features = super().encode_texts([self._read(text, kind) for text in texts], kind)
        return TextFeatures(features.vectors, [self._flag(text, self.info.text_length[kind]) for text in texts])


def dense_only(change: Callable[[Tensor, Tensor], tuple[Any, Any]]) -> Callable[[ImageFeatures], ImageFeatures]:
    """Change tokens and grid where there are any."""

    def spoil(features: ImageFeatures) -> ImageFeatures:
        if features.tokens is None or features.grid is None:
            return features
        return ImageFeatures(features.pooled, *change(features.tokens, features.grid))

    return spoil


def pooled_only(change: Callable[[Tensor], Tensor]) -> Callable[[ImageFeatures], ImageFeatures]:
    """Change the global embedding."""
    return lambda features: features._replace(pooled=change(features.pooled))


def texts_only(change: Callable[[Tensor], Tensor]) -> Callable[[TextFeatures], TextFeatures]:
    """Change the vectors of texts."""
    return lambda features: features._replace(vectors=change(features.vectors))


def nan(vectors: Tensor) -> Tensor:
    return torch.where(vectors > vectors.mean(), torch.nan, vectors)


def noisy(strength: float) -> Callable[[Tensor], Tensor]:
    return lambda vectors: vectors + strength * vectors.abs().max() * torch.rand(vectors.shape)


def centred(vectors: Tensor) -> Tensor:
    return vectors - vectors.mean(dim=0)


def checked(adapter: Any) -> AdapterReport:
    return fgbench.check_adapter(adapter, device="cpu")


def found(report: AdapterReport, name: str) -> Check:
    [each] = [each for each in report.checks if each.name == name]
    return each
