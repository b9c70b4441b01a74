"""What a model has to offer. Not a base class: any object with these members is an adapter.

The adapter knows its model: preprocessing, tokens, which hidden state is the embedding. Everything else belongs to
the engine: decoding, batching, device and precision, region pooling, crops, class prototypes, normalising, storing.
The smallest working example is in ``docs/add-a-model.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

from fgbench.requests import TextKind

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn

Purpose = Literal["global", "dense"]
RegionMode = Literal["roi", "crop"]


class ImageFeatures(NamedTuple):
    """Output of :meth:`Adapter.encode_images` for a batch of B pictures; nothing is normalised.

    Attributes:
        pooled: float [B, D], the global embedding.
        tokens: float [B, N, D] or None, dense embeddings in the text space, row by row, real tokens first.
        grid: int [B, 2] or None: (rows, columns) of each picture's token grid; rows * columns <= N. Best on the CPU:
            it is read there, and a grid on the device makes the host wait.
    """

    pooled: Tensor
    tokens: Tensor | None = None
    grid: Tensor | None = None


class TextFeatures(NamedTuple):
    """Output of :meth:`Adapter.encode_texts`.

    Attributes:
        vectors: float [n, D], not normalised.
        truncated: one bool per text: was it longer than the model's text length?
    """

    vectors: Tensor
    truncated: Sequence[bool]


class Preprocessor(Protocol):
    """Turns a picture into tensors. Runs in worker processes, so it is picklable and holds no weights.

    It may have ``host_inputs``, names of tensors that stay on the CPU in a batch: sizes on which the shapes of the
    computation depend. Reading them from a device would wait for all that it has to do before.
    """

    def view(self, purpose: Purpose, size: tuple[int, int], budget: int | None) -> str:
        """Name the treatment that a picture of ``size`` (width, height) gets for this purpose.

        Equal names mean equal tensors: a picture that is needed for two purposes under one name passes
        the vision tower once. Examples: ``crop-224``, ``squash-224``, ``naflex-1024``.
        """

    def __call__(self, image: Image, view: str) -> Mapping[str, Tensor]:
        """CPU tensors of one RGB picture, without batch dimension.

        The engine stacks the tensors of a batch; where first dimensions differ (variable resolution) it pads
        the shorter ones with zeros at the end.
        """


@dataclass(frozen=True)
class AdapterInfo:
    """The facts about a loaded model. All of them are written into every result.

    Attributes:
        name: what results call the model (``fgclip2``, a folder's name, …).
        family: adapter family, e.g. ``fgclip2``.
        source: hub id, path or description of where the weights came from.
        revision: hub commit, if there is one.
        dim: D, the size of the joint embedding space.
        languages: BCP 47 tags the model was trained for.
        text_length: tokens per text, by kind (specials included).
        text_path: which of the model's text paths answers each kind; equal values share one encoding.
        preprocess: one line that names the picture treatment.
        dense: name of the dense features (``dense head``, ``value path``, …), or None if the model has none.
        dense_pooling: ``raw``, or ``token-normalised`` if each token is L2-normalised before RoIAlign.
        window: side in pixels of the square input; None if the model takes pictures of any shape.
        region_default: region mode used unless the user chooses.
        licence: of the weights.
        settings: anything else that changes the numbers.
        files: SHA-256 of the files read, by name.
        paper: (method, backbone) of the model's row in the paper's tables, if it has one.
        notes: remarks for the reader of a result (random weights, inferred settings, …).
    """

    name: str
    family: str
    source: str
    dim: int
    preprocess: str
    text_length: Mapping[TextKind, int]
    text_path: Mapping[TextKind, str]
    revision: str | None = None
    languages: tuple[str, ...] = ("en",)
    dense: str | None = None
    dense_pooling: Literal["raw", "token-normalised"] = "raw"
    window: int | None = None
    region_default: RegionMode = "crop"
    licence: str = "unknown"
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    paper: tuple[str, str] | None = None
    notes: tuple[str, ...] = ()


@runtime_checkable
class Adapter(Protocol):
    """A dual encoder. The engine moves ``module`` to the device once, in evaluation mode, and calls the two
    encode methods under ``torch.inference_mode`` (with autocast if a half precision was chosen).
    """

    info: AdapterInfo

    @property
    def module(self) -> nn.Module:
        """The network: what the engine moves, and what identifies the model."""

    @property
    def preprocessor(self) -> Preprocessor:
        """Turns pictures into the tensors of :meth:`encode_images`."""

    def encode_images(self, batch: Mapping[str, Tensor], *, dense: bool) -> ImageFeatures:
        """Encode pictures of one view.

        Args:
            batch: the preprocessor's tensors with a batch dimension, on the model's device (its ``host_inputs`` on the
                CPU).
            dense: also return ``tokens`` and ``grid``; only asked for if ``info.dense`` is set.
        """

    def encode_texts(self, texts: Sequence[str], kind: TextKind) -> TextFeatures:
        """Encode texts, of which there may be none. Row i must not depend on the other texts."""
