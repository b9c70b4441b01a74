"""Pictures and texts for the checks: generated, small, the same every time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = ((160, 120), (120, 160), (144, 144), (60, 180), (97, 61))
"""Width and height of pictures of different form. Small: a variable-resolution model spends its smallest budget."""

EXTREME_SIZES = ((1, 1), (3000, 10), (10, 3000), (1, 40), (224, 224))

TEXTS = (
    "a dog",
    "two small red boats on a lake at dawn",
    "A black cat sleeps on a grey sofa.",
    "one",
    "a photo of a street with three bicycles, a yellow taxi and a man who carries a green umbrella",
)

WORDS = ("red", "dog", "tree", "house", "boat", "green", "cloud", "table", "white", "bird", "street", "lamp")

SPECIALS = (
    *("<|endoftext|>", "<|startoftext|>", "<end_of_text>", "<start_of_text>", "</s>", "<s>", "<eos>", "<bos>"),
    *("<pad>", "<unk>", "<mask>", "[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"),
)

ODD_TEXTS = (
    *("", " ", "\n", "a\nb", "x" * 500, "1,234.5 %", "{}", "&lt;b&gt;", "\u200b", "naïve café", "e\u0301"),
    *("😀🐕", "👩‍🚀", "العربية", "日本語", "ﬁ", "İ", "\ufffd"),
)

CHINESE = (("一只红狗", "三辆蓝车"), ("桌上有苹果", "海边看日落"), ("黑色的圆形", "白色的方块"))
"""Pairs of equal length: a tokeniser that knows no Chinese turns both texts into equally many unknown tokens."""


def picture(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """An RGB picture of ``size`` (width, height): a few large areas of colour with grain on them."""
    width, height = size
    numbers = np.random.default_rng(seed)
    coarse = Image.fromarray(numbers.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = numbers.integers(-20, 21, (height, width, 3))
    return Image.fromarray((np.asarray(coarse, dtype=np.int64) + grain).clip(0, 255).astype(np.uint8))


def pictures() -> list[Image.Image]:
    """One picture of each of ``SIZES``."""
    return [picture(size, seed) for seed, size in enumerate(SIZES)]


def same_size(count: int = 4) -> list[Image.Image]:
    """Different pictures of one size, and therefore of one view."""
    return [picture(SIZES[0], 100 + seed) for seed in range(count)]


def repainted(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """The picture with the colours of a box (left, top, right, bottom) inverted."""
    changed = image.copy()
    changed.paste(image.crop(box).point(lambda value: 255 - value), box[:2])
    return changed


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Write one picture in every colour mode that datasets have; yields (what it is, file)."""
    rgb = picture(SIZES[0])
    alpha = rgb.convert("RGBA")
    alpha.putalpha(rgb.convert("L"))
    grey = rgb.convert("L")
    grey_alpha = grey.convert("LA")
    grey_alpha.putalpha(grey)
    deep = Image.fromarray(np.asarray(grey, dtype=np.uint16) * 257)
    for name, image, suffix in (
        ("grey", grey, "png"),
        ("palette", rgb.convert("P"), "png"),
        ("RGBA", alpha, "png"),
        ("grey with alpha", grey_alpha, "png"),
        ("1 bit", rgb.convert("1"), "png"),
        ("16 bit", deep, "png"),
        ("CMYK", rgb.convert("CMYK"), "jpg"),
    ):
        path = folder / f"{name.replace(' ', '-')}.{suffix}"
        image.save(path)
        yield name, path


def sentence(count: int, last: str = "") -> str:
    """A text of ``count`` English words, at least one token each; ``last`` replaces the last word."""
    words = [WORDS[number % len(WORDS)] for number in range(count)]
    if last:
        words[-1] = last
    return " ".join(words)
