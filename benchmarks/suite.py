"""FG-OVD, COCO boxes and COCO retrieval on real photographs: fgbench against a loop that goes item by item.

The loop is written after the official protocol (docs/protocols.md): every box and every caption is an item, for which
its picture is opened, preprocessed and encoded, and its texts are encoded.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.checkpoint import SMALL, write_checkpoint
from benchmarks.figures import Figure, Options
from fgbench.requests import ClassPrompts, Images, Regions, Texts

DATASETS = ("fg-ovd", "coco-box", "coco")


class Loop:
    """Item by item; counts what it encodes."""

    def __init__(self, adapter: Any) -> None:
        self.adapter = adapter
        self.pictures = self.texts = 0
        self.picture_seconds = 0.0

    def picture(self, ref: Any, budget: int | None) -> Any:
        """Global embedding, dense map, grid and size of one picture."""
        import torch

        from fgbench.data.images import decode

        start = time.perf_counter()
        image = decode(ref)
        preprocessor = self.adapter.preprocessor
        inputs = preprocessor(image, preprocessor.view("dense", image.size, budget))
        self.pictures += 1
        with torch.inference_mode():
            found = self.adapter.encode_images({key: value[None] for key, value in inputs.items()}, dense=True)
        self.picture_seconds += time.perf_counter() - start
        return found.pooled[0], found.tokens[0], found.grid[0].tolist(), image.size

    def box(self, ref: Any, box: Any, budget: int | None) -> Any:
        """Embedding of one box."""
        from fgbench.runner.regions import pool

        _, tokens, (rows, columns), size = self.picture(ref, budget)
        return pool(tokens, (rows, columns), size, box[None])[0].numpy()

    def text(self, texts: list[str], kind: str) -> Any:
        """Embeddings of the texts of one item."""
        import torch

        self.texts += len(texts)
        with torch.inference_mode():
            return self.adapter.encode_texts(texts, kind).vectors.numpy()

    def answer(self, dataset: str, planned: Any) -> dict[str, Any]:
        """What the dataset's request asks for, one item after the other."""
        from fgbench.requests import Embeddings
        from fgbench.runner.features import normalise, prototypes

        answers = {}
        for name, request in planned.requests.items():
            if isinstance(request, Regions):
                pairs = zip(request.image_index.tolist(), request.boxes, strict=True)
                found = [self.box(request.images[image], box, request.budget) for image, box in pairs]
            elif isinstance(request, Images):
                found = [self.picture(ref, request.budget)[0].numpy() for ref in request.images]
            elif isinstance(request, ClassPrompts):
                strings, step = list(request.strings()), len(request.templates)
                parts = [
                    self.text(strings[start : start + step], request.kind) for start in range(0, len(strings), step)
                ]
                answers[name] = Embeddings(prototypes(np.concatenate(parts), step))
                continue
            elif isinstance(request, Texts) and dataset == "fg-ovd":
                table = np.zeros((len(request.texts), self.adapter.info.dim), dtype=np.float32)
                for row in planned.loaded.items.candidates:  # the positive and its negatives, for every box again
                    table[row[row >= 0]] = self.text([request.texts[each] for each in row if each >= 0], request.kind)
                found = list(table)
            elif isinstance(request, Texts):
                found = [self.text([text], request.kind)[0] for text in request.texts]
            answers[name] = Embeddings(normalise(np.stack(found)))
        return answers


def figures(options: Options) -> Iterator[Figure]:
    """Passes of the image tower, texts, and time; scores have to agree."""
    import torch

    from fgbench.api import evaluate, plan
    from fgbench.models import load_adapter

    if options.data is None and not options.quick:
        raise SystemExit("suite: pass --data with a folder of COCO photographs; the miniature suite needs --quick")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = _root(Path(folder) / "data", options.data) if options.data else "mini"
        model = str(write_checkpoint(Path(folder) / "model", SMALL))
        limit = 3 if options.quick else None
        ours, theirs, images, counts = [], [], [], {}
        for run in range(options.repeat(1)):
            start = time.perf_counter()
            result = evaluate(
                model, dataset=DATASETS, data_root=root, output=Path(folder) / f"results-{run}", limit=limit, workers=0
            )
            ours.append(time.perf_counter() - start)
            start = time.perf_counter()
            loop = Loop(load_adapter(model))
            scores = {}
            for planned in plan(dataset=DATASETS, data_root=root, limit=limit).datasets:
                assert planned.loaded is not None
                answers = loop.answer(planned.spec.id, planned)
                scores[planned.spec.id] = planned.task.score(planned.spec, planned.loaded, answers)
            theirs.append(time.perf_counter() - start)
            for record in result.records:
                expected = {(each.subset, each.metric): each.value for each in scores[record["dataset"]].scores}
                for each in record["scores"]:
                    other = expected[each["subset"], each["metric"]]
                    if abs(each["value"] - other) > 0.02:
                        raise SystemExit(f"suite: NOT EQUAL: {record['dataset']} {each} and {other}")
            timings = result.records[0]["timings"]
            counters = timings["counters"]
            images.append((timings["seconds"]["encode_images"], loop.picture_seconds))
            counts = {
                "pictures encoded": (counters["image_passes"], loop.pictures),
                "texts encoded": (counters["texts_encoded"], loop.texts),
            }
        what = " + ".join(DATASETS)
        for name, (own, other) in counts.items():
            yield Figure("suite", f"{what}: {name}", "", own, other, other / own, runs=len(ours))
        mine, loops = (float(np.median(side)) for side in zip(*images, strict=True))
        yield Figure("suite", f"{what}: time of pictures", "s", mine, loops, loops / mine, 6, runs=len(images))
        mine, loops = float(np.median(ours)), float(np.median(theirs))
        note = "all of it; the class prompts of COCO boxes, which both encode once, are most of the rest; scores agree"
        yield Figure("suite", f"{what}: whole time", "s", mine, loops, loops / mine, runs=len(ours), note=note)


def _root(folder: Path, data: Path) -> Path:
    """A data root of links to photographs and annotations; FG-OVD only asks for pictures that are there."""
    (folder / "coco").mkdir(parents=True)
    for name in ("val2017", "annotations"):
        (folder / "coco" / name).symlink_to(data.resolve() / name)
    (folder / "fgovd").symlink_to(data.resolve() / "fgovd")
    return folder
