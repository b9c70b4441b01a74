"""The adapter under test, called as the engine calls it; every answer is checked for its form at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from fgbench.adapter import Adapter, ImageFeatures, Purpose, TextFeatures
from fgbench.adapter_kit.findings import ContractError, naming
from fgbench.requests import TextKind
from fgbench.runner.device import computing
from fgbench.runner.transfer import collate, host_inputs

if TYPE_CHECKING:
    from fgbench.adapter import AdapterInfo

KINDS: tuple[TextKind, ...] = ("short", "box", "long")

TOLERANCE = 1e-4
"""Largest difference between vectors that count as equal, relative to the largest value in them."""

_FLOATS = (torch.float32, torch.float64)


class Prepared(NamedTuple):
    """A picture as the model gets it.

    Attributes:
        view: name of the treatment.
        tensors: the preprocessor's.
        size: (width, height) of the picture.
    """

    view: str
    tensors: Mapping[str, Tensor]
    size: tuple[int, int]


@dataclass
class Subject:
    """The adapter under test.

    Attributes:
        adapter: the model.
        device: where its module is.
    """

    adapter: Adapter
    device: torch.device
    _alone: dict[tuple[int, Purpose], ImageFeatures] = field(default_factory=dict)

    @property
    def info(self) -> AdapterInfo:
        """The declared facts."""
        return self.adapter.info

    @property
    def purposes(self) -> tuple[Purpose, ...]:
        """What pictures are encoded for."""
        return ("global", "dense") if self.info.dense is not None else ("global",)

    def paths(self) -> dict[str, TextKind]:
        """One kind for each text path of the model."""
        found: dict[str, TextKind] = {}
        for kind in KINDS:
            found.setdefault(self.info.text_path[kind], kind)
        return found

    def prepare(self, image: Image.Image, purpose: Purpose = "global") -> Prepared:
        """Preprocess a picture.

        Raises:
            ContractError: not a mapping from names to tensors on the CPU.
        """
        view = self.adapter.preprocessor.view(purpose, image.size, None)
        tensors = self.adapter.preprocessor(image, view)
        if not isinstance(tensors, Mapping) or not tensors:
            raise ContractError(
                f"the preprocessor returned {_kind(tensors)}; expected a dictionary from names to tensors."
            )
        for name, tensor in tensors.items():
            if not isinstance(tensor, Tensor) or tensor.device.type != "cpu" or tensor.requires_grad:
                raise ContractError(
                    f"the preprocessor's {name!r} is {_kind(tensor)}; expected a tensor on the CPU, without gradient."
                )
        return Prepared(view, tensors, image.size)

    def images(self, prepared: Sequence[Prepared], *, dense: bool = False) -> ImageFeatures:
        """Encode one batch; the answer is on the CPU.

        Raises:
            ContractError: wrong type, shape or number type, NaN, or no dense features although they are declared.
        """
        batch = collate([each.tensors for each in prepared], self.device, host_inputs(self.adapter.preprocessor))
        with computing(self.device, "fp32"):
            features = self.adapter.encode_images(batch, dense=dense)
        if not isinstance(features, ImageFeatures):
            raise ContractError(f"encode_images returned {_kind(features)}; expected fgbench.adapter.ImageFeatures.")
        _check(features.pooled, (len(prepared), self.info.dim), "pooled")
        if not dense:
            return ImageFeatures(features.pooled.cpu())
        tokens, grid = features.tokens, features.grid
        if tokens is None or grid is None:
            missing = "tokens" if tokens is None else "grid"
            raise ContractError(
                f"{missing} is None, but info.dense is {self.info.dense!r}. Expected tokens [B, N, D] and grid [B, 2] "
                "whenever dense=True is asked for; or declare dense=None."
            )
        if tokens.ndim != 3:
            raise ContractError(f"tokens are {list(tokens.shape)}; expected [{len(prepared)}, N, {self.info.dim}].")
        _check(tokens, (len(prepared), tokens.shape[1], self.info.dim), "tokens", finite=False)
        if tuple(grid.shape) != (len(prepared), 2) or grid.is_floating_point():
            raise ContractError(
                f"grid is {list(grid.shape)} {_dtype(grid)}; expected [{len(prepared)}, 2] integers: rows, columns."
            )
        for number, (rows, columns) in enumerate(grid.tolist()):
            if rows < 1 or columns < 1 or rows * columns > tokens.shape[1]:
                raise ContractError(
                    f"grid says {rows} rows and {columns} columns, but there are {tokens.shape[1]} tokens. Expected "
                    "rows * columns <= tokens, both at least 1; a class token does not belong to them."
                )
            if not torch.isfinite(tokens[number, : rows * columns]).all():
                raise ContractError("tokens contain NaN or infinity. Expected finite numbers.")
        return ImageFeatures(features.pooled.cpu(), tokens.float().cpu(), grid.cpu())

    def alone(self, image: Image.Image, purpose: Purpose = "global") -> ImageFeatures:
        """Encode a picture in a batch of its own; remembered, as several checks compare with it."""
        key = (hash((image.size, image.tobytes())), purpose)
        if key not in self._alone:
            self._alone[key] = self.images([self.prepare(image, purpose)], dense=purpose == "dense")
        return self._alone[key]

    def texts(self, texts: Sequence[str], kind: TextKind) -> TextFeatures:
        """Encode texts as one batch; the vectors are on the CPU.

        Raises:
            ContractError: wrong type, shape or number type, or NaN.
        """
        with computing(self.device, "fp32"):
            features = self.adapter.encode_texts(texts, kind)
        if not isinstance(features, TextFeatures):
            raise ContractError(f"encode_texts returned {_kind(features)}; expected fgbench.adapter.TextFeatures.")
        _check(features.vectors, (len(texts), self.info.dim), "vectors")
        if len(features.truncated) != len(texts):
            raise ContractError(
                f"truncated has {len(features.truncated)} entries; expected one per text, {len(texts)}."
            )
        return TextFeatures(features.vectors.cpu(), [bool(flag) for flag in features.truncated])

    def every_text(self, texts: Sequence[str], kind: TextKind) -> TextFeatures:
        """Encode texts as one batch; if that goes wrong, find the text that it goes wrong with.

        Raises:
            ContractError: as :meth:`texts`, with the text.
        """
        try:
            return self.texts(texts, kind)
        except Exception:
            for text in texts:
                with naming(f"the text {text if len(text) < 40 else text[:40] + '…'!r}"):
                    self.texts([text], kind)
            raise

    def by_view(self, prepared: Sequence[Prepared]) -> Iterator[list[Prepared]]:
        """Groups that the engine would batch."""
        groups: dict[str, list[Prepared]] = {}
        for each in prepared:
            groups.setdefault(each.view, []).append(each)
        yield from groups.values()


def distance(found: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the largest value of ``expected``; NaN if there is one in either."""
    if torch.equal(found, expected):
        return 0.0
    scale = float(expected.abs().max())
    return float((found - expected).abs().max()) / max(scale, 1e-30)


def by(difference: float) -> str:
    """A difference in words."""
    return f"by {difference:.1e}" if difference else "by nothing"


def _check(tensor: Tensor, shape: tuple[int, ...], name: str, *, finite: bool = True) -> None:
    if not isinstance(tensor, Tensor):
        raise ContractError(f"{name} is {_kind(tensor)}; expected a tensor.")
    if tuple(tensor.shape) != shape or tensor.dtype not in _FLOATS:
        raise ContractError(
            f"{name} is {list(tensor.shape)} {_dtype(tensor)}; expected {list(shape)} float32 (info.dim: {shape[-1]})."
        )
    if finite and not torch.isfinite(tensor).all():
        bad = int((~torch.isfinite(tensor)).any(dim=-1).sum())
        raise ContractError(f"{name} has NaN or infinity in {bad} of {len(tensor)} rows. Expected finite numbers.")


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {list(value.shape)} {_dtype(value)} on {value.device}"
    return f"{type(value).__name__} ({value!r:.60})"
