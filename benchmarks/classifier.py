"""Zero-shot classifier construction against open_clip's ``build_zero_shot_classifier`` (ViT-B/32 text tower)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.figures import Figure, Options, alternate, compared
from benchmarks.measure import Measured


def figures(options: Options) -> Iterator[Figure]:
    """80 prompts for each of the first classes of ImageNet; both sides are linear in the number of prompts."""
    import open_clip
    import torch

    from fgbench.models import load_adapter
    from fgbench.registry import resolve
    from fgbench.requests import ClassPrompts
    from fgbench.runner.features import prototypes

    torch.set_num_threads(1)
    lines: Any = resolve("fgbench.tasks.resources:lines")
    names = list(lines("imagenet_classnames"))[: 2 if options.quick else 20]
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

    own, other = alternate(lambda: _timed(ours), lambda: _timed(library), options.repeat(1))
    worst = float(np.abs(own[0].value - other[0].value).max())
    if worst > 1e-5:
        raise SystemExit(f"classifier: NOT EQUAL: prototypes differ by {worst:.1e}")
    what = f"{len(names)} classes × {len(templates)} prompts, ViT-B/32"
    yield from compared("classifier", what, own, other, 8, f"prototypes differ by at most {worst:.0e}")


def _timed(function: Callable[[], Any]) -> Measured:
    start = time.perf_counter()
    value = function()
    return Measured(time.perf_counter() - start, 0.0, value)
