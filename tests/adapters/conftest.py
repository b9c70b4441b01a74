"""What the adapter tests share: the figures recorded from the official code, and a small checkpoint on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from fgbench.adapters.fgclip2 import FgClip2Adapter, untrained

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden"


@pytest.fixture(scope="session")
def golden() -> Path:
    if not GOLDEN.is_dir():
        pytest.skip(f"the recorded figures are not at {GOLDEN}")
    return GOLDEN


@pytest.fixture(scope="session")
def pixels(golden: Path) -> dict[str, Any]:
    return dict(json.loads((golden / "features" / "pixels.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def small() -> FgClip2Adapter:
    adapter = untrained("fgclip2")
    adapter.module.eval()
    return adapter


@pytest.fixture
def checkpoint(tmp_path: Path, small: FgClip2Adapter) -> Path:
    """The untrained model as a folder in the form of the hub."""
    folder = tmp_path / "fg-clip2-small"
    folder.mkdir()
    tower = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = {
        "model_type": "fgclip2",
        "architectures": ["Fgclip2Model"],
        "auto_map": {"AutoModelForCausalLM": "modeling_fgclip2.Fgclip2Model"},
        "text_config": {**tower, "vocab_size": 260, "keep_len": 20, "longtext_len": 196, "unheard_of": 1},
        "vision_config": {**tower, "num_patches": 64, "attn_implementation": "unheard of"},
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    small._tokenizer.save(str(folder / "tokenizer.json"))
    safetensors.torch.save_file(small.module.state_dict(), folder / "model.safetensors")
    return folder


@pytest.fixture
def inference() -> Iterator[None]:
    """As the engine calls an adapter."""
    with torch.inference_mode():
        yield
