"""The words of the page, in English and Chinese."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple


class Words(NamedTuple):
    """The same in two languages."""

    en: str
    zh: str


@lru_cache
def _table() -> dict[str, Words]:
    text = files("fgbench.report.page").joinpath("templates").joinpath("words.json").read_text(encoding="utf-8")
    return {key: Words(*pair) for key, pair in json.loads(text).items()}


def words(key: str) -> Words:
    """The words for a key of ``templates/words.json``.

    Raises:
        KeyError: there is no such key.
    """
    return _table()[key]


_METRICS = {
    "top1": Words("Top-1", "Top-1"),
    "top5": Words("Top-5", "Top-5"),
    "ap": Words("AP", "AP"),
    "miou": Words("mIoU", "mIoU"),
    "accuracy": Words("Accuracy", "准确率"),
    "vqa_accuracy": Words("VQA accuracy", "VQA 准确率"),
    "acc_iou50": Words("Acc@IoU 0.5", "Acc@IoU 0.5"),
}
_DIRECTIONS = {"i2t": Words("image→text", "图→文"), "t2i": Words("text→image", "文→图")}


def metric(name: str) -> Words:
    """A metric as headings call it; a name that is not known stays as it is."""
    direction, _, k = name.partition("_r")
    if direction in _DIRECTIONS and k.isdigit():
        en, zh = _DIRECTIONS[direction]
        return Words(f"{en} R@{k}", f"{zh} R@{k}")
    if name in ("apr", "apc", "apf"):
        return Words(f"AP{name[-1]}", f"AP{name[-1]}")
    return _METRICS.get(name, Words(name, name))
