"""Measure everything, or some by name; print a table, write JSON."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.figures import SCHEMA, Figure, Options

NAMES = (
    "suite",
    "harness",
    "classifier",
    "retrieval",
    "lvis",
    "segmentation",
    "startup",
    "processes",
    "growth",
    "preprocessing",
)
PACKAGES = ("fgbench", "numpy", "torch", "transformers", "open_clip_torch", "clip-benchmark", "lvis", "pillow")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(NAMES)}; none means all")
    parser.add_argument("--quick", action="store_true", help="small inputs, one run: only to see that all of it works")
    parser.add_argument("--runs", type=int, help="of each side")
    parser.add_argument("--data", type=Path, help="folder with val2017, annotations and fgovd of COCO (suite, harness)")
    parser.add_argument("--json", type=Path, default=Path("benchmarks.json"), help="where the figures are written")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in NAMES]
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if given.runs is not None and given.runs < 1:
        parser.error("--runs: expected at least 1")
    if given.data and not (given.data / "val2017").is_dir():
        parser.error(f"--data: there is no folder val2017 in {given.data}")
    options = Options(given.quick, given.runs, given.data)
    figures: list[Figure] = []
    left_out: dict[str, str] = {}
    for name in given.names or NAMES:
        print(f"{name} …", file=sys.stderr, flush=True)
        module = importlib.import_module(f"benchmarks.{name}")
        lacking = [wheel for wheel in getattr(module, "NEEDED", ()) if _version(wheel) is None]
        if lacking:
            left_out[name] = f"needs {' '.join(lacking)} (pip install --no-deps {' '.join(lacking)})"
            continue
        for figure in module.figures(options):
            figures.append(figure)
            print(line(figure), flush=True)
        _write(given.json, figures, left_out, options)
    for name, reason in left_out.items():
        print(f"{name}: left out, {reason}")
    _write(given.json, figures, left_out, options)
    print(f"\n{table(figures)}\nwritten: {given.json}")


def line(figure: Figure) -> str:
    """A figure as a row of a table in Markdown."""
    verdict = {None: "", True: "met", False: "not met"}[figure.met]
    goal = "" if figure.target is None else f"{'≤' if figure.at_most else '≥'} {figure.target:g}"
    theirs = "" if figure.theirs is None else _number(figure.theirs)
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    cells = (figure.benchmark, figure.what, f"{_number(figure.ours)} {figure.unit}", theirs, ratio, goal, verdict)
    return "| " + " | ".join((*cells, figure.note)) + " |"


def table(figures: Iterable[Figure]) -> str:
    """All figures as a table in Markdown."""
    head = "| benchmark | what | fgbench | other | ratio | target | | note |"
    return "\n".join((head, "| --- | --- | ---: | ---: | ---: | ---: | --- | --- |", *map(line, figures)))


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _write(path: Path, figures: Iterable[Figure], left_out: dict[str, str], options: Options) -> None:
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "quick": options.quick,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "load": list(os.getloadavg()),
            "threads": os.environ.get("OMP_NUM_THREADS"),
            "python": platform.python_version(),
        },
        "packages": {name: _version(name) for name in PACKAGES},
        "left_out": left_out,
        "figures": [{**asdict(figure), "met": figure.met} for figure in figures],
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
