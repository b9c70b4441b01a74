"""Regenerate everything below ``leaderboards/`` that is computed: ``python -m scripts.leaderboards``.

Evaluates the models that come with fgbench on the miniature suite, puts the results into
``leaderboards/results/miniature/<model>.csv``, and builds ``leaderboards/tables/`` from these and the paper's tables.
The paper's tables themselves (``leaderboards/paper/``) are transcribed and stay as they are.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fgbench.leaderboard.add import add
from fgbench.leaderboard.build import build
from fgbench.leaderboard.columns import MINIATURE
from fgbench.leaderboard.publish import publish
from fgbench.report.paper import ICML

MODELS = ("fgclip2-tiny", "fgclip2-tiny-early")
FOLDER = Path(__file__).resolve().parents[1] / "leaderboards"


def regenerate(results: Path, leaderboards: Path = FOLDER) -> None:
    """Rewrite results on the miniature suite and all tables.

    Args:
        results: results folder with records on the miniature suite.
        leaderboards: folder to write to.
    """
    submissions = leaderboards / "results" / "miniature"
    shutil.rmtree(submissions, ignore_errors=True)  # rows of models and datasets that are gone must not stay
    for model in sorted(path for path in results.iterdir() if any(path.glob("*.json"))):
        add([model], submissions / f"{model.name}.csv", allow=(MINIATURE,))
    inputs = [leaderboards / "results"]
    done = build(inputs, leaderboards / "tables")
    publish(inputs, "md", edition=ICML, output=leaderboards / "tables" / "tables.md")
    print(
        f"{leaderboards}: {done.measured:,} measured and {done.reported:,} reported numbers in {len(done.files)} files"
    )


def main() -> None:
    """Evaluate and regenerate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, help="results folder to use or continue; default: a temporary one")
    parser.add_argument("--no-eval", action="store_true", help="take the records in --results as they are")
    options = parser.parse_args()
    if options.no_eval and options.results is None:
        parser.error("--no-eval needs --results")
    with tempfile.TemporaryDirectory() as temporary:
        results = options.results or Path(temporary)
        for model in () if options.no_eval else MODELS:
            subprocess.run(
                [sys.executable, "-m", "fgbench", "eval", "--model", model, "--data-root", "mini", "--output", results],
                check=True,
            )
        regenerate(results)


if __name__ == "__main__":
    main()
