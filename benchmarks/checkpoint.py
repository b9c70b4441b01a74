"""An FG-CLIP 2 checkpoint of any size with random weights, as a folder that ``--model`` takes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

SPECIALS = ("<pad>", "<eos>", "<bos>", "<unk>")
BASE = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
"""ViT-B/16."""

SMALL = {"hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 6, "num_attention_heads": 6}
"""A model that a laptop can run item by item."""


def write_checkpoint(folder: Path, tower: dict[str, int], text_layers: int | None = None) -> Path:
    """Write ``config.json``, ``tokenizer.json`` (bytes as tokens) and ``model.safetensors``.

    Args:
        folder: where; made if it is not there.
        tower: sizes of both towers, by transformers' names.
        text_layers: layers of the text tower, where only pictures are measured; None: as many as the tower has.
    """
    import torch
    from safetensors.torch import save_file

    from fgbench.registry import resolve

    module: Any = resolve("fgbench.adapters.fgclip2_model:FgClip2")
    config_class: Any = resolve("fgbench.adapters.fgclip2_model:FgClip2Config")
    byte_tokenizer: Any = resolve("fgbench.adapters.untrained:byte_tokenizer")
    random_weights: Any = resolve("fgbench.adapters.untrained:random_weights")
    text = tower if text_layers is None else {**tower, "num_hidden_layers": text_layers}
    config = {
        "model_type": "fgclip2",
        "text_config": {**text, "vocab_size": len(SPECIALS) + 256, "max_position_embeddings": 64},
        "vision_config": {**tower, "num_patches": 256},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    byte_tokenizer(SPECIALS, "$A <eos>").save(str(folder / "tokenizer.json"))
    with torch.device("meta"):
        network = module(config_class.from_dict(config))
    scales = {"logit_scale": math.log(10.0), "logit_bias": -10.0}
    save_file(random_weights(network, 0, scales), str(folder / "model.safetensors"))
    return folder
