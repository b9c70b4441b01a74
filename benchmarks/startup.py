"""Start-up of the command line: help, list, and the plan of everything over annotation files of real size."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figures import Figure, Options
from benchmarks.real_size import write_real_size


def figures(options: Options) -> Iterator[Figure]:
    """Wall time and processor time: on a busy machine only the second says how much work it is."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        yield from _command("--help", ["--help"], cache, options.repeat(5), 0.5)
        yield from _command("list datasets", ["list", "datasets"], cache, options.repeat(5), None)
        plan = ["plan", "--task", "all", "--data-root"]
        if options.quick:
            yield from _command("plan --task all, miniature suite", [*plan, "mini"], cache, 1, None)
            return
        root = Path(folder) / "data"
        write_real_size(root)
        size = (root / "lvis/lvis_v1_val.json").stat().st_size / 1e6
        note = f"LVIS val: {size:.0f} MB"
        yield from _command("plan --task all, real sizes, first", [*plan, str(root)], cache, 1, 10, note)
        yield from _command("plan --task all, real sizes, again", [*plan, str(root)], cache, options.repeat(3), 3, note)


def _command(
    what: str, arguments: Sequence[str], cache: Path, runs: int, target: float | None, note: str = ""
) -> Iterator[Figure]:
    measured = [_run(arguments, cache) for _ in range(runs)]
    wall, busy, memory = (statistics.median(column) for column in zip(*measured, strict=True))
    told = f"{busy:.2f} s of processor time, {memory:.0f} MiB{'; ' + note if note else ''}"
    yield Figure("startup", what, "s", wall, None, None, target, at_most=True, runs=runs, note=told)


def _run(arguments: Sequence[str], cache: Path) -> tuple[float, float, float]:
    """Seconds by the clock, seconds of processor time, and MiB of the largest of these commands so far."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "fgbench", *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "FGBENCH_CACHE": str(cache)},
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, busy, after.ru_maxrss / 1024
