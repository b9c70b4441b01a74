"""A tiny open_clip model: as a folder, and as if the library shipped it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from open_clip import factory, pretrained

from fgbench.adapters.openclip import load

from .tiny_models import open_clip_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return open_clip_folder(tmp_path_factory.mktemp("vit"))


@pytest.fixture(scope="module")
def adapter(folder: Path) -> Any:
    return load(str(folder))


@pytest.fixture
def built_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tiny model under a name of its own, with tags, as if open_clip shipped it."""
    config = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))["model_cfg"]
    file = str(folder / "open_clip_model.safetensors")
    look = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bilinear", "resize_mode": "squash"}
    monkeypatch.setitem(factory._MODEL_CONFIGS, "ViT-Test-8", config)
    monkeypatch.setitem(factory._MODEL_CONFIGS, "ViT-Test-8-quickgelu", config | {"quick_gelu": True})
    tags = {
        "openai": {"file": file, "quick_gelu": True, **look},
        "laion": {"file": file, **look},
        "remote": {"hf_hub": "nobody/nothing/", **look},
    }
    monkeypatch.setitem(pretrained._PRETRAINED, "ViT-Test-8", tags)
    monkeypatch.setitem(pretrained._PRETRAINED, "ViT-Test-8-quickgelu", tags)
    return "ViT-Test-8"
