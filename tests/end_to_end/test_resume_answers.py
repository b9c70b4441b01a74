"""Label maps, region scores and replies survive a kill as embeddings do."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fgbench.data.mini.chat import write_chat
from fgbench.data.mini.label_maps import write_label_maps

from ..adapters.tiny_lmms import llava

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Shell

FAULTS = ("SIGKILL:half:6", "SIGKILL:unrenamed:6", "SIGKILL:before:5")
"""In the label maps, and twice in the replies."""


def command(root: Path, output: Path, chat: Path) -> list[str | Path]:
    return [
        *("eval", "--model", "fgclip2-untrained", "--chat", f"hf-lmm:{chat}", "--dataset", "voc-20,gqa"),
        *("--device", "cpu", "--data-root", root, "--output", output),
    ]  # fmt: skip


def products(output: Path) -> dict[str, Any]:
    """Records without their timings; outcomes, answers and tables byte by byte."""
    files: dict[str, Any] = {}
    for path in sorted(output.glob("*/*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        del record["timings"]
        files[path.relative_to(output).as_posix()] = record
    for path in (*output.glob("*/*.npz"), *output.glob("*/*.jsonl"), *output.rglob("*.csv")):
        files[path.relative_to(output).as_posix()] = path.read_bytes()
    return files


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_three_times(shell: Shell, tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_chat(root)
    write_label_maps(root)
    chat = llava(tmp_path / "tiny-llava")
    undisturbed, output = tmp_path / "undisturbed/results", tmp_path / "killed/results"
    done = shell(*command(root, undisturbed, chat))
    assert done.returncode == 0, done.stderr
    for fault in FAULTS:
        killed = shell(*command(root, output, chat), fault=fault)
        assert killed.returncode == -signal.SIGKILL, (fault, killed.stderr)
        assert not list(output.glob("*/gqa.json"))
    done = shell(*command(root, output, chat))
    assert done.returncode == 0, done.stderr
    found = products(output)
    assert found == products(undisturbed)
    assert {Path(name).name for name in found} >= {
        "gqa.json",
        "voc-20.json",
        "gqa.predictions.jsonl",
        "voc-20.classes.csv",
    }
    counters = json.loads(next(output.glob("*/gqa.json")).read_text(encoding="utf-8"))["timings"]["counters"]
    maps = json.loads((output / "fgclip2-untrained/voc-20.json").read_text(encoding="utf-8"))["timings"]["counters"]
    assert maps["rows_reused"] > 0
    assert counters["replies_reused"] > 0
    assert counters["prompts_answered"] + counters["replies_reused"] == 167
