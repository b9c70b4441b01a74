"""What training scripts share: a log, and a state from which a killed run goes on to the same weights."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

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


def steps(
    numbers: range,
    learned: nn.Module,
    optimizer: torch.optim.Optimizer,
    losses: Callable[[int], Mapping[str, Tensor]],
    weights: Mapping[str, float],
    rate: Callable[[int], float],
    say: Callable[[str], None],
) -> Iterator[int]:
    """Take one step after the other; says now and then how it goes.

    Args:
        numbers: of the steps to take.
        learned: whose gradients are clipped.
        optimizer: takes the steps.
        losses: of a step, by name.
        weights: of the losses.
        rate: of a step.
        say: gets a line every 50 steps.

    Yields:
        How many steps are done, after each of them.
    """
    started, sums, seen = time.monotonic(), dict.fromkeys(weights, 0.0), 0
    for step in numbers:
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        found = losses(step)
        loss = torch.stack([weights[name] * value for name, value in found.items()]).sum()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(learned.parameters(), 1.0)
        optimizer.step()
        seen += 1
        for name, value in found.items():
            sums[name] += value.item()
        done = step + 1
        if done % 50 == 0:
            each = " ".join(f"{name} {total / seen:.3f}" for name, total in sums.items())
            say(f"step {done}: {each}; {(time.monotonic() - started) / (done - numbers.start):.3f} s a step")
            sums, seen = dict.fromkeys(weights, 0.0), 0
        yield done


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


def arguments(name: str, text: str | None, steps: int, seed: int) -> argparse.ArgumentParser:
    """The command line of a training script, with these defaults."""
    parser = argparse.ArgumentParser(prog=f"python -m scripts.{name}", description=text)
    parser.add_argument("folder", type=Path, help="for state, log and models; an interrupted run goes on there")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--seed", type=int, default=seed)
    parser.add_argument("--threads", type=int, default=1)
    return parser


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
