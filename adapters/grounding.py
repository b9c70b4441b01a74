"""LLMDet and MM-Grounding-DINO through transformers, with the class scores of their official LVIS evaluation.

Source: the configurations and the head of LLMDet (Fu et al. 2025, arXiv 2501.18954) and of MM-Grounding-DINO (Zhao et
al. 2024, arXiv 2401.02361). The post-processing in transformers gives one score and one decoded string per query, from
which no LVIS AP can be computed; here the classes are scored one by one.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from PIL.Image import Resampling
from torch import Tensor, nn

from fgbench.detector import Chunk, Detected, Detector, DetectorInfo
from fgbench.errors import ModelError, UsageError

from .checkpoint import INDEX, fetch, file_digests, read_json
from .hf_files import Loaded, load_image_processor, load_model, load_tokenizer

if TYPE_CHECKING:
    from PIL.Image import Image

CHUNK = 40
"""Names per prompt, as for Swin-T in the official evaluation. Eighty LVIS names do not always fit 256 tokens."""

PAIRS = 300
"""(query, class) pairs kept per chunk, as in the official evaluation."""

_FILES = (
    "config.json",
    "model*.safetensors",
    INDEX,
    "tokenizer*",
    "special_tokens_map.json",
    "vocab.*",
    "preprocessor_config.json",
    "processor_config.json",
)

_Seen: TypeAlias = tuple[list[tuple[Tensor, Tensor]], list[Tensor]]
"""Feature maps with their masks, and their position embeddings."""


def load(target: str, *, chunk_size: int = CHUNK) -> Detector:
    """Load a detector.

    Args:
        target: hub id, ``owner/name@revision``, or a folder.
        chunk_size: names per prompt.

    Raises:
        UsageError: no such model, or one of another type.
        ModelError: a checkpoint that is incomplete or damaged.
    """
    if Path(target).is_dir():
        checkpoint = fetch(target)
    else:
        target, _, revision = target.partition("@")
        checkpoint = fetch(target, revision or None, _FILES)
    kind = read_json(checkpoint.folder, "config.json").get("model_type")
    if kind != "mm-grounding-dino":
        raise UsageError(
            f"{target} is a model of type {kind!r}; expected 'mm-grounding-dino' (LLMDet, MM-Grounding-DINO)."
        )
    loaded = load_model("MMGroundingDinoForObjectDetection", checkpoint)
    processor = load_image_processor(checkpoint.folder)
    info = DetectorInfo(
        name=target,
        family="grounding",
        source=target,
        revision=checkpoint.revision,
        chunk_size=chunk_size,
        pairs_per_chunk=PAIRS,
        image_rule=_image_rule(processor, checkpoint.folder),
        settings={
            "transformers": loaded.version,
            "class_score": "mean over the tokens of the name of sigmoid(token logit)",
            "prompt": "names without (…) and _, each followed by '. '",
            "nms": "none",
            "threshold": "none",
            "resize": "Pillow",
        },
        files=file_digests(checkpoint.folder, loaded.files),
        notes=loaded.notes,
    )
    return GroundingDetector(info, loaded, load_tokenizer(checkpoint.folder), processor)


@dataclass(frozen=True)
class _Inputs:
    """A tokenised prompt of T tokens: ids int64 [1, T], and which tokens belong to each class, float [T, C] with
    columns that sum to 1.
    """

    ids: Tensor
    share: Tensor


class GroundingDetector:
    """A transformers model as a detector (:class:`fgbench.detector.Detector`)."""

    def __init__(self, info: DetectorInfo, loaded: Loaded, tokenizer: Any, processor: Any) -> None:
        self.info = info
        self.module: nn.Module = loaded.model
        self._model = loaded.model
        self._tokenizer = tokenizer
        self._processor = processor
        self._backbone = SharedBackbone(self._model.model.backbone)
        self._model.model.backbone = self._backbone

    def prepare(self, names: Sequence[str]) -> list[Chunk]:
        """Clean the names, join them chunk by chunk, tokenise; see :meth:`fgbench.detector.Detector.prepare`."""
        cleaned, size = [clean(name) for name in names], self.info.chunk_size
        return [self._chunk(start, cleaned[start : start + size]) for start in range(0, len(cleaned), size)]

    def pixels(self, image: Image) -> Tensor:
        """Resize and normalise by the checkpoint's own image processor."""
        pixels: Tensor = self._processor(images=image, return_tensors="pt")["pixel_values"][0]
        return pixels

    def look(self, pixels: Tensor) -> tuple[Tensor, _Seen]:
        """Run the image backbone, which is the same for every chunk."""
        mask = torch.ones((len(pixels), *pixels.shape[-2:]), dtype=torch.long, device=pixels.device)
        return pixels, self._backbone(pixels, mask)

    def detect(self, seen: tuple[Tensor, _Seen], chunk: Chunk) -> Detected:
        """Everything after the backbone; see :meth:`fgbench.detector.Detector.detect`."""
        pixels, features = seen
        inputs: _Inputs = chunk.inputs
        ids = inputs.ids.to(pixels.device).expand(len(pixels), -1)
        with self._backbone.showing(features):
            output = self._model(pixel_values=pixels, input_ids=ids, attention_mask=torch.ones_like(ids))
        token_scores = output.logits[..., : ids.shape[1]].float().sigmoid()
        scores = token_scores @ inputs.share.to(pixels.device)
        return Detected(corners(output.pred_boxes.float()), scores)

    def _chunk(self, start: int, names: list[str]) -> Chunk:
        prompt, spans = "", []
        for name in names:
            spans.append((len(prompt), len(prompt) + len(name)))
            prompt += f"{name}. "
        encoded = self._tokenizer(prompt, return_offsets_mapping=True, return_tensors="np")
        offsets, limit = encoded["offset_mapping"][0], self._model.config.max_text_len
        if len(offsets) > limit:
            raise ModelError(
                f"The {len(names)} class names from {names[0]!r} to {names[-1]!r} take {len(offsets)} tokens; "
                f"{self.info.name} reads {limit}. Load it with a smaller chunk_size than {self.info.chunk_size}."
            )
        share = np.zeros((len(offsets), len(names)), dtype=np.float32)
        for column, (first, end) in enumerate(spans):
            # Special tokens have the empty span (0, 0).
            tokens = (offsets[:, 0] >= first) & (offsets[:, 1] <= end) & (offsets[:, 1] > offsets[:, 0])
            if not tokens.any():
                raise ModelError(f"Class name {names[column]!r}: nothing of it is left in the prompt. Rename it.")
            share[tokens, column] = 1 / tokens.sum()
        ids = torch.from_numpy(np.asarray(encoded["input_ids"], dtype=np.int64))
        return Chunk(start, len(names), prompt, _Inputs(ids, torch.from_numpy(share)))


class SharedBackbone(nn.Module):
    """An image backbone whose output can be given instead of computed again for every chunk of names.

    The model's forward pass has no argument for features that are already there. Everything else in it is untouched.
    """

    def __init__(self, original: nn.Module) -> None:
        """
        Args:
            original: the model's backbone, with its position embedding.
        """
        super().__init__()
        self.original = original
        self._given: _Seen | None = None

    @property
    def position_embedding(self) -> Any:
        """Of the original; the model uses it for its own coarser levels."""
        return self.original.position_embedding

    def forward(self, pixels: Tensor, mask: Tensor) -> _Seen:
        """The features given, or the original's."""
        features, positions = self._given or self.original(pixels, mask)
        return list(features), list(positions)  # the model appends to what it gets

    @contextlib.contextmanager
    def showing(self, features: _Seen) -> Iterator[None]:
        """Within the block, answer with these features."""
        self._given = features
        try:
            yield
        finally:
            self._given = None


def _image_rule(processor: Any, folder: Path) -> str:
    """The picture treatment in words."""
    short, long = (getattr(processor.size, name, None) for name in ("shortest_edge", "longest_edge"))
    if not (processor.do_resize and processor.do_rescale and processor.do_normalize and short and long):
        raise ModelError(
            f"{folder / 'preprocessor_config.json'}: expected pictures to be resized to size.shortest_edge and "
            f"longest_edge, rescaled and normalised; found size {processor.size}. Download it again."
        )
    return f"short side {short}, long side up to {long}, {Resampling(processor.resample).name.lower()}, unpadded"


def clean(name: str) -> str:
    """A dataset's class name as the detector was trained to read it: no parenthesised sense, no underscores.

    Neither stripped nor lower-cased: the tokeniser does that. Different classes may become the same name.
    """
    return re.sub(r"\(.*\)", "", name).replace("_", " ").replace("  ", " ")


def corners(boxes: Tensor) -> Tensor:
    """Centre x, y, width, height to x1, y1, x2, y2, clamped to [0, 1]; fractions of the picture, [..., 4]."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], dim=-1).clamp(0, 1)
