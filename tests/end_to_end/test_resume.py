"""A run that is killed, anywhere and any number of times, ends with the records of one that was not."""

from __future__ import annotations

import json
import random
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from safetensors.numpy import load_file

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Data, Shell

DATASETS = "fg-ovd,coco-box,coco"
KILLS = 5
"""Per region mode; the modes run side by side."""


def command(data: Data, output: Path, mode: str) -> list[str | Path]:
    """The command that is given again and again."""
    return [
        *("eval", "--model", "fgclip2-untrained", "--dataset", DATASETS, "--region-mode", mode, "--device", "cpu"),
        *("--data-root", data.root, "--output", output),
    ]  # fmt: skip


def chunks(output: Path) -> dict[str, tuple[int, bytes]]:
    """Every chunk file: when it was written, and its content."""
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in output.glob("features/*/*.safetensors")}


def embeddings(output: Path) -> dict[bytes, tuple[bytes, int]]:
    """Every stored embedding, with its flag, by key."""
    found = {}
    for path in output.glob("features/*/*.safetensors"):
        arrays = load_file(path)
        for key, vector, flag in zip(arrays["key"], arrays["vector"], arrays["flag"], strict=True):
            assert key.tobytes() not in found
            found[key.tobytes()] = vector.tobytes(), int(flag)
    return found


def products(output: Path) -> dict[str, Any]:
    """Everything a run writes for its user: records without their timings, outcomes and table byte by byte."""
    files: dict[str, Any] = {}
    for path in sorted(output.glob("*/*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        del record["timings"]
        files[path.relative_to(output).as_posix()] = record
    for path in (*output.glob("*/*.npz"), *output.glob("*.csv")):
        files[path.relative_to(output).as_posix()] = path.read_bytes()
    return files


def counters(output: Path) -> dict[str, int]:
    """What the last run did."""
    found = [json.loads(path.read_text(encoding="utf-8"))["timings"]["counters"] for path in output.glob("*/*.json")]
    assert all(each == found[0] for each in found)
    return dict(found[0])


def interrupt_and_resume(shell: Shell, data: Data, folder: Path, mode: str, seed: int) -> None:
    """Kill a run at random moments, finish it, and compare it with an undisturbed one."""
    undisturbed, output = folder / "undisturbed/results", folder / "killed/results"
    done = shell(*command(data, undisturbed, mode))
    assert done.returncode == 0, done.stderr

    rng = random.Random(seed)
    kept: dict[str, tuple[int, bytes]] = {}
    for attempt in range(KILLS):
        # A run writes seven files after its last chunk (records, outcomes, table), so every one of these is reached.
        fault = f"SIGKILL:{rng.choice(('before', 'half', 'unrenamed'))}:{rng.randint(1, 5)}"
        killed = shell(*command(data, output, mode), fault=fault)
        assert killed.returncode == -signal.SIGKILL, (attempt, fault, killed.stderr)
        now = chunks(output)
        assert kept.items() <= now.items(), f"attempt {attempt}, {fault}: a finished chunk was written again or lost"
        kept = now
    assert kept

    stored = len(embeddings(output))
    done = shell(*command(data, output, mode))
    assert done.returncode == 0, done.stderr
    assert products(output) == products(undisturbed)
    assert kept.items() <= chunks(output).items()
    assert embeddings(output) == embeddings(undisturbed)
    last, whole = counters(output), counters(undisturbed)
    assert last["rows_reused"] == stored
    assert last["chunks_encoded"] == len(chunks(output)) - len(kept)
    assert whole["rows_reused"] == 0
    assert whole["chunks_encoded"] == len(chunks(undisturbed)) >= 7


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_ten_times(shell: Shell, tmp_path: Path, much_data: Data) -> None:
    with ThreadPoolExecutor(2) as pool:
        chains = [
            pool.submit(interrupt_and_resume, shell, much_data, tmp_path / mode, mode, seed)
            for mode, seed in (("roi", 1), ("crop", 2))
        ]
        for chain in chains:
            chain.result()
