"""FG-CLIP 1 (base 224, large 336): a CLIP with a second text path for long captions.

Short texts and region texts ("box") share a path of 77 tokens, long ones have one of 248. Pictures are squashed to a
square; dense features are the value path, pooled as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fgbench.adapter import AdapterInfo, ImageFeatures, TextFeatures
from fgbench.errors import ModelError
from fgbench.requests import TextKind

from .checkpoint import fetch, file_digests, load_strict, read_json, read_state_dict, weight_files
from .fgclip1_model import BOS, EOS, KEEP, FgClip1, FgClip1Config
from .hf_files import load_tokenizer
from .hf_text import TextTokens
from .squash import SquashPreprocessor
from .value_path import clip_value_path

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt")
_PATH: dict[TextKind, TextKind] = {"short": "short", "box": "short", "long": "long"}


class FgClip1Adapter:
    """FG-CLIP 1 as the engine sees it (:class:`fgbench.adapter.Adapter`)."""

    def __init__(
        self,
        info: AdapterInfo,
        module: FgClip1,
        preprocessor: SquashPreprocessor,
        tokens: Mapping[TextKind, TextTokens],
    ) -> None:
        """Put the parts together.

        Args:
            info: the facts about the model.
            module: the network, with its weights.
            preprocessor: picture treatment.
            tokens: text treatment by kind.
        """
        self.info = info
        self.module = module
        self.preprocessor = preprocessor
        self._tokens = tokens
        self._path = clip_value_path(module)

    def encode_images(self, batch: Mapping[str, Tensor], *, dense: bool) -> ImageFeatures:
        """Embed pictures: ``pixels`` uint8 [B, 3, S, S], as the preprocessor makes them."""
        pixels = self.module.pixels(batch["pixels"])
        if not dense:
            return ImageFeatures(self.module.image_features(pixels))
        return self._path.run(self.module.image_features, pixels)

    def encode_texts(self, texts: Sequence[str], kind: TextKind) -> TextFeatures:
        """Embed texts; the tokenizer lower-cases them."""
        if not texts:
            return TextFeatures(torch.zeros(0, self.info.dim), [])
        ids, truncated = self._tokens[kind](texts)
        return TextFeatures(self.module.text_features(ids.to(self.module.logit_scale.device), kind), truncated)


def load(target: str, *, revision: str | None = None) -> FgClip1Adapter:
    """Load a published FG-CLIP 1.

    Args:
        target: hub id or folder; needs ``config.json``, CLIP's tokenizer and safetensors weights.
        revision: commit, branch or tag on the hub.

    Raises:
        UsageError: no such model.
        ModelError: files that are missing, damaged, or do not fit each other.
    """
    folder, commit = fetch(target, revision)
    config = FgClip1Config.from_dict(read_json(folder, "config.json"), str(folder / "config.json"))
    lengths = config.text_length
    tokenizer = load_tokenizer(folder)
    with torch.device("meta"):  # no time and no random numbers for weights that are replaced at once
        module = FgClip1(config)
    state = read_state_dict(folder)
    load_strict(module, {name: value for name, value in state.items() if not name.endswith(".position_ids")})
    precisions = sorted({str(value.dtype).removeprefix("torch.") for value in state.values()})
    tokens = {
        kind: TextTokens(tokenizer, length, EOS, int(config.text.vocab_size), fixed=False, lowercase=False)
        for kind, length in lengths.items()
    }
    ids = tokens["short"](["a"])[0][0].tolist()
    if ids[0] != BOS or ids.index(EOS) != len(ids) - 1:
        raise ModelError(
            f"{folder}: the tokenizer turns 'a' into {ids}; expected {BOS} at the start and {EOS} at the end. This is "
            "not CLIP's tokenizer; download the model's own."
        )
    preprocessor = SquashPreprocessor(int(config.vision.image_size))
    info = AdapterInfo(
        name=folder.resolve().name if commit is None else target.rpartition("/")[2],
        family="fgclip1",
        source=target,
        revision=commit,
        dim=config.dim,
        text_length=lengths,
        text_path=_PATH,
        preprocess=preprocessor.describe(),
        window=preprocessor.size,
        dense="value path",
        dense_pooling="raw",
        region_default="roi",
        settings={
            "activation": str(config.vision.hidden_act),
            "keep_len": KEEP,
            "logit_scale": module.logit_scale.item(),
            "attention": "sdpa",
            "literal_special_tokens": "read as text",
            "weights_stored_as": ", ".join(precisions),
        },
        files=file_digests(
            folder,
            (
                "config.json",
                *(name for name in _TOKENIZER_FILES if (folder / name).is_file()),
                *weight_files(folder),
            ),
        ),
    )
    return FgClip1Adapter(info, module.eval(), preprocessor, tokens)
