"""``python -m scripts.train_tiny FOLDER``."""

from __future__ import annotations

import torch

from scripts import resumable
from scripts.train_tiny import tokenizer
from scripts.train_tiny.training import Plan, train


def main() -> None:
    """Parse the command line and train."""
    arguments = resumable.arguments("train_tiny", __doc__, Plan.steps, Plan.seed).parse_args()
    torch.set_num_threads(arguments.threads)
    plan = Plan(steps=arguments.steps, seed=arguments.seed)
    train(plan, tokenizer.build(), arguments.folder, resumable.say)


if __name__ == "__main__":
    main()
