"""Fine-grained understanding: which of several attribute descriptions fits a region (FG-OVD)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fgbench.data.annotations import box, field, read_json_lines, strings
from fgbench.data.files import DatasetFiles
from fgbench.errors import DataError
from fgbench.metrics.choice import choose
from fgbench.metrics.sample import Sample
from fgbench.requests import Embeddings, ImageRef, Regions, Request, Texts
from fgbench.spec import DatasetSpec, EvaluationProtocol, MetricKey, PublishedCell, TextProtocol
from fgbench.task import Loaded, Score, Scores

from .attributes import by_attribute

_TEST_TYPES = {"hard": "1_attributes", "medium": "2_attributes", "easy": "3_attributes", "trivial": "shuffle_negatives"}
_FILES = {
    "hard": "h_attributes_llava.jsonl",
    "medium": "m_attributes_llava.jsonl",
    "easy": "e_attributes_llava.jsonl",
    "trivial": "shuffle_negatives_llava.jsonl",
}

FG_OVD = DatasetSpec(
    id="fg-ovd",
    task="fine-grained",
    title="FG-OVD",
    language="en",
    homepage="https://github.com/lorebianchi98/FG-OVD",
    licence="annotations: no licence file upstream, Apache-2.0 in the FG-CLIP repository; pictures: COCO 2017",
    citation="Bianchi et al., The devil is in the fine-grained details, CVPR 2024, arXiv 2311.17518",
    files={
        **{subset: (f"fgovd/{name}", f"fg-ovd/{name}", name) for subset, name in _FILES.items()},
        "images": ("coco", "."),
    },
    how_to_get=(
        "Put data/fgovd of the FG-CLIP repository (360CVGroup/FG-CLIP) in <data root>/fgovd, and COCO's val2017 and "
        "train2017 pictures in <data root>/coco (train2017 is needed: 714 of the 1,707 pictures are there)."
    ),
    published_items={"hard": 3545, "medium": 2968, "easy": 1299, "trivial": 3545},
    protocol=EvaluationProtocol(
        id="paper",
        text=TextProtocol(kind="box", lowercase=True),
        details={
            "candidates": "the positive, then its negatives (1 to 10)",
            "tie": "correct iff no candidate scores higher than the positive",
            "box": "x, y, w, h in pixels of the original picture; not rounded, not clipped",
        },
    ),
    main=tuple(MetricKey(subset, "top1") for subset in _FILES),
    metrics=("top1",),
    published={
        MetricKey(subset, "top1"): PublishedCell("1", f"FG-OVD {subset.capitalize()}", "top1") for subset in _FILES
    },
    notes=(
        "The paper's 'ten negatives' is not exact: 37 items of hard and of trivial have fewer.",
        "4 items of medium repeat the positive among the negatives; the tie rule lets them win if nothing is better.",
    ),
)


@dataclass(frozen=True)
class _Items:
    ids: npt.NDArray[np.int64]
    subset: npt.NDArray[np.str_]
    images: list[ImageRef]
    image_index: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    texts: list[str]
    candidates: npt.NDArray[np.int64]


class FineGrained:
    """Choose the right text for a box among hard negatives; accuracy per difficulty.

    Source: FG-CLIP 2, section 4.2 and its script ``fgovd_bbox_roi.py``; docs/protocols.md lists its quirks.
    """

    id = "fine-grained"
    title = "Fine-grained understanding"
    title_zh = "细粒度理解"
    position = 10
    datasets: tuple[DatasetSpec, ...] = (FG_OVD,)

    def load(self, spec: DatasetSpec, files: DatasetFiles, limit: int | None) -> Loaded:
        """See :class:`fgbench.task.Task`."""
        root = files.image_root()
        ids: list[int] = []
        subsets: list[str] = []
        images: dict[ImageRef, int] = {}
        image_index: list[int] = []
        boxes: list[tuple[float, float, float, float]] = []
        texts: dict[str, int] = {}
        candidates: list[list[int]] = []
        for subset, test_type in _TEST_TYPES.items():
            path = files.annotation(subset)
            for number, (where, row) in enumerate(read_json_lines(path)):
                if number == limit:
                    break
                found = field(row, "test_type", str, where)
                if found != test_type:
                    raise DataError(f"{where}: test_type is {found!r}, but the {subset} file has {test_type!r} only.")
                positive, negative = strings(row, "pos_expression", where), strings(row, "neg_expression", where)
                if len(positive) != 1 or not negative:
                    raise DataError(
                        f"{where}: expected one text in 'pos_expression' and at least one in 'neg_expression', "
                        f"found {len(positive)} and {len(negative)}."
                    )
                image = root.image(field(row, "img_path", str, where), where)
                ids.append(field(row, "sent_id", int, where))
                subsets.append(subset)
                image_index.append(images.setdefault(image, len(images)))
                boxes.append(box(row, where))
                prepared = (spec.protocol.text.prepare(text) for text in (*positive, *negative))
                candidates.append([texts.setdefault(text, len(texts)) for text in prepared])
        table = np.full((len(candidates), max(map(len, candidates), default=2)), -1, dtype=np.int64)
        for item, row_candidates in enumerate(candidates):
            table[item, : len(row_candidates)] = row_candidates
        items = _Items(
            ids=np.array(ids, dtype=np.int64),
            subset=np.array(subsets),
            images=list(images),
            image_index=np.array(image_index, dtype=np.int64),
            boxes=np.array(boxes, dtype=np.float64).reshape(-1, 4),
            texts=list(texts),
            candidates=table,
        )
        return Loaded(items, size={subset: subsets.count(subset) for subset in _TEST_TYPES})

    def requests(self, spec: DatasetSpec, loaded: Loaded) -> Mapping[str, Request]:
        """One region per item, every candidate text once."""
        items: _Items = loaded.items
        return {
            "regions": Regions(items.images, items.image_index, items.boxes, spec.protocol.budget),
            "texts": Texts(items.texts, spec.protocol.text.kind, mentions=int((items.candidates >= 0).sum())),
        }

    def score(self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Embeddings]) -> Scores:
        """Accuracy per subset over the items whose region has an embedding, and by the attribute that differs."""
        items: _Items = loaded.items
        regions, texts = features["regions"], features["texts"]
        scores: list[Score] = []
        ties: dict[str, int] = {}
        outcomes: dict[str, npt.NDArray[Any]] = {}
        for subset in loaded.size:
            kept = np.flatnonzero((items.subset == subset) & regions.ok)
            if not len(kept):
                continue
            choices = choose(regions.vectors[kept], texts.vectors, items.candidates[kept])
            scores.append(Score(subset, "top1", float(choices.correct.mean()), len(kept)))
            ties[f"{subset}/top1"] = int(choices.tied.sum())
            outcomes |= {
                f"{subset}/id": items.ids[kept],
                f"{subset}/image": items.image_index[kept],
                f"{subset}/margin": choices.margin,
            }
        kept = np.flatnonzero(regions.ok & (items.subset != "trivial"))
        table = by_attribute(
            regions.vectors[kept], texts.vectors, items.candidates[kept], items.texts, items.subset[kept]
        )
        tables = {"attributes": table} if len(kept) else {}
        return Scores(scores, int(regions.ok.sum()), regions.reasons(), outcomes, ties, tables=tables)

    def samples(self, spec: DatasetSpec, outcomes: Mapping[str, npt.NDArray[Any]]) -> Mapping[MetricKey, Sample]:
        """See :class:`fgbench.task.HasSamples`; items on one picture stay together."""
        return {
            MetricKey(subset, "top1"): Sample.mean(
                outcomes[f"{subset}/id"], outcomes[f"{subset}/margin"] >= 0, "image", outcomes[f"{subset}/image"]
            )
            for subset in _FILES
            if f"{subset}/id" in outcomes
        }


TASK = FineGrained()
