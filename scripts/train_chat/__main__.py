"""``python -m scripts.train_chat FOLDER``."""

from __future__ import annotations

from pathlib import Path

import torch

from scripts import resumable
from scripts.train_chat import tokenizer
from scripts.train_chat.training import Plan, train

_TOWER = Path(__file__).resolve().parents[2] / "adapters/weights/fgclip2-tiny"


def main() -> None:
    """Parse the command line and train."""
    parser = resumable.arguments("train_chat", __doc__, Plan.steps, Plan.seed)
    parser.add_argument("--tower", type=Path, default=_TOWER, help="folder of the FG-CLIP 2 to start from")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    plan = Plan(steps=arguments.steps, seed=arguments.seed)
    train(plan, tokenizer.build(), arguments.tower, arguments.folder, resumable.say)


if __name__ == "__main__":
    main()
