"""The training loop: seeded step by step, so that a killed run goes on where its last checkpoint was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from fgbench.adapters.llava_naflex_model import LlavaNaflex
from fgbench.data.mini.world.scenes import seeded
from scripts import resumable
from scripts.train_chat import network
from scripts.train_chat.evaluation import Evaluation
from scripts.train_chat.objectives import Objectives
from scripts.train_chat.packing import Batch, Packer
from scripts.train_chat.pictures import Gallery, Picture

_WEIGHTS = {
    **{"answer": 1.0, "corner": 0.5, "ready": 0.5, "letter": 0.2, "words": 0.5, "boxes": 0.2},
    **{"described words": 1.0, "described boxes": 0.2},
}
_TYPICAL = 20
"""Scenes from which the strength of the projector's first weights is taken."""


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        steps: in all.
        batch: pictures per step.
        rate: highest learning rate; it rises for ``warmup`` steps and falls as a cosine in the last ``cooling`` ones.
        looking: steps in the beginning that learn to name patches and ask nothing.
        fresh: new scenes per step; pictures are drawn from the last ``window`` scenes.
        frozen: layers of the vision tower that stay as they are.
        evaluate_every, save_every: steps.
        evaluation_scenes: how many.
        seed: of weights, batches and questions.
    """

    steps: int = 4000
    batch: int = 8
    rate: float = 2e-3
    warmup: int = 100
    cooling: int = 800
    looking: int = 250
    fresh: int = 4
    window: int = 2000
    frozen: int = 2
    evaluate_every: int = 400
    save_every: int = 100
    evaluation_scenes: int = 16
    seed: int = 1


def train(plan: Plan, tokenizer: Tokenizer, tower: Path, folder: Path, say: Callable[[str], None]) -> LlavaNaflex:
    """Train, or go on; leaves ``model`` in ``folder``.

    Args:
        plan: how.
        tokenizer: see :mod:`scripts.train_chat.tokenizer`.
        tower: folder of the FG-CLIP 2 whose vision tower is used.
        folder: for state, log (``log.jsonl``) and model.
        say: gets a line now and then.
    """
    module = network.build(tower, tokenizer, plan.seed)
    module.vision.embeddings.requires_grad_(False)
    module.vision.encoder.layers[: plan.frozen].requires_grad_(False)
    objectives = Objectives(module, tokenizer, plan.frozen, plan.seed)
    optimizer = resumable.adamw(objectives, plan.rate)
    gallery, packer = Gallery(module, tokenizer, plan.frozen, kept=2 * plan.window), Packer(tokenizer)
    with torch.no_grad():
        typical = [gallery.picture("train", number) for number in range(_TYPICAL)]
        network.settle(module, torch.cat(objectives.states(typical)))
    first = resumable.resume(objectives, optimizer, folder)
    evaluation = Evaluation(gallery, tokenizer, plan.evaluation_scenes)

    def losses(step: int) -> Mapping[str, Tensor]:
        pictures, batch = _batch(plan, gallery, packer, step)
        # With short sequences the plain formula is the faster kernel on a CPU, above all backwards.
        with sdpa_kernel(SDPBackend.MATH), torch.autocast("cpu", torch.bfloat16):
            found: Mapping[str, Tensor] = objectives(pictures, None if step < plan.looking else batch)
        return found

    rate = partial(
        resumable.rate, steps=plan.steps, highest=plan.rate, warmup=plan.warmup, hold=plan.steps - plan.cooling
    )
    for done in resumable.steps(range(first, plan.steps), objectives, optimizer, losses, _WEIGHTS, rate, say):
        if done % plan.evaluate_every == 0 or done == plan.steps:
            resumable.log(folder, say, step=done, **evaluation.run(objectives))
        if done % plan.save_every == 0 or done == plan.steps:
            resumable.save(objectives, optimizer, folder, done, asdict(plan))
            network.export(module, tokenizer, folder / "model")
    return module


def _batch(plan: Plan, gallery: Gallery, packer: Packer, step: int) -> tuple[list[Picture], Batch]:
    """Scenes of the sliding window, with questions."""
    rng = seeded(plan.seed, "chat", step)
    start = plan.fresh * step
    numbers = rng.sample(range(start, start + plan.window), plan.batch)
    pictures = [gallery.picture("train", number) for number in numbers]
    conversations = [picture.drawer.turns(rng) for picture in pictures]
    return pictures, packer.pack(conversations, [len(picture.states) for picture in pictures])
