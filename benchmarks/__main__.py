"""Run a benchmark by name."""

from __future__ import annotations

import importlib
import sys

NAMES = ("classifier", "lvis", "retrieval", "segmentation")


def main() -> None:
    """Entry point."""
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        sys.exit(f"usage: python -m benchmarks {{{','.join(NAMES)}}} [options]")
    name, *arguments = sys.argv[1:]
    importlib.import_module(f"benchmarks.{name}").main(arguments)


main()
