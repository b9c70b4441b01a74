"""Deliberate breakages of protocols and metrics, each in one place, and harmless changes for comparison.

Each is a context manager that patches the running engine or task and takes the patch away again. What a breakage has to
move is written beside it; ``scripts/breakages.py`` measures the whole matrix for docs/miniature-suite.md.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np
import torchvision.ops
from PIL import Image, ImageOps

from fgbench import evaluation, selection
from fgbench.adapters import lmm_frames, naflex
from fgbench.data.mini import files as mini_files
from fgbench.metrics import ranks
from fgbench.requests import ClassPrompts, Embeddings, PredictedMaps, RegionScores, Replies, TextKind
from fgbench.runner import features, generate, label_maps, loading
from fgbench.spec import DatasetSpec
from fgbench.tasks import (
    detection,
    fine_grained,
    label_encodings,
    label_sources,
    labelled,
    lmm,
    rescoring,
    retrieval,
    segmentation,
)

Patch = Callable[[], AbstractContextManager[Any]]

REGIONS = ("fg-ovd", "coco-box", "lvis-box", "boxclass-cn", "lvis-minival", "lvis-val")
LONG = ("sharegpt4v", "dci", "lit-cn", "dci-cn", "docci-cn")
SHORT = ("coco", "flickr30k", "coco-cn", "flickr30k-cna")
NAMED = ("coco-box", "lvis-box", "boxclass-cn", "imagenet-1k", "imagenet-v2")
SEGMENTATION = ("ade20k-847", "ade20k-150", "pascal-context-459", "pascal-context-59", "voc-20", "voc-21")
CHAT = ("gqa", "mmmu", "textvqa", "refcoco", "mmbench-en", "mmbench-cn")
HEAVY = ("imagenet-1k", "imagenet-v2", "ade20k-847", "pascal-context-459")
"""Tens of thousands of texts: left out where all texts are encoded anew."""


@dataclass(frozen=True)
class Breakage:
    """Something that is done wrong on purpose.

    Attributes:
        id: short name.
        title: what is wrong, for the table.
        patch: makes it so.
        catches: datasets that have to fall outside their tolerance; the others may.
        texts: all texts are encoded anew, so that :data:`HEAVY` datasets are left out of the matrix.
        chat: the chat model's datasets are concerned.
        encoder: the dual encoder's are.
        only: where one form of data is concerned: the datasets that have it.
    """

    id: str
    title: str
    patch: Patch
    catches: tuple[str, ...] = ()
    texts: bool = False
    chat: bool = False
    encoder: bool = True
    only: tuple[str, ...] = ()


def _wrapped(place: Any, name: str, change: Callable[..., Any]) -> Patch:
    """Put ``change(original, *arguments)`` in the place of a function or method."""

    def patch() -> AbstractContextManager[Any]:
        original = getattr(place, name)
        return mock.patch.object(place, name, lambda *args, **kwargs: change(original, *args, **kwargs))

    return patch


def _protocol(change: Callable[[DatasetSpec], dict[str, Any]]) -> Patch:
    """Change fields of every dataset's protocol."""

    def changed(original: Callable[..., Any], *args: Any) -> Any:
        return [
            (task, replace(spec, protocol=replace(spec.protocol, **change(spec)))) for task, spec in original(*args)
        ]

    return _wrapped(selection, "choose", changed)


def _text(**fields: Any) -> Patch:
    return _protocol(lambda spec: {"text": replace(spec.protocol.text, **fields)})


def _kind(old: TextKind, new: TextKind) -> Patch:
    def change(spec: DatasetSpec) -> dict[str, Any]:
        text = spec.protocol.text
        return {"text": replace(text, kind=new) if text.kind == old else text}

    return _protocol(change)


def _pictures(change: Callable[[Image.Image], Image.Image]) -> Patch:
    """Change every picture that the dual encoder sees."""
    return _wrapped(loading, "decode", lambda original, ref: change(original(ref)))


def _corners(change: Callable[[Any, int, int], Any]) -> Patch:
    """Change the corners (x1, y1, x2, y2, in cells of the dense map of so many rows and columns) of every region."""

    def changed(original: Callable[..., Any], dense: Any, corners: Any, **options: Any) -> Any:
        rows, columns = dense.shape[-2:]
        moved = corners.clone()
        moved[:, 1:] = change(corners[:, 1:], rows, columns)
        return original(dense, moved, **options)

    return _wrapped(torchvision.ops, "roi_align", changed)


def _xywh_as_xyxy(corners: Any, rows: int, columns: int) -> Any:
    result = corners.clone()
    result[:, 2:] = corners[:, 2:] + corners[:, :2]
    return result


def _whole(corners: Any, rows: int, columns: int) -> Any:
    return corners.new_tensor([0, 0, columns, rows]).expand(len(corners), 4)


def _swapped(corners: Any, rows: int, columns: int) -> Any:
    return corners[:, [1, 0, 3, 2]]


def _bgr(picture: Image.Image) -> Image.Image:
    return Image.merge("RGB", picture.split()[::-1])


def _half(picture: Image.Image) -> Image.Image:
    return picture.resize((max(1, picture.width // 2), max(1, picture.height // 2))).resize(picture.size)


def _square(original: Callable[..., Any], width: int, height: int, budget: int) -> tuple[int, int]:
    wide, high = original(width, height, budget)
    side = max(1, round((wide * high) ** 0.5 / naflex.PATCH)) * naflex.PATCH
    return side, side


def _shifted(original: Callable[..., Any], queries: Any, gallery: Any, rows: Any, target: Any) -> Any:
    return original(queries, gallery, rows, (target + 1) % len(gallery))


def _shuffled(original: Callable[..., Any], queries: Any, gallery: Any, rows: Any, target: Any) -> Any:
    return original(queries, gallery, rows, np.random.default_rng(0).permutation(target))


def _next_caption(original: Callable[..., Any], self: Any, spec: Any, loaded: Any, answers: Any) -> Any:
    images = answers["images"]
    moved = Embeddings(np.roll(images.vectors, 1, axis=0), images.failed)
    return original(self, spec, loaded, {**answers, "images": moved})


def dealt(seed: int) -> Patch:
    """Vectors of pictures and regions dealt to the items of their dataset at random."""

    def changed(original: Callable[..., Any], address: Any, store: Any, dim: int) -> Any:
        found = original(address, store, dim)
        return Embeddings(found.vectors[np.random.default_rng(seed).permutation(len(found.vectors))], found.failed)

    return _wrapped(features, "_pictured", changed)


def dealt_scores(seed: int) -> Patch:
    """How well proposals fit, dealt at random to the proposals of the same class: what a model thinks of the class
    stays, what it thinks of the region goes. Holds for the default temperature.
    """

    def changed(original: Callable[..., Any], request: RegionScores, *rest: Any) -> Any:
        found, rng = original(request, *rest), np.random.default_rng(seed)
        temperature = float(detection.LVIS_VAL.protocol.choice("temperature"))
        column = list(request.temperatures).index(temperature)
        shift = temperature * found.log_normaliser[request.pair_box, column]
        order = np.arange(len(shift))
        for category in np.unique(request.pair_class):
            rows = np.flatnonzero(request.pair_class == category)
            order[rows] = rng.permutation(rows)
        return replace(found, cosine=((found.cosine - shift)[order] + shift).astype(np.float32))

    return _wrapped(features, "_region_scores", changed)


def _second_is_right(original: Callable[..., Any], queries: Any, candidates: Any, index: Any) -> Any:
    return original(queries, candidates, index[:, [1, 0, *range(2, index.shape[1])]])


def _strict_choice(original: Callable[..., Any], *args: Any) -> Any:
    found = original(*args)
    return found._replace(correct=found.margin > 0)


def _ties_lose(original: Callable[..., Any], similarity: Any, rows: Any, target: Any) -> Any:
    own = similarity[rows, target][:, None]
    _, tied = original(similarity, rows, target)
    return (similarity[rows] >= own).sum(axis=1, dtype=np.int64) - 1, tied


def _labels(change: Callable[[Any], Any]) -> Patch:
    """Change the ground truth of segmentation, uint16 [H, W]: class indices, IGNORE where nothing is scored."""
    return _wrapped(
        label_sources.GroundTruth, "decode", lambda original, self, raw, row: change(original(self, raw, row))
    )


def _scored_too(labels: Any) -> Any:
    return np.where(labels == label_encodings.IGNORE, 0, labels).astype(labels.dtype)


def _one_lower(labels: Any) -> Any:
    return np.where((labels == label_encodings.IGNORE) | (labels == 0), labels, labels - 1).astype(labels.dtype)


def _maps(change: Callable[[Any], Any]) -> Patch:
    def changed(original: Callable[..., Any], address: Any, reduced: Any) -> Any:
        found = original(address, reduced)
        return PredictedMaps(lambda row: np.ascontiguousarray(change(found.read(row))), found.size, found.failed)

    return _wrapped(features, "label_maps", changed)


def _aligned_corners(original: Callable[..., Any], maps: Any, size: tuple[int, int]) -> Any:
    import torch

    width, height = size
    return torch.nn.functional.interpolate(maps.float()[None], (height, width), mode="bilinear", align_corners=True)[0]


def _nearest(original: Callable[..., Any], maps: Any, size: tuple[int, int]) -> Any:
    import torch

    return torch.nn.functional.interpolate(maps.float()[None], (size[1], size[0]), mode="nearest")[0]


def _property(place: Any, name: str, value: Callable[[Any], Any]) -> Patch:
    return lambda: mock.patch.object(place, name, property(value))


def _next_category(candidates: Any) -> Any:
    return candidates.proposals.det_category % candidates.proposals.det_category.max()


def _unconverted(candidates: Any) -> Any:
    return candidates.proposals.box.astype(np.float64)


def _next_cosine(original: Callable[..., Any], *args: Any) -> Any:
    found = original(*args)
    return replace(found, cosine=np.roll(found.cosine, 1))


def _crops(original: Callable[..., Any], model: Any, settings: Any, *ranks: Any) -> Any:
    return original(
        model, replace(settings, region_mode="crop") if hasattr(model, "preprocessor") else settings, *ranks
    )


def _settings(**fields: Any) -> Patch:
    return _wrapped(
        evaluation,
        "start",
        lambda original, model, settings, *ranks: original(model, replace(settings, **fields), *ranks),
    )


def _unnormalised_mean(original: Callable[..., Any], vectors: Any, templates: int, groups: Any = None) -> Any:
    with mock.patch.object(features, "normalise", lambda each: each):
        found = original(vectors, templates, groups)
    return features.normalise(found)


def _raw_prototypes(original: Callable[..., Any], vectors: Any, templates: int, groups: Any = None) -> Any:
    found = original(vectors, templates, groups)
    scale = np.linspace(0.8, 1.2, len(found), dtype=np.float32)[:, None]
    return found * scale


def _next_reply(original: Callable[..., Any], self: Any, spec: Any, loaded: Any, answers: Any) -> Any:
    texts = list(answers["answers"].texts)
    return original(self, spec, loaded, {"answers": Replies(texts[-1:] + texts[:-1], answers["answers"].failed)})


def _next_picture(original: Callable[..., Any], *args: Any) -> Any:
    made = original(*args)
    apart = max(1, len(made) // 2)
    moved = made[apart:] + made[:apart]
    return [replace(each, images=other.images) for each, other in zip(made, moved, strict=True)]


def _bare_question(original: Callable[..., Any], *args: Any) -> Any:
    return [replace(each, text=each.text.split("\n")[0]) for each in original(*args)]


def _one_token(original: Callable[..., Any], *args: Any) -> Any:
    return [replace(each, max_tokens=1) for each in original(*args)]


def _other_frame(original: Callable[..., Any], self: Any, text: str, pictures: int) -> Any:
    return original(replace(self, opening="", closing="", after=""), text, pictures)


def _chat_pictures(change: Callable[[Image.Image], Image.Image]) -> Patch:
    return _wrapped(generate, "decode", lambda original, ref: change(original(ref)))


def _rank_two(original: Callable[..., Any], rank: Any, k: int) -> Any:
    return original(rank, k + 1)


def _last_caption(rank: Any, query_index: Any) -> Any:
    starts = np.flatnonzero(np.diff(query_index, prepend=query_index[0] - 1))
    return np.maximum.reduceat(rank, starts)


def _sorted_names(original: Callable[..., Any], prompts: ClassPrompts) -> Any:
    return original(replace(prompts, names=sorted(prompts.names)))


def _bare_names(original: Callable[..., Any], prompts: ClassPrompts) -> Any:
    return original(replace(prompts, templates=["{}"] * len(prompts.templates)))


def _jpeg(quality: int) -> Patch:
    """The pictures as another encoder would have written them."""

    def again(picture: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, format="JPEG", quality=quality)
        with Image.open(buffer) as image:
            same: Image.Image = image.convert("RGB")
        return same

    return _pictures(again)


def _noise(picture: Image.Image) -> Image.Image:
    """One grey level up or down in a tenth of the values: more than decoders of JPEG differ."""
    values = np.array(picture).astype(np.int16)
    rng = np.random.default_rng(values.size)
    values += rng.choice([-1, 0, 1], values.shape, p=[0.05, 0.9, 0.05]).astype(np.int16)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


@contextlib.contextmanager
def _no_change() -> Iterator[None]:
    yield


HARMLESS = (
    Breakage("again", "nothing, but every text and picture in batches of another composition", _no_change),
    Breakage("batch", "5 pictures per batch", _settings(batch_size=5), texts=True),
    Breakage("noise", "one grey level up or down in a tenth of the values", _pictures(_noise)),
    Breakage("jpeg", f"every picture saved as JPEG once more, at quality {mini_files.QUALITY}", _jpeg(88)),
    Breakage("bf16", "bfloat16 activations", _settings(precision="bf16"), texts=True),
)
"""What may differ from machine to machine, or more than that."""

BREAKAGES = (
    # Texts
    Breakage("lowercase", "texts not lower-cased", _text(lowercase=False), ("fg-ovd", "coco"), texts=True),
    Breakage("short-for-box", "region texts through the path for short texts", _kind("box", "short"), texts=True),
    Breakage("box-for-short", "short texts through the path for region texts", _kind("short", "box"), texts=True),
    Breakage("short-for-long", "long texts through the path for short texts", _kind("long", "short"), LONG, texts=True),
    Breakage("no-templates", "class names without templates", _wrapped(ClassPrompts, "strings", _bare_names)),
    Breakage("sorted-names", "class names in alphabetical order", _wrapped(ClassPrompts, "strings", _sorted_names)),
    Breakage(
        "mean-raw",
        "template vectors not normalised before the mean",
        _wrapped(features, "prototypes", _unnormalised_mean),
    ),
    # Pictures
    Breakage("bgr", "red and blue exchanged", _pictures(_bgr), ("fg-ovd", "boxclass-cn", "coco")),
    Breakage("flip", "pictures upside down", _pictures(ImageOps.flip), ("fg-ovd", "coco-box", "coco")),
    Breakage("mirror", "pictures mirrored", _pictures(ImageOps.mirror), ("fg-ovd", "coco-box")),
    Breakage(
        "range",
        "pixels from 0 to 1 in place of -1 to 1",
        _pictures(lambda p: p.point(lambda v: (v + 255) // 2)),
        ("fg-ovd", "coco-box", "coco"),
    ),
    Breakage("half", "pictures scaled to half and back", _pictures(_half), ("fg-ovd",)),
    Breakage("square", "pictures squashed to a square", _wrapped(naflex, "target_size", _square)),
    Breakage(
        "budget-rule", "dynamic budget where 1,024 patches are asked for", _protocol(lambda spec: {"budget": None})
    ),
    Breakage("budget-128", "128 patches for every picture", _protocol(lambda spec: {"budget": 128})),
    Breakage(
        "dealt",
        "vectors of pictures and regions in another order",
        dealt(0),
        ("fg-ovd", "coco-box", "coco"),
    ),
    # Regions
    Breakage("crop", "crops in place of regions of the dense map", _wrapped(evaluation, "start", _crops)),
    Breakage(
        "whole", "the whole picture in place of each region", _corners(_whole), ("fg-ovd", "coco-box", "lvis-minival")
    ),
    Breakage(
        "frame",
        "boxes in the frame of a picture 1.25 times as large",
        _corners(lambda c, rows, columns: c * 1.25),
        ("fg-ovd", "coco-box", "lvis-minival"),
    ),
    Breakage("xyxy", "corners of boxes taken for x, y, w, h", _corners(_xywh_as_xyxy), ("fg-ovd", "coco-box")),
    Breakage("axes", "x and y of boxes exchanged", _corners(_swapped), ("fg-ovd", "coco-box", "lvis-minival")),
    Breakage("half-cell", "regions moved by half a cell (not aligned)", _corners(lambda c, rows, columns: c + 0.5)),
    # Labels
    Breakage(
        "class-off", "class ids off by one", _wrapped(labelled, "target_ranks", _shifted), ("coco-box", "boxclass-cn")
    ),
    Breakage(
        "class-shuffled",
        "labels shuffled among the items",
        _wrapped(labelled, "target_ranks", _shuffled),
        ("coco-box", "boxclass-cn"),
    ),
    Breakage(
        "candidate-off",
        "the second candidate taken for the right one",
        _wrapped(fine_grained, "choose", _second_is_right),
        ("fg-ovd",),
    ),
    Breakage(
        "caption-off",
        "captions assigned to the neighbouring picture",
        _wrapped(retrieval.Retrieval, "score", _next_caption),
        ("coco",),
    ),
    Breakage(
        "category-off",
        "categories of proposals off by one",
        _property(rescoring.Candidates, "category", _next_category),
        ("lvis-minival",),
    ),
    # Segmentation
    Breakage("ignored", "pixels that are not scored counted as class 0", _labels(_scored_too), ("voc-20",)),
    Breakage("label-off", "labels shifted by one class", _labels(_one_lower), ("voc-20", "voc-21")),
    Breakage(
        "colours",
        "red and blue of coded labels exchanged",
        _wrapped(label_sources, "object_ids", lambda original, rgb: original(rgb[..., ::-1])),
        ("ade20k-847",),
        only=("ade20k-847",),
    ),
    Breakage("map-flip", "label maps upside down", _maps(lambda labels: labels[::-1]), ("voc-20", "voc-21")),
    Breakage(
        "no-fold",
        "prompts of the background not folded",
        lambda: mock.patch.object(segmentation, "FOLDS", {"pas20b": np.arange(65_536, dtype=np.uint16)}),
        (),
    ),
    Breakage("nearest", "scores enlarged by nearest neighbour", _wrapped(label_maps, "upsample", _nearest)),
    Breakage("corners", "scores enlarged with aligned corners", _wrapped(label_maps, "upsample", _aligned_corners)),
    # Metrics
    Breakage(
        "norm", "vectors not normalised", lambda: mock.patch.object(features, "normalise", lambda vectors: vectors)
    ),
    Breakage(
        "prototype-norm",
        "class prototypes of unequal length",
        _wrapped(features, "prototypes", _raw_prototypes),
        ("coco-box",),
    ),
    Breakage("rank", "rank 2 counted as a hit at 1", _wrapped(labelled, "recall_at", _rank_two), ("coco-box",)),
    Breakage(
        "all-captions",
        "a picture is a hit only with its last caption",
        lambda: mock.patch.object(retrieval, "best_per_query", _last_caption),
        ("coco",),
    ),
    Breakage("ties", "ties lost, not won (ranks)", _wrapped(ranks, "_count", _ties_lose)),
    Breakage("ties-choice", "ties lost, not won (choices)", _wrapped(fine_grained, "choose", _strict_choice)),
    Breakage(
        "unconverted",
        "corners of proposals taken for x, y, w, h",
        _property(rescoring.Candidates, "boxes", _unconverted),
        ("lvis-minival",),
    ),
    Breakage(
        "cosine-off",
        "cosines assigned to the next proposal",
        _wrapped(features, "_region_scores", _next_cosine),
        ("lvis-minival",),
    ),
    # Chat models
    Breakage(
        "chat-frame",
        "chat: prompts without the chat frame",
        _wrapped(lmm_frames.Frame, "parts", _other_frame),
        chat=True,
        encoder=False,
    ),
    Breakage(
        "chat-prompt",
        "chat: questions without options and instruction",
        _wrapped(lmm, "prompts", _bare_question),
        chat=True,
        encoder=False,
    ),
    Breakage(
        "chat-picture",
        "chat: questions asked about another picture",
        _wrapped(lmm, "prompts", _next_picture),
        chat=True,
        encoder=False,
    ),
    Breakage("chat-bgr", "chat: red and blue exchanged", _chat_pictures(_bgr), chat=True, encoder=False),
    Breakage("chat-flip", "chat: pictures upside down", _chat_pictures(ImageOps.flip), chat=True, encoder=False),
    Breakage(
        "chat-short",
        "chat: answers cut after one token",
        _wrapped(lmm, "prompts", _one_token),
        chat=True,
        encoder=False,
    ),
    Breakage(
        "answer-off",
        "chat: answers compared with the next question's",
        _wrapped(lmm.LargeMultimodal, "score", _next_reply),
        chat=True,
        encoder=False,
    ),
)
