"""Start-up of the command line: help, list, and the plan of everything over annotation files of real size."""

from __future__ import annotations

import json
import os
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
    told = f"{memory:.0f} MiB{'; ' + note if note else ''}"
    yield Figure("startup", f"{what}: processor time", "s", busy, None, None, target, True, runs, told)
    yield Figure("startup", f"{what}: by the clock", "s", wall, None, None, runs=runs, note=told)


# The system keeps the peak of the process that started a command in the command's own figures; VmHWM is its alone.
_START = """
import atexit, json, resource, sys
from pathlib import Path

def report(place=sys.argv.pop(1)):
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    Path(place).write_text(json.dumps([used.ru_utime + used.ru_stime, int(peak.split()[1]) / 1024]))

atexit.register(report)
from fgbench.cli import main
main()
"""


def _run(arguments: Sequence[str], cache: Path) -> tuple[float, float, float]:
    """Seconds by the clock, seconds of processor time, and MiB at the peak of one command."""
    told = cache.with_name("told.json")
    # Installed packages have their bytecode beside them; without it every start would compile them again.
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", _START, str(told), *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**compiled, "FGBENCH_CACHE": str(cache)},
    )
    wall = time.perf_counter() - start
    busy, memory = json.loads(told.read_text(encoding="utf-8"))
    return wall, busy, memory
