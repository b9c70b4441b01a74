"""``python -m scripts.train_chat FOLDER``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from scripts.train_chat import tokenizer
from scripts.train_chat.training import Plan, train

_TOWER = Path(__file__).resolve().parents[2] / "adapters/weights/fgclip2-tiny"


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m scripts.train_chat", description=__doc__)
    parser.add_argument("folder", type=Path, help="for state, log and model; an interrupted run goes on there")
    parser.add_argument("--tower", type=Path, default=_TOWER, help="folder of the FG-CLIP 2 to start from")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    plan = Plan(steps=arguments.steps, seed=arguments.seed)
    train(plan, tokenizer.build(), arguments.tower, arguments.folder, _say)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
