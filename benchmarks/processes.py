"""The image stage of one process against that of two, one thread each."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.checkpoint import BASE, SMALL, write_checkpoint
from benchmarks.figures import Figure, Options
from benchmarks.harness import _pictures


def figures(options: Options) -> Iterator[Figure]:
    """Seconds of the stage ``encode_images`` in the records of ``fgbench eval``."""
    count, patches = (64, 128) if options.quick else (512, 128)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        _pictures(root, count)
        checkpoint = write_checkpoint(Path(folder) / "model", SMALL if options.quick else BASE, text_layers=1)
        model = f"{checkpoint}?budget={patches}"
        pairs = []
        for run in range(options.repeat(1)):
            alone = _stage(model, root, Path(folder) / f"one-{run}", 1)
            together = _stage(model, root, Path(folder) / f"two-{run}", 2)
            pairs.append((together, alone))
        own, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    what = f"image stage, {count} pictures at {patches} patches: two processes against one"
    note = f"one thread each, {os.cpu_count()} cores"
    yield Figure("processes", what, "s", own, other, other / own, 1.7, runs=len(pairs), note=note)


def _stage(model: str, root: Path, output: Path, devices: int) -> float:
    command = [sys.executable, "-m", "fgbench", "eval", "--model", model, "--dataset", "dci-cn", "--device", "cpu"]
    several = ["--devices", str(devices)] if devices > 1 else []
    subprocess.run(
        [*command, "--data-root", str(root), "--output", str(output), "--workers", "0", *several],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    record = next(output.glob("*/dci-cn.json"))
    return float(json.loads(record.read_text(encoding="utf-8"))["timings"]["seconds"]["encode_images"])
