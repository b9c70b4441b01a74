"""The training loop: seeded step by step, so that a killed run goes on where its last checkpoint was."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors.torch
import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from fgbench.adapters.fgclip2_model import FgClip2
from fgbench.data.atomic import write_atomic
from fgbench.data.mini.world.scenes import seeded
from fgbench.requests import TextKind
from scripts.train_tiny import beginnings, network
from scripts.train_tiny.auxiliary import Auxiliary
from scripts.train_tiny.evaluation import Evaluation
from scripts.train_tiny.examples import Example, Reader
from scripts.train_tiny.objectives import Step

_WEIGHTS = {
    **{"caption": 1.0, "region": 2.0, "kind": 1.0, "patch": 0.5, "portrait": 0.3},
    **{"points": 1.0, "outline": 4.0, "name": 2.0, "label": 0.5, "attribute": 1.0},
}
_MAX_SCALE = math.log(40.0)
_TYPICAL = 40
"""Scenes from which the strength of the first weights is taken."""
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW remembers of each parameter."""

_STATE = "state.safetensors"
_FEW = 256
_LARGE = {1024: 3, 576: 6, 256: 16}
"""Pictures per step with so many patches."""


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        steps: in all. The default stops while the tasks are half learnt: numbers of a model that has solved them (after
            4,000 steps it has) could only fall.
        schedule: steps over which the learning rate falls.
        batch: pictures per step of 128 patches.
        rate: highest learning rate; it rises for ``warmup`` steps and falls as a cosine after ``looking``.
        fresh: new scenes per step; pictures are drawn from the last ``window`` scenes.
        large_every: one step in so many sees larger pictures, of 256 to 1,024 patches.
        looking: steps in the beginning that learn to see, with class prompts as the only texts.
        early: step whose weights are kept as the weaker model.
        evaluate_every, save_every: steps.
        seed: of weights, batches and prompts.
    """

    steps: int = 2250
    schedule: int = 4000
    batch: int = 32
    rate: float = 1.5e-3
    warmup: int = 100
    fresh: int = 10
    window: int = 4000
    large_every: int = 20
    early: int = 2000
    looking: int = 1600
    evaluate_every: int = 250
    save_every: int = 100
    evaluation_scenes: int = 120
    seed: int = 1


def train(plan: Plan, tokenizer: Tokenizer, folder: Path, say: Callable[[str], None]) -> FgClip2:
    """Train, or go on; leaves ``model`` and ``early`` in ``folder``.

    Args:
        plan: how.
        tokenizer: see :mod:`scripts.train_tiny.tokenizer`.
        folder: for state, log (``log.jsonl``) and models.
        say: gets a line now and then.
    """
    reader = Reader(tokenizer)
    model = network.build(tokenizer.get_vocab_size(), plan.seed)
    typical = torch.cat([reader.example("train", number, 128).patches for number in range(_TYPICAL)])
    beginnings.prepare(model, typical.numpy())
    auxiliary = Auxiliary(model.config.dim, plan.seed)
    learned = nn.ModuleDict({"model": model, "auxiliary": auxiliary})
    decayed = [p for p in learned.parameters() if p.ndim > 1]
    others = [p for p in learned.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}],
        lr=plan.rate,
        betas=(0.9, 0.98),
    )
    first = _resume(learned, optimizer, folder)
    evaluation = Evaluation(reader, plan.evaluation_scenes)
    started, sums, seen = time.monotonic(), dict.fromkeys(_WEIGHTS, 0.0), 0
    for step in range(first, plan.steps):
        rng = seeded(plan.seed, "step", step)
        for group in optimizer.param_groups:
            group["lr"] = rate(plan, step)
        batch = _batch(plan, reader, step)
        # With short sequences the plain formula is the faster kernel on a CPU, above all backwards.
        few = len(batch[0].patches) <= _FEW
        with sdpa_kernel(SDPBackend.MATH if few else SDPBackend.FLASH_ATTENTION):
            with torch.autocast("cpu", torch.bfloat16):
                losses = Step(model, auxiliary, reader, batch, rng).losses(texts=_texts(plan, step))
                loss = torch.stack([_WEIGHTS[name] * value for name, value in losses.items()]).sum()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(learned.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=_MAX_SCALE)
        seen += 1
        for name, value in losses.items():
            sums[name] += value.item()
        done = step + 1
        if done % 50 == 0:
            each = " ".join(f"{name} {total / seen:.3f}" for name, total in sums.items())
            pace = (time.monotonic() - started) / (done - first)
            say(f"step {done}: {each}; scale {model.logit_scale.exp().item():.1f}; {pace:.3f} s a step")
            sums, seen = dict.fromkeys(_WEIGHTS, 0.0), 0
        if done % plan.evaluate_every == 0 or done == plan.steps:
            _log(folder, say, step=done, **evaluation.run(model))
        if done == plan.early:
            network.export(model, tokenizer, folder / "early")
        if done % plan.save_every == 0 or done == plan.steps:
            _save(learned, optimizer, folder, done, plan)
            network.export(model, tokenizer, folder / "model")
    return model


def rate(plan: Plan, step: int) -> float:
    """The learning rate of a step."""
    if step < plan.warmup:
        return plan.rate * (step + 1) / plan.warmup
    share = max(0, step - plan.looking) / max(1, plan.schedule - plan.looking)
    return plan.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))


def _texts(plan: Plan, step: int) -> TextKind | None:
    if step < plan.looking:
        return None
    return "long" if step % 3 == 2 else "short"


def _batch(plan: Plan, reader: Reader, step: int) -> list[Example]:
    """Scenes of the sliding window; now and then fewer of them with more patches."""
    rng = seeded(plan.seed, "batch", step)
    budget, count = 128, plan.batch
    if step >= plan.looking and step % plan.large_every == plan.large_every - 1:
        budget, count = rng.choice(list(_LARGE.items()))
    start = plan.fresh * step
    numbers = rng.sample(range(start, start + plan.window), count)
    return [reader.example("train", number, budget) for number in numbers]


def _log(folder: Path, say: Callable[[str], None], **found: float) -> None:
    say("held out: " + " ".join(f"{name} {value:.1f}" for name, value in found.items()))
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(found) + "\n")


def _save(learned: nn.Module, optimizer: torch.optim.Optimizer, folder: Path, step: int, plan: Plan) -> None:
    tensors = {f"value/{name}": value for name, value in learned.state_dict().items()}
    for name, parameter in learned.named_parameters():
        for key in _MOMENTS:
            if parameter in optimizer.state:
                tensors[f"{key}/{name}"] = optimizer.state[parameter][key]
    metadata = {"step": str(step), "plan": json.dumps(asdict(plan))}
    tensors = {name: value.contiguous() for name, value in tensors.items()}
    write_atomic(folder / _STATE, safetensors.torch.save(tensors, metadata))


def _resume(learned: nn.Module, optimizer: torch.optim.Optimizer, folder: Path) -> int:
    """Load the last checkpoint, if there is one; the number of steps that are done."""
    path = folder / _STATE
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
