"""How much of the model's own speed is left: pictures per second of an evaluation and of the bare forward pass."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.checkpoint import BASE, SMALL, write_checkpoint
from benchmarks.figures import Figure, Options

BATCH = 8


def figures(options: Options) -> Iterator[Figure]:
    """ViT-B/16 at 256 and at 1,024 patches (``--quick``: a small model at 256)."""
    for patches, count in ((256, 16),) if options.quick else ((256, 48), (1024, 16)):
        yield _figure(SMALL if options.quick else BASE, patches, count, options.repeat(3))


def _figure(tower: dict[str, int], patches: int, count: int, runs: int) -> Figure:
    import torch

    from fgbench.api import evaluate
    from fgbench.data.images import decode
    from fgbench.models import load_adapter
    from fgbench.requests import ImageRef

    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        paths = _pictures(root, count)
        adapter: Any = load_adapter(f"{write_checkpoint(Path(folder) / 'model', tower)}?budget={patches}")
        adapter.module.to(device).eval()
        prepare = adapter.preprocessor
        inputs = [prepare(decode(ImageRef(str(path))), f"naflex-{patches}") for path in paths]
        batches = [
            {name: torch.stack([each[name] for each in inputs[start : start + BATCH]]).to(device) for name in inputs[0]}
            for start in range(0, count, BATCH)
        ]

        def bare() -> float:
            start = time.perf_counter()
            with torch.inference_mode():
                for batch in batches:
                    adapter.encode_images(batch, dense=False)
            if device == "cuda":
                torch.cuda.synchronize()
            return time.perf_counter() - start

        def harness(run: int) -> float:
            result = evaluate(
                adapter, dataset="dci-cn", data_root=root, output=Path(folder) / f"r{run}", batch_size=BATCH,
                device=device,
            )  # fmt: skip
            seconds = result.records[0]["timings"]["seconds"]
            return float(seconds["probe"] + seconds["encode_images"] + seconds["score"])

        bare()  # first use of the kernels
        pairs = [(harness(run), bare()) for run in range(runs)]
        own, other = (float(np.median(side)) for side in zip(*pairs, strict=True))
        what = f"pictures per second at {patches} patches, {device}, width {tower['hidden_size']}"
        note = "decoding, preprocessing, checking, storing and scoring against ready tensors"
        return Figure("harness", what, "/s", count / own, count / other, other / own, 0.9, runs=runs, note=note)


def _pictures(root: Path, count: int) -> list[Path]:
    """JPEG photographs in appearance, of COCO's size, with a caption each: DCI-CN's layout."""
    rng = np.random.default_rng(0)
    folder = root / "DCI-CN/images"
    folder.mkdir(parents=True)
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for path in paths:
        coarse = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
        coarse.resize((640, 480), Image.Resampling.BICUBIC).save(path, quality=90)
    lines = [f"images/{path.name}\t说明 {path.stem}\n" for path in paths]
    (root / "DCI-CN/image_caption_trans.txt").write_text("".join(lines), encoding="utf-8")
    return paths
