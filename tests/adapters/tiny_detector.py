"""A tiny MM-Grounding-DINO with random weights, as a folder in the form of the hub; nothing is downloaded."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import transformers

WORDS = ("fish", "pan", "bow", "salmon", "cat", "dog", "remote", "control", "red", "person", "car")


def tokenizer(words: Iterable[str] = WORDS) -> Any:
    """BERT's special tokens at their places, letters and word pieces, some whole words."""
    fixed = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
    characters = string.ascii_lowercase + string.digits
    pieces = dict.fromkeys([*characters, *(f"##{character}" for character in characters), *"-_'&()", *words])
    free = (number for number in itertools.count(200) if number not in fixed.values())
    fixed |= dict(zip(pieces, free, strict=False))
    size = max(1100, *(number + 1 for number in fixed.values()))
    spare = {f"[unused{number}]": number for number in set(range(size)) - set(fixed.values())}
    vocabulary = dict(sorted((spare | fixed).items(), key=lambda each: each[1]))
    return transformers.BertTokenizer(vocab=vocabulary, do_lower_case=True)


def build(folder: Path, words: Iterable[str] = WORDS, short: int = 64, long: int = 107) -> Path:
    """Write the checkpoint. Pictures of 64×64 pixels are too small for its group norm."""
    torch.manual_seed(3)
    reader = tokenizer(words)
    stages = ["stage2", "stage3", "stage4"]
    vision = transformers.SwinConfig(
        image_size=64,
        patch_size=4,
        embed_dim=16,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=stages,
    )
    text = transformers.BertConfig(
        vocab_size=len(reader),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=37,
        max_position_embeddings=512,
    )
    config = transformers.MMGroundingDinoConfig(
        backbone_config=vision,
        text_config=text,
        d_model=32,
        num_queries=20,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        encoder_n_points=2,
        decoder_n_points=2,
        num_feature_levels=4,
        max_text_len=256,
        disable_custom_kernels=True,
    )
    model = transformers.MMGroundingDinoForObjectDetection(config).eval()
    images = transformers.GroundingDinoImageProcessor(size={"shortest_edge": short, "longest_edge": long})
    model.save_pretrained(folder)
    reader.save_pretrained(folder)
    images.save_pretrained(folder)
    return folder
