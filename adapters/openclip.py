"""Any open_clip model: global features always, dense features for vision transformers with a class token."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import open_clip
import torch
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import Tensor, nn

from fgbench.adapter import Adapter, AdapterInfo, ImageFeatures, Preprocessor, Purpose, TextFeatures
from fgbench.errors import CapabilityError, ModelError
from fgbench.requests import TextKind

from .causal_text import causal_encoder
from .checkpoint import file_digests
from .clip_like import for_every_kind, languages, presentable
from .openclip_source import Source, locate, read_weights
from .value_path import ValuePath, open_clip_value_path

_VIEWS = {"shortest": "crop", "longest": "letterbox", "squash": "squash"}
_SEED = 0
_LITERAL_SPECIALS = re.compile(r"<(?=(?:start|end)_of_text>)", re.IGNORECASE)
"""Special tokens of open_clip's own tokenizer, spelt out in a text, would begin or end it. A space after the bracket is
enough: the tokenizer then finds the pieces that it finds in any bracketed word. Applied after HTML was un-escaped."""


def load(target: str) -> Adapter:
    """Load an open_clip model.

    Args:
        target: as in :func:`fgbench.adapters.openclip_source.locate`. Without weights the parameters are random, the
            same ones each time.

    Raises:
        UsageError: no such model, tag, file or folder.
        ModelError: weights or tokenizer that cannot be had, or that do not fit.
    """
    source = locate(target)
    model = create(source)
    notes = source.notes
    if source.weights is not None:
        notes += read_weights(model, source.weights)
    path = open_clip_value_path(model.visual)
    preprocessor = OpenClipPreprocessor.from_config(model.visual.preprocess_cfg)
    tokens = OpenClipTokens(_tokenizer(source))
    config = open_clip.get_model_config(source.name)
    files = file_digests(source.weights.parent, source.files) if source.weights else {}
    picture = preprocessor.config
    info = AdapterInfo(
        name=target,
        family="openclip",
        source=source.description,
        revision=source.revision,
        dim=int(config["embed_dim"]),
        languages=languages(int(getattr(model, "vocab_size", 0))),
        text_length=for_every_kind(tokens.length),
        text_path=for_every_kind("text"),
        window=picture.size if isinstance(picture.size, int) else min(picture.size),
        preprocess=(
            f"open_clip: {preprocessor.global_view}, {picture.interpolation}, mean {tuple(picture.mean)}, "
            f"std {tuple(picture.std)}" + (f"; dense {preprocessor.dense_view}" if path else "")
        ),
        dense="value path" if path else None,
        region_default="roi" if path else "crop",
        settings={
            "open_clip": open_clip.__version__,
            "quick_gelu": bool(config.get("quick_gelu") if source.quick_gelu is None else source.quick_gelu),
            "tokenizer": type(tokens.tokenizer).__name__,
            "literal_special_tokens": "read as text",
        },
        files=files,
        notes=notes,
    )
    return OpenClipAdapter(info, model.float().eval(), preprocessor, tokens, path)


class OpenClipAdapter:
    """An open_clip model as an adapter (:class:`fgbench.adapter.Adapter`)."""

    def __init__(
        self,
        info: AdapterInfo,
        module: Any,
        preprocessor: OpenClipPreprocessor,
        tokens: OpenClipTokens,
        path: ValuePath | None,
    ) -> None:
        self.info = info
        self.module: nn.Module = module
        self.preprocessor: Preprocessor = preprocessor
        self._model = module
        self._tokens = tokens
        self._path = path
        self._causal = causal_encoder(module)

    def encode_images(self, batch: Mapping[str, Tensor], *, dense: bool) -> ImageFeatures:
        """Encode ``pixels``, float32 [B, 3, H, W]; see :meth:`fgbench.adapter.Adapter.encode_images`."""
        if not dense:
            return ImageFeatures(self._pool(batch["pixels"]))
        if self._path is None:
            raise CapabilityError(f"{self.info.name} has no dense features. Use region mode 'crop'.")
        return self._path.run(self._pool, batch["pixels"])

    def encode_texts(self, texts: Sequence[str], kind: TextKind) -> TextFeatures:
        """Encode texts; all kinds share one path. Causal towers run at the length of the longest text."""
        if not texts:
            return TextFeatures(torch.zeros(0, self.info.dim), [])
        ids, truncated = self._tokens(texts)
        device = next(self.module.parameters()).device
        ids = ids.to(device)
        if self._causal:
            return TextFeatures(self._causal(ids), truncated)
        return TextFeatures(self._model.encode_text(ids, normalize=False), truncated)

    def _pool(self, pixels: Tensor) -> Tensor:
        # The explicit flag matters: CoCa normalises unless told otherwise.
        vectors: Tensor = self._model.encode_image(pixels, normalize=False)
        return vectors


@dataclass(frozen=True)
class OpenClipPreprocessor:
    """open_clip's evaluation transform, and for dense features the same without losing the borders.

    Attributes:
        config: the picture treatment of the model.
        global_view: ``crop-224``, ``squash-224``, …
        dense_view: always ``squash-…``: boxes refer to the whole picture.
        transforms: by view, torchvision.
    """

    config: PreprocessCfg
    global_view: str
    dense_view: str
    transforms: Mapping[str, Any]

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> OpenClipPreprocessor:
        """From the ``preprocess_cfg`` of a vision tower."""
        config = PreprocessCfg(**values)
        height, width = (config.size, config.size) if isinstance(config.size, int) else config.size
        size = str(height) if height == width else f"{height}x{width}"
        squash = PreprocessCfg(**{**values, "size": (height, width), "resize_mode": "squash"})
        global_view, dense_view = f"{_VIEWS[config.resize_mode]}-{size}", f"squash-{size}"
        # Equal names mean equal tensors, so a model that squashes anyway has one transform only.
        transforms = {dense_view: image_transform_v2(squash, is_train=False)}
        if global_view != dense_view:
            transforms[global_view] = image_transform_v2(config, is_train=False)
        return cls(config, global_view, dense_view, transforms)

    def view(self, purpose: Purpose, size: tuple[int, int], budget: int | None) -> str:
        """The model's own treatment for global features, the whole picture squashed for dense ones."""
        return self.dense_view if purpose == "dense" else self.global_view

    def __call__(self, image: Image.Image, view: str) -> Mapping[str, Tensor]:
        """``pixels``: float32 [3, H, W]."""
        return {"pixels": self.transforms[view](presentable(image))}


class OpenClipTokens:
    """open_clip's tokenizer of a model, and an honest count of what it cuts off."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.length = int(tokenizer.context_length)
        if isinstance(tokenizer, SimpleTokenizer):
            clean = tokenizer.clean_fn
            tokenizer.clean_fn = lambda text: _LITERAL_SPECIALS.sub("< ", clean(text))
            tokenizer.reduction_fn = None  # the others drop words at random, for training
        elif isinstance(tokenizer, HFTokenizer):
            tokenizer.tokenizer.split_special_tokens = True
        else:
            raise ModelError(
                f"open_clip gave a {type(tokenizer).__name__}; expected a SimpleTokenizer or an HFTokenizer. "
                "Look for the same model as hf:<owner>/<name>."
            )

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, list[bool]]:
        """Token ids, int64 [n, L] with L the context length, and which texts are longer than that."""
        ids: Tensor = self.tokenizer(list(texts))
        return ids, self._truncated(texts, ids)

    def _truncated(self, texts: Sequence[str], ids: Tensor) -> list[bool]:
        if isinstance(self.tokenizer, SimpleTokenizer):
            # Only texts that fill all positions are counted again. Padding is 0; a full text ends with the end token.
            full = ids[:, -1] != 0
            return [
                bool(fills) and len(self.tokenizer.encode(text)) + 2 > self.length
                for fills, text in zip(full.tolist(), texts, strict=True)
            ]
        cleaned = [self.tokenizer.clean_fn(text) for text in texts]
        own_specials = self.tokenizer.tokenizer_mode == "clips"  # begin, end and class token are added by open_clip
        found = self.tokenizer.tokenizer(cleaned, add_special_tokens=not own_specials, truncation=False, verbose=False)
        return [len(row) + 3 * own_specials > self.length for row in found["input_ids"]]


def create(source: Source) -> Any:
    """Build the model with random parameters, in float32; the process's random numbers are not disturbed."""
    options = {} if source.quick_gelu is None else {"quick_gelu": source.quick_gelu}
    state = torch.get_rng_state()
    try:
        torch.default_generator.manual_seed(_SEED)
        with _quiet():
            return open_clip.create_model(
                source.name,
                load_weights=False,
                pretrained_text=False,
                precision="fp32",
                force_preprocess_cfg=dict(source.picture),
                **options,
            )
    except Exception as error:  # configurations come from outside, and some reach for the hub
        raise ModelError(
            f"open_clip cannot build {source.name}: {error} If a part of it comes from the hub (some text towers do), "
            "connect, or use a folder with open_clip_config.json in which hf_model_name names a local folder."
        ) from error
    finally:
        torch.set_rng_state(state)


def _tokenizer(source: Source) -> Any:
    config = open_clip.get_model_config(source.name)["text_cfg"]
    # A configuration from outside may ask for anything; code from the hub is never run.
    options = {"trust_remote_code": False} if config.get("hf_tokenizer_name") else {}
    try:
        with _quiet():
            return open_clip.get_tokenizer(source.name, **options)
    except Exception as error:  # as above
        raise ModelError(
            f"open_clip cannot load the tokenizer of {source.name}: {error} "
            "Connect to the hub, or use a folder with open_clip_config.json and the tokenizer's files."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep open_clip from configuring the root logger, and from warning of random weights before they are loaded."""
    silent, level = logging.NullHandler(), logging.root.manager.disable
    logging.root.addHandler(silent)
    logging.disable(max(level, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(level)
        logging.root.removeHandler(silent)
