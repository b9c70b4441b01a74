"""R2D2 (Xie et al., ACM MM 2023): a Chinese dual encoder, CLIP's vision tower and a BERT.

Only the dual encoder. R2D2 can also re-rank its best matches with joint layers, which see picture and text together;
their weights are left out. There are no dense features: the image vector is read before the final norm, and nothing is
known of what the other tokens would give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, BertTokenizer, CLIPVisionConfig, CLIPVisionModel

from fgbench.adapter import AdapterInfo, ImageFeatures, TextFeatures
from fgbench.errors import CapabilityError, ModelError, UsageError
from fgbench.requests import TextKind

from .checkpoint import file_digests, load_strict
from .clip_like import for_every_kind
from .hf_text import TextTokens
from .squash import ClipPixels, SquashPreprocessor
from .torch_files import Weights, locate, read_tensors

LENGTH = 64
"""Tokens per text, [CLS] and [SEP] included."""

UNPUBLISHED = "unpublished"
"""Target of the models whose weights nobody can have."""

_VOCABULARY = "vocab.txt"
_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_USED = ("visual_encoder.", "text_encoder.", "vision_proj.", "text_proj.", "temp")
_UNUSED = ("text_encoder.pooler.",)
_ADVICE = (
    "R2D2's weights are only on Google Drive, so they cannot be fetched from here: download R2D2 or PRD2 ViT-L (250M) "
    "through the links in the README of https://github.com/yuxie11/R2D2, then type r2d2:<file>; or use r2d2-l14 in the "
    "folder that holds it as r2d2_pretrain_250m.pth."
)


class R2D2Adapter:
    """R2D2 as the engine sees it (:class:`fgbench.adapter.Adapter`)."""

    def __init__(self, info: AdapterInfo, module: R2D2, preprocessor: SquashPreprocessor, tokens: TextTokens) -> None:
        """Put the parts together."""
        self.info = info
        self.module = module
        self.preprocessor = preprocessor
        self._tokens = tokens

    def encode_images(self, batch: Mapping[str, Tensor], *, dense: bool) -> ImageFeatures:
        """Embed pictures: ``pixels`` uint8 [B, 3, S, S], as the preprocessor makes them."""
        if dense:
            raise CapabilityError(f"{self.info.name} has no dense features. Use region mode 'crop'.")
        return ImageFeatures(self.module.image_features(batch["pixels"]))

    def encode_texts(self, texts: Sequence[str], kind: TextKind) -> TextFeatures:
        """Embed texts; all kinds share one path, and the tokenizer lower-cases."""
        if not texts:
            return TextFeatures(torch.zeros(0, self.info.dim), [])
        ids, truncated = self._tokens(texts)
        return TextFeatures(self.module.text_features(ids.to(self.module.temp.device)), truncated)


class R2D2(nn.Module):
    """The two towers, with the parameter names of the published checkpoints. D is the size of the joint space."""

    def __init__(self, vision: Any, text: Any, dim: int) -> None:
        super().__init__()
        self.visual_encoder = CLIPVisionModel(vision)
        self.text_encoder = BertModel(text, add_pooling_layer=False)
        self.vision_proj = nn.Linear(vision.hidden_size, dim)
        self.text_proj = nn.Linear(text.hidden_size, dim)
        self.temp = nn.Parameter(torch.zeros(()))
        self.pixels = ClipPixels()

    def image_features(self, pixels: Tensor) -> Tensor:
        """Embed pictures, uint8 [B, 3, S, S]: the class token of the last layer, without the final norm. [B, D]."""
        states = self.visual_encoder(pixel_values=self.pixels(pixels)).last_hidden_state
        vectors: Tensor = self.vision_proj(states[:, 0])
        return vectors

    def text_features(self, ids: Tensor) -> Tensor:
        """Embed texts, int64 [n, L], padded with 0, which is no part of a text: [CLS] of the last layer. [n, D].

        The padding is masked, so that its length is irrelevant.
        """
        states = self.text_encoder(input_ids=ids, attention_mask=(ids != 0).long()).last_hidden_state
        vectors: Tensor = self.text_proj(states[:, 0])
        return vectors


def load(target: str, *, vocab: str | None = None) -> R2D2Adapter:
    """Load an R2D2 or PRD2 checkpoint.

    Args:
        target: weights file.
        vocab: BERT's vocabulary, a file with one token per line, or the folder that holds it as ``vocab.txt``; without
            it, ``vocab.txt`` beside the weights.

    Raises:
        UsageError: no such vocabulary.
        ModelError: no such file, or one that is damaged, that would have to run code, or that holds another model.
    """
    if target == UNPUBLISHED:
        raise ModelError(
            "No pre-trained weights of this R2D2 were published, only models fine-tuned on single datasets, so the "
            f"paper's row cannot be reproduced. For a file of your own type r2d2:<file>. {_ADVICE}"
        )
    file = locate(target, _ADVICE)
    weights = read_tensors(file.path, "R2D2 (visual_encoder, text_encoder and their projections)")
    with torch.random.fork_rng(devices=[]):  # the process's random numbers are not disturbed
        module, size, vocabulary = _build(weights)
    state = {
        name: value
        for name, value in weights.state.items()
        if name.startswith(_USED) and not name.startswith(_UNUSED) and not name.endswith(".position_ids")
    }
    load_strict(module, state, f"the R2D2 that the shapes in {file.path} describe")
    unused = sorted({name.partition(".")[0] for name in weights.state if not name.startswith(_USED)})
    path = _find_vocabulary(file.path, vocab)
    tokenizer = _read_vocabulary(path, vocabulary)
    preprocessor = SquashPreprocessor(size)
    info = AdapterInfo(
        name=file.path.stem,
        family="r2d2",
        source=file.path.name,
        revision=file.revision,
        dim=module.vision_proj.out_features,
        languages=("zh",),
        text_length=for_every_kind(LENGTH),
        text_path=for_every_kind("text"),
        preprocess=preprocessor.describe(),
        window=size,
        settings={
            "temperature": module.temp.item(),
            "activation": "quick_gelu",
            "lowercase": "tokenizer",
            "literal_special_tokens": "read as text",
        },
        files={**file_digests(file.path.parent, (file.path.name,)), **file_digests(path.parent, (path.name,))},
        notes=(
            "dual encoder only: the best matches are not re-ranked by the joint layers",
            *((f"parts of the checkpoint that are not used: {', '.join(unused)}",) if unused else ()),
        ),
    )
    tokens = TextTokens(tokenizer, LENGTH, 0, vocabulary, fixed=False, lowercase=False)
    return R2D2Adapter(info, module.eval(), preprocessor, tokens)


def _build(weights: Weights) -> tuple[R2D2, int, int]:
    """The architecture that the shapes describe, with random parameters; side of its pictures; size of its vocabulary.

    Activations and norms are those of R2D2's configuration files.
    """
    width, _, _, patch = weights.size("visual_encoder.embeddings.patch_embedding.weight", rank=4)
    positions = weights.size("visual_encoder.embeddings.position_embedding.weight", rank=2)[0]
    size = patch * weights.side(positions)
    vision = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=weights.size("visual_encoder.encoder.layers.0.mlp.fc1.weight", rank=2)[0],
        num_hidden_layers=weights.count("visual_encoder.encoder.layers."),
        num_attention_heads=weights.heads(width),
        image_size=size,
        patch_size=patch,
        hidden_act="quick_gelu",
        layer_norm_eps=1e-5,
    )
    vocabulary, text_width = weights.size("text_encoder.embeddings.word_embeddings.weight", rank=2)
    text = BertConfig(
        vocab_size=vocabulary,
        hidden_size=text_width,
        intermediate_size=weights.size("text_encoder.encoder.layer.0.intermediate.dense.weight", rank=2)[0],
        num_hidden_layers=weights.count("text_encoder.encoder.layer."),
        num_attention_heads=weights.heads(text_width),
        max_position_embeddings=weights.size("text_encoder.embeddings.position_embeddings.weight", rank=2)[0],
        type_vocab_size=weights.size("text_encoder.embeddings.token_type_embeddings.weight", rank=2)[0],
        hidden_act="gelu",
        layer_norm_eps=1e-12,
        pad_token_id=0,
    )
    return R2D2(vision, text, weights.size("text_proj.weight", rank=2)[0]), size, vocabulary


def _find_vocabulary(weights: Path, option: str | None) -> Path:
    if option is None:
        if (path := weights.parent / _VOCABULARY).is_file():
            return path
        raise ModelError(
            f"{weights}: there is no {_VOCABULARY} beside it. R2D2's weights come without the vocabulary of their text "
            "tower, which is that of the hub's hfl/chinese-roberta-wwm-ext: put that model's vocab.txt beside the "
            "weights, or add ?vocab=<file> to the model's name."
        )
    path = Path(option) / _VOCABULARY if Path(option).is_dir() else Path(option)
    if not path.is_file():
        raise UsageError(f"Model option vocab={option}: there is no file {path}. Expected one token per line.")
    return path


def _read_vocabulary(path: Path, entries: int) -> Any:
    """BERT's tokenizer over a vocabulary, checked against the model.

    Raises:
        ModelError: not a BERT vocabulary, or that of another model.
    """
    try:
        # Not splitlines(): a token may be a separator of another kind.
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: expected a text file with one token per line, but {error}.") from error
    vocabulary = {token: number for number, token in enumerate(lines)}
    missing = [token for token in _SPECIALS if token not in vocabulary]
    if len(lines) != entries or missing or vocabulary["[PAD]"] != 0:
        raise ModelError(
            f"{path}: expected the {entries} tokens of the model, the first of them [PAD]; found {len(lines)} lines"
            + (f" without {', '.join(missing)}" if missing else "")
            + ". Use vocab.txt of the hub's hfl/chinese-roberta-wwm-ext."
        )
    tokenizer = BertTokenizer(vocab=vocabulary)
    tokenizer.split_special_tokens = True
    return tokenizer
