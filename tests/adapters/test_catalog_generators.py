"""The declared generative models: paths they recognise, options they take."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from fgbench.adapters.catalog_generators import GENERATORS, HF_LMM, LLAVA_NAFLEX
from fgbench.adapters.lmm_frames import FRAMES
from fgbench.models import Family
from fgbench.registry import resolve

from .tiny_lmms import llava, llava_next, llava_parts
from .tiny_models import clip, naflex


def test_paths_are_recognised_by_one_family(tmp_path: Path) -> None:
    llava_parts(tmp_path)
    for folder, family in (
        (llava(tmp_path / "stock"), HF_LMM),
        (llava_next(tmp_path / "next"), HF_LMM),
        (tmp_path / "llava", LLAVA_NAFLEX),
        (clip(tmp_path / "clip"), None),
        (naflex(tmp_path / "naflex"), None),
        (tmp_path / "language", None),
        (tmp_path, None),
    ):
        assert [each for each in GENERATORS if each.accepts(folder)] == ([family] if family else []), folder


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"architectures": 5, "vision_config": {}})])
def test_a_broken_configuration_is_nobodys(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content, encoding="utf-8")
    assert not any(family.accepts(tmp_path) for family in GENERATORS)


@pytest.mark.parametrize("family", GENERATORS, ids=lambda family: family.scheme)
def test_options_are_those_of_the_factory(family: Family) -> None:
    _, *options = inspect.signature(resolve(family.factory)).parameters
    assert sorted(options) == sorted(family.options)
    assert all(name in family.options.get("frame", name) for name in FRAMES)


def test_released_models() -> None:
    seven, thirteen = HF_LMM.models
    assert (seven.id, seven.target) == ("llava-1.5-7b", "llava-hf/llava-1.5-7b-hf")
    assert (thirteen.id, thirteen.target) == ("llava-1.5-13b", "llava-hf/llava-1.5-13b-hf")
    assert seven.paper == ("LLaVA-1.5 + CLIP", "CLIP")
    assert "inferred" in seven.note


def test_importing_it_imports_nothing_heavy() -> None:
    code = (
        "import sys; import fgbench.adapters.catalog_generators; "
        "print([name for name in ('torch', 'transformers', 'safetensors') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
