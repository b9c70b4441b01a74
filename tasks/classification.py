"""Zero-shot classification: name the class of a whole picture (ImageNet-1K, ImageNet-V2)."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fgbench.data.files import DatasetFiles
from fgbench.errors import DataError, DataMissingError
from fgbench.metrics.sample import Sample
from fgbench.requests import Embeddings, ImageRef, Images, Request
from fgbench.spec import DatasetSpec, EvaluationProtocol, HubSource, MetricKey, PublishedCell, TextProtocol
from fgbench.task import Loaded, Scores

from .labelled import Mask, class_prompts, label_samples, score_labels
from .resources import lines

DROP_LAST = 49_920
"""Pictures that the official ImageNet-1K script sees: 390 full batches of 128."""

_PICTURES = (".jpeg", ".jpg", ".png")
_ENGLISH = TextProtocol(kind="short", lowercase=True, templates="templates_80", classes="imagenet_classnames")
_CHINESE = TextProtocol(kind="short", lowercase=False, templates="templates_80_zh", classes="imagenet_classnames_zh")
_RULES = {
    "resolution": "1,024 patches for every picture (variable-resolution models)",
    "tie": "among equal similarities the lower class index comes first (two pairs of classes share a name)",
}

IMAGENET_1K = DatasetSpec(
    id="imagenet-1k",
    task="classification",
    title="ImageNet-1K",
    language="en",
    homepage="https://image-net.org",
    licence="ImageNet terms of access, research only",
    citation="Russakovsky et al., ImageNet large scale visual recognition challenge, IJCV 2015, arXiv 1409.0575",
    files={"images": ("imagenet/val", "imagenet-1k/val", "IN1K_val/val", "ILSVRC2012/val", "imagenet/val.zip")},
    how_to_get=(
        "ILSVRC2012 validation pictures from image-net.org (registration needed), sorted into one folder per wnid: "
        "<data root>/imagenet/val/n01440764/ILSVRC2012_val_*.JPEG."
    ),
    published_items={"all": 50000},
    protocol=EvaluationProtocol(
        id="paper",
        text=_ENGLISH,
        budget=1024,
        details={
            "pictures": "all 50,000; subset official_drop_last: the 49,920 that the official script sees",
            **_RULES,
        },
    ),
    main=(MetricKey("all", "top1"),),
    metrics=("top1", "top5"),
    published={MetricKey("all", "top1"): PublishedCell("4", "IN-1K", "top1")},
)

IMAGENET_V2 = DatasetSpec(
    id="imagenet-v2",
    task="classification",
    title="ImageNet-V2",
    language="en",
    homepage="https://github.com/modestyachts/ImageNetV2",
    licence="code MIT; pictures as ImageNet",
    citation="Recht et al., Do ImageNet classifiers generalize to ImageNet?, ICML 2019, arXiv 1902.10811",
    files={
        "images": (
            "imagenet-v2/imagenetv2-matched-frequency-format-val",
            "imagenetv2-matched-frequency-format-val",
            "imagenet-v2",
        )
    },
    how_to_get="Hub dataset vaishaal/ImageNetV2 in <data root>/imagenet-v2 ('fgbench data get').",
    published_items={"all": 10000},
    protocol=EvaluationProtocol(
        id="paper",
        text=_ENGLISH,
        budget=1024,
        details={"variant": "matched-frequency", "label": "integer value of the folder name, or its wnid", **_RULES},
    ),
    main=(MetricKey("all", "top1"),),
    metrics=("top1", "top5"),
    published={MetricKey("all", "top1"): PublishedCell("4", "IN-v2", "top1")},
    hub=(
        HubSource(
            "vaishaal/ImageNetV2",
            ("imagenetv2-matched-frequency.tar.gz",),
            "imagenet-v2",
            unpack=("imagenetv2-matched-frequency.tar.gz",),
        ),
    ),
)


def _in_chinese(spec: DatasetSpec) -> DatasetSpec:
    return replace(
        spec,
        id=f"{spec.id}-zh",
        title=f"{spec.title} (Chinese prompts)",
        language="zh",
        protocol=replace(spec.protocol, id="clip-benchmark-zh", text=_CHINESE),
        published={},
        optional=True,
        same_pictures_as=spec.id,
        notes=("Not in the paper: CLIP_benchmark's Chinese class names and templates.",),
    )


IMAGENET_1K_ZH, IMAGENET_V2_ZH = _in_chinese(IMAGENET_1K), _in_chinese(IMAGENET_V2)


@dataclass(frozen=True)
class _Items:
    names: list[str]
    images: list[ImageRef]
    label: npt.NDArray[np.int64]


@dataclass
class Classification:
    """Rank all class names for a picture; top-1 and top-5 accuracy.

    Pictures lie in one folder per class. Source: FG-CLIP 2, section 4.3 and its ImageNet scripts.

    Attributes:
        id, title, title_zh, position, datasets: see :class:`fgbench.task.Task`.
        labels: class index of a folder name (None: not a class folder), by dataset id.
    """

    id: str
    title: str
    position: int
    datasets: tuple[DatasetSpec, ...]
    labels: Mapping[str, Callable[[str], int | None]]
    title_zh: str = ""

    def load(self, spec: DatasetSpec, files: DatasetFiles, limit: int | None) -> Loaded:
        """See :class:`fgbench.task.Task`."""
        root = files.image_root()
        names, images, label = [], [], []
        rejected: Counter[str] = Counter()
        strange: dict[str, None] = {}
        for name, ref in root.listing().items():
            if not name.lower().endswith(_PICTURES):
                continue
            folder = name.rsplit("/", 2)[-2] if "/" in name else ""
            index = self.labels[spec.id](folder)
            if index is None:
                rejected["unknown_class_folder"] += 1
                strange[folder] = None
                continue
            names.append(name)
            images.append(ref)
            label.append(index)
        if not names:
            if rejected:
                raise DataError(
                    f"{spec.id}: no folder below {root.place} is named after a class, although it holds "
                    f"{rejected.total()} pictures. {spec.how_to_get}"
                )
            places = "\n  ".join(map(str, files.places("images")))
            raise DataMissingError(f"{spec.id}: no pictures found. Looked for:\n  {places}\n{spec.how_to_get}")
        items = _Items(names[:limit], images[:limit], np.array(label[:limit], dtype=np.int64))
        notes: tuple[str, ...] = ()
        if strange:
            shown = ", ".join(map(repr, itertools.islice(strange, 5))) + (", …" if len(strange) > 5 else "")
            notes = (f"{len(strange):,} folders below {root.place.name} are not named after a class: {shown}",)
        return Loaded(items, size={"all": len(items.names) + rejected.total()}, rejected=rejected, notes=notes)

    def requests(self, spec: DatasetSpec, loaded: Loaded) -> Mapping[str, Request]:
        """The global embedding of every picture, one prototype per class."""
        items: _Items = loaded.items
        text = spec.protocol.text
        return {
            "images": Images(items.images, spec.protocol.budget),
            "classes": class_prompts(lines(text.classes or "imagenet_classnames"), text),
        }

    def score(self, spec: DatasetSpec, loaded: Loaded, features: Mapping[str, Embeddings]) -> Scores:
        """Accuracy over the pictures that have an embedding."""
        items: _Items = loaded.items
        images = features["images"]
        kept = np.flatnonzero(images.ok)
        result = score_labels(
            images.vectors[kept], features["classes"].vectors, items.label[kept], _subsets(len(kept)), spec.metrics
        )
        return Scores(
            result.scores,
            evaluated=len(kept),
            skipped=images.reasons() + loaded.rejected,
            outcomes={"id": np.array(items.names)[kept], "rank": result.rank},
            ties={"rank": result.ties},
        )

    def samples(self, spec: DatasetSpec, outcomes: Mapping[str, npt.NDArray[Any]]) -> Mapping[MetricKey, Sample]:
        """See :class:`fgbench.task.HasSamples`."""
        rank = outcomes["rank"]
        return label_samples(outcomes["id"], rank, None, _subsets(len(rank)), spec.metrics)


def _subsets(number: int) -> dict[str, Mask]:
    """All pictures; of a complete ImageNet also those that the official script sees."""
    subsets = {"all": np.ones(number, dtype=bool)}
    if number == 50_000:
        subsets["official_drop_last"] = np.arange(number) < DROP_LAST
    return subsets


def _wnid(folder: str) -> int | None:
    """Rank of a wnid among the 1,000 of ILSVRC2012."""
    return _WNIDS.get(folder)


def _number_or_wnid(folder: str) -> int | None:
    """ImageNet-V2's folders are decimal class numbers without padding; some people rename them to wnids."""
    if folder.isascii() and folder.isdigit() and int(folder) < len(_WNIDS):
        return int(folder)
    return _WNIDS.get(folder)


_WNIDS = {wnid: index for index, wnid in enumerate(lines("imagenet_wnids"))}

TASK = Classification(
    id="classification",
    title="Zero-shot classification",
    title_zh="零样本分类",
    position=60,
    datasets=(IMAGENET_1K, IMAGENET_V2, IMAGENET_1K_ZH, IMAGENET_V2_ZH),
    labels={
        "imagenet-1k": _wnid,
        "imagenet-1k-zh": _wnid,
        "imagenet-v2": _number_or_wnid,
        "imagenet-v2-zh": _number_or_wnid,
    },
)
