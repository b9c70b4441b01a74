"""Detectors by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fgbench.detector import Detector, check_detector_name, detectors, load_detector
from fgbench.errors import ModelError, UsageError

from .plugins import Install


def test_declared_detectors() -> None:
    assert [name for name in detectors() if name.startswith("llmdet")] == ["llmdet-tiny", "llmdet-base", "llmdet-large"]
    for name in ("llmdet-tiny", "grounding:owner/name", "owner/name"):
        check_detector_name(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("llmdet-tinny", "Did you mean 'llmdet-tiny'"),
        ("grounding", "expected an alias alone, or for example 'grounding:"),
        ("llmdet-tiny:x", "expected an alias alone"),
    ],
)
def test_mistyped_names(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_detector_name(text)


def test_a_folder_of_another_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}), encoding="utf-8")
    with pytest.raises(UsageError, match="of no detector that is known: LLMDet"):
        load_detector(str(tmp_path))


def test_detectors_of_other_packages(install: Install) -> None:
    source = "def make(target):\n    return object()\n"
    install("foreign", source, {"fgbench.detectors": {"foreign": "make"}})
    check_detector_name("foreign")
    with pytest.raises(ModelError, match="lacks members of the detector protocol"):
        load_detector("foreign")


def test_names_need_no_torch() -> None:
    code = (
        "import sys\nfrom fgbench.detector import check_detector_name\nimport fgbench.detect_api, fgbench.cli_detect\n"
        "check_detector_name('llmdet-tiny')\nassert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_protocol_is_checkable() -> None:
    assert not isinstance(object(), Detector)
