"""Zero-shot classifier construction against open_clip's ``build_zero_shot_classifier`` (ViT-B/32 text tower)."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np


def main(arguments: list[str]) -> None:
    """Print both times, their ratio and the largest difference of the prototypes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks classifier")
    parser.add_argument("--classes", type=int, default=1000, help="the first N ImageNet classes (80 prompts each)")
    options = parser.parse_args(arguments)

    import open_clip
    import torch

    from fgbench.models import load_adapter
    from fgbench.registry import resolve
    from fgbench.requests import ClassPrompts
    from fgbench.runner.features import prototypes

    lines: Any = resolve("fgbench.tasks.resources:lines")
    names = list(lines("imagenet_classnames"))[: options.classes]
    templates = list(lines("templates_80"))
    adapter: Any = load_adapter("openclip:ViT-B-32")
    prompts = ClassPrompts(names, templates, "short").strings()

    def ours() -> Any:
        # As the engine does: each distinct text once, sorted by length, in batches.
        distinct = {text: number for number, text in enumerate(dict.fromkeys(prompts))}
        order = sorted(distinct, key=lambda text: len(text.encode()))
        vectors = np.empty((len(distinct), adapter.info.dim), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(order), 256):
                batch = order[start : start + 256]
                vectors[[distinct[text] for text in batch]] = adapter.encode_texts(batch, "short").vectors.numpy()
        return prototypes(vectors[[distinct[text] for text in prompts]], len(templates))

    def library() -> Any:
        tokenizer = open_clip.get_tokenizer("ViT-B-32")
        with torch.inference_mode():
            found = open_clip.build_zero_shot_classifier(
                adapter.module, tokenizer, names, [lambda name, t=t: t.format(name) for t in templates], 10
            )
        return found.T.numpy()

    timed = {}
    values = {}
    for name, function in (("fgbench", ours), ("open_clip", library)):
        start = time.perf_counter()
        values[name] = function()
        timed[name] = time.perf_counter() - start
        print(f"{name:10} {timed[name]:8.1f} s", flush=True)
    print(f"{len(names)} classes × {len(templates)} prompts, {torch.get_num_threads()} threads")
    print(f"ratio {timed['open_clip'] / timed['fgbench']:.1f} ×")
    print(f"largest difference of a prototype's value {np.abs(values['fgbench'] - values['open_clip']).max():.1e}")
