"""A LLaVA whose vision tower is FG-CLIP 2 or SigLIP 2 NaFlex, as a generator.

The network is in :mod:`.llava_naflex_model`; the form of a checkpoint, and how to put one together, in
:mod:`.llava_naflex_files`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor, nn

from fgbench.errors import ModelError, UsageError
from fgbench.generator import TOO_LONG, GeneratorInfo, Reply

from .bundled import load_bundled
from .checkpoint import fetch, file_digests, weight_files
from .llava_naflex_files import FILES, read
from .llava_naflex_model import PICTURE, LlavaNaflex, LlavaNaflexConfig
from .lmm_decoding import decode_greedily, parse_dtype, read_replies
from .lmm_frames import find_frame
from .naflex import BUDGETS, PATCH, NaflexPreprocessor, parse_budget
from .untrained import byte_tokenizer, parse_seed, random_weights

_SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")
_TOWER = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
_UNTRAINED = {
    "model_type": "llava_naflex",
    "vision_config": {**_TOWER, "num_patches": 64},
    "text_config": {
        "model_type": "llama",
        **_TOWER,
        "num_key_value_heads": 4,
        "vocab_size": len(_SPECIALS) + 256,
        "max_position_embeddings": 4096,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "tie_word_embeddings": True,
    },
    "frame": "short",
    "budget": 128,
}


def load(
    target: str,
    *,
    frame: str | None = None,
    budget: str | int | None = None,
    dtype: str | None = None,
    revision: str | None = None,
) -> LlavaNaflexGenerator:
    """Load a checkpoint.

    Args:
        target: hub id or folder.
        frame: chat frame in place of the checkpoint's.
        budget: patches per picture in place of the checkpoint's.
        dtype: precision of the weights: ``fp32`` (default), ``bf16`` or ``fp16``.
        revision: commit, branch or tag on the hub.

    Raises:
        UsageError: no such model, or options that cannot be.
        ModelError: files that are missing, damaged, or do not fit each other.
    """
    precision = parse_dtype(dtype)
    folder, commit = fetch(target, revision)
    module, tokenizer = read(folder)
    return LlavaNaflexGenerator(
        module.to(precision),
        tokenizer,
        frame=frame,
        budget=parse_budget(budget) or module.config.budget,
        name=folder.resolve().name if commit is None else target.rpartition("/")[2],
        source=target,
        revision=commit,
        files=file_digests(folder, (*FILES, *weight_files(folder))),
    )


def bundled(target: str) -> LlavaNaflexGenerator:
    """Load a small model that comes with fgbench; needs no network.

    Args:
        target: its name.

    Raises:
        UsageError: there is none of this name.
    """
    return load_bundled(target, load)


def untrained(target: str, *, seed: str | int = "0") -> LlavaNaflexGenerator:
    """Build a small model of this kind with random weights and a byte tokenizer; needs no files and no network.

    Args:
        target: ``llava``.
        seed: whole number.

    Raises:
        UsageError: another target, or a seed that is no number.
    """
    if target != "llava":
        raise UsageError(f"There is no untrained chat model {target!r}. Expected untrained-chat:llava.")
    number = parse_seed(seed)
    module = LlavaNaflex(LlavaNaflexConfig.from_dict(_UNTRAINED, "the untrained model"))
    module.load_state_dict(random_weights(module, number, {}))
    return _Untrained(
        module.eval(),
        byte_tokenizer(_SPECIALS, "<s> $A"),
        frame=None,
        budget=module.config.budget,
        name="llava-untrained",
        source=f"random weights, seed {number}",
        notes=("the weights are random, not trained", f"replies are cut after {_Untrained.LONGEST} tokens"),
    )


class LlavaNaflexGenerator:
    """The model as the engine sees it (:class:`fgbench.generator.Generator`), and as a training script does."""

    def __init__(
        self, module: LlavaNaflex, tokenizer: Tokenizer, *, frame: str | None, budget: int | None, **facts: Any
    ) -> None:
        """Put the parts together.

        Args:
            module: the network, with its weights.
            tokenizer: of the language model.
            frame: chat frame; None for the one in the module's configuration.
            budget: patches per picture; None for the dynamic rule.
            facts: further fields of :class:`fgbench.generator.GeneratorInfo`: at least ``name`` and ``source``.

        Raises:
            UsageError: no such frame.
        """
        config = module.config
        self.module = module
        self._frame = find_frame(frame or config.frame, template=False)
        self._preprocessor = NaflexPreprocessor(budget)
        self._tokenizer = tokenizer
        self._ends, remarks = decode_greedily(module.language_model, {}, str(facts["source"]))
        self._context = getattr(config.text, "max_position_embeddings", None)
        rule = f"at most {budget}" if budget else f"at most {BUDGETS[0]} to {BUDGETS[-1]} (dynamic)"
        self.info = GeneratorInfo(
            family="llava-naflex",
            frame=frame or config.frame,
            preprocess=f"NaFlex: {rule} patches of {PATCH}x{PATCH}, Pillow bilinear on 8 bits, mean and std 0.5",
            settings={
                "budget": budget or "dynamic",
                "vision_feature_layer": config.vision_feature_layer,
                "language_model": str(config.text.model_type),
                "decoding": "greedy",
                "weights": str(module.vision.linear_1.weight.dtype).removeprefix("torch."),
                "transformers": transformers.__version__,
                "literal_special_tokens": "read as text",
            },
            notes=(*remarks, *facts.pop("notes", ())),
            **facts,
        )

    def generate(self, texts: Sequence[str], images: Sequence[Sequence[Image.Image]], max_tokens: int) -> list[Reply]:
        """Answer prompts; see :meth:`fgbench.generator.Generator.generate`."""
        prompts = [self.tokens(text, len(own)) for text, own in zip(texts, images, strict=True)]
        cut = [[self._cut(image) for image in own] for own in images]
        replies = [Reply("", 0, problem=TOO_LONG)] * len(prompts)
        rows = []
        for row, (ids, own) in enumerate(zip(prompts, cut, strict=True)):
            length = len(ids) + sum(len(each["patches"]) - 1 for each in own)
            if self._context is None or length + max_tokens <= self._context:
                rows.append(row)
        if rows:
            pictures = self._pictures([each for row in rows for each in cut[row]])
            tokens = self.module.generate([prompts[row] for row in rows], *pictures, max_tokens)
            for row, reply in zip(rows, read_replies(tokens, self._ends, self._tokenizer.decode), strict=True):
                replies[row] = reply
        return replies

    def loss(self, texts: Sequence[str], images: Sequence[Sequence[Image.Image]], answers: Sequence[str]) -> Tensor:
        """Mean cross-entropy of the answers' tokens given the prompts: what training minimises.

        Args:
            texts, images: as in :meth:`generate`; here prompts may differ in their number of pictures.
            answers: the wanted answer to each prompt.
        """
        rows, lengths = [], []
        for text, own, answer in zip(texts, images, answers, strict=True):
            ids = [*self._tokenizer.encode(answer, add_special_tokens=False).ids, self._ends[0]]
            rows.append(torch.cat([self.tokens(text, len(own)), torch.tensor(ids)]))
            lengths.append(len(ids))
        pictures = self._pictures([self._cut(image) for own in images for image in own])
        return self.module.loss(rows, lengths, *pictures)

    def tokens(self, text: str, pictures: int) -> Tensor:
        """The prompt in its frame as token ids, int64 [L], with :data:`PICTURE` where a picture stands.

        The parts before, between and after the pictures are tokenised one by one, as LLaVA does; the tokens that the
        tokenizer puts first (``<s>``) come once.

        Raises:
            ModelError: the tokenizer has more entries than the model.
        """
        assert self._frame is not None  # without a chat template there is always one
        first, *others = self._frame.parts(text, pictures)
        ids = list(self._tokenizer.encode(first).ids)
        for part in others:
            ids += [PICTURE, *self._tokenizer.encode(part, add_special_tokens=False).ids]
        if max(ids) >= self.module.config.text.vocab_size:
            raise ModelError(
                f"{self.info.source}: tokenizer.json gave the token id {max(ids)}, but config.json has vocab_size "
                f"{self.module.config.text.vocab_size}. Expected files of one model."
            )
        return torch.tensor(ids, dtype=torch.int64)

    def _cut(self, image: Image.Image) -> dict[str, Tensor]:
        return dict(self._preprocessor(image, self._preprocessor.view("global", image.size, None)))

    def _pictures(self, cut: Sequence[dict[str, Tensor]]) -> tuple[Tensor | None, Tensor | None]:
        if not cut:
            return None, None
        device = self.module.vision.linear_1.weight.device
        patches = nn.utils.rnn.pad_sequence([each["patches"] for each in cut], batch_first=True)
        return patches.to(device), torch.stack([each["shape"] for each in cut]).to(device)


class _Untrained(LlavaNaflexGenerator):
    """Cuts replies short: with random weights none would ever end."""

    LONGEST = 16

    def generate(self, texts: Sequence[str], images: Sequence[Sequence[Image.Image]], max_tokens: int) -> list[Reply]:
        """Answer prompts."""
        return super().generate(texts, images, min(max_tokens, self.LONGEST))
