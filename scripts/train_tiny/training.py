"""The training loop: seeded step by step, so that a killed run goes on where its last checkpoint was."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from fgbench.adapters.fgclip2_model import FgClip2
from fgbench.data.mini.world.scenes import seeded
from fgbench.requests import TextKind
from scripts import resumable
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
    optimizer = resumable.adamw(learned, plan.rate)
    first = resumable.resume(learned, optimizer, folder)
    evaluation = Evaluation(reader, plan.evaluation_scenes)

    def losses(step: int) -> Mapping[str, Tensor]:
        rng, batch = seeded(plan.seed, "step", step), _batch(plan, reader, step)
        # With short sequences the plain formula is the faster kernel on a CPU, above all backwards.
        few = len(batch[0].patches) <= _FEW
        with (
            sdpa_kernel(SDPBackend.MATH if few else SDPBackend.FLASH_ATTENTION),
            torch.autocast("cpu", torch.bfloat16),
        ):
            return Step(model, auxiliary, reader, batch, rng).losses(texts=_texts(plan, step))

    numbers = range(first, plan.steps)
    for done in resumable.steps(numbers, learned, optimizer, losses, _WEIGHTS, partial(rate, plan), say):
        with torch.no_grad():
            model.logit_scale.clamp_(max=_MAX_SCALE)
        if done % plan.evaluate_every == 0 or done == plan.steps:
            resumable.log(folder, say, step=done, scale=model.logit_scale.exp().item(), **evaluation.run(model))
        if done == plan.early:
            network.export(model, tokenizer, folder / "early")
        if done % plan.save_every == 0 or done == plan.steps:
            resumable.save(learned, optimizer, folder, done, asdict(plan))
            network.export(model, tokenizer, folder / "model")
    return model


def rate(plan: Plan, step: int) -> float:
    """The learning rate of a step."""
    return resumable.rate(step, steps=plan.schedule, highest=plan.rate, warmup=plan.warmup, hold=plan.looking)


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
