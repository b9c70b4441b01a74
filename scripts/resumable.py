"""What training scripts share: a log, and a state from which a killed run goes on to the same weights."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from fgbench.data.atomic import write_atomic

STATE = "state.safetensors"

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW remembers of each parameter."""


def adamw(learned: nn.Module, rate: float) -> torch.optim.AdamW:
    """The optimizer; matrices and tables decay, biases and norms do not."""
    free = [parameter for parameter in learned.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [parameter for parameter in free if parameter.ndim > 1], "weight_decay": 0.05},
            {"params": [parameter for parameter in free if parameter.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=rate,
        betas=(0.9, 0.98),
    )


def rate(step: int, *, steps: int, highest: float, warmup: int, hold: int) -> float:
    """The learning rate of a step: it rises for ``warmup`` steps and falls as a cosine after ``hold``."""
    if step < warmup:
        return highest * (step + 1) / warmup
    share = max(0, step - hold) / max(1, steps - hold)
    return highest * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))


def save(learned: nn.Module, optimizer: torch.optim.Optimizer, folder: Path, step: int, plan: dict[str, Any]) -> None:
    """Write the state after ``step`` steps."""
    tensors = {f"value/{name}": value for name, value in learned.state_dict().items()}
    for name, parameter in learned.named_parameters():
        for key in _MOMENTS:
            if parameter in optimizer.state:
                tensors[f"{key}/{name}"] = optimizer.state[parameter][key]
    metadata = {"step": str(step), "plan": json.dumps(plan)}
    # Tied weights have two names and one place; a file of safetensors wants two places.
    tensors = {name: value.clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
    write_atomic(folder / STATE, safetensors.torch.save(tensors, metadata))


def resume(learned: nn.Module, optimizer: torch.optim.Optimizer, folder: Path) -> int:
    """Load the last state, if there is one; the number of steps that are done."""
    path = folder / STATE
    folder.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return 0
    with safetensors.safe_open(path, "pt") as file:
        step = int(file.metadata()["step"])
        names = set(file.keys())
        learned.load_state_dict({name: file.get_tensor(f"value/{name}") for name in learned.state_dict()})
        for name, parameter in learned.named_parameters():
            if f"exp_avg/{name}" in names:
                optimizer.state[parameter] = {key: file.get_tensor(f"{key}/{name}") for key in _MOMENTS}
    return step


def log(folder: Path, say: Callable[[str], None], **found: float) -> None:
    """Say what was found on held-out scenes, and add it to ``log.jsonl``."""
    say("held out: " + " ".join(f"{name} {value:.1f}" for name, value in found.items()))
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(found) + "\n")
