"""The words of the miniature world, in English and Chinese: kinds of things, their attributes, the ground they lie on.

Order matters: it is the order of labels and of classes. Append, never insert.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LanguageCode = Literal["en", "zh"]
Colour3 = tuple[int, int, int]


@dataclass(frozen=True)
class Word:
    """One notion in two languages.

    Attributes:
        en: English, singular, lower case.
        zh: Chinese.
        aliases: other English names under which vocabularies of public datasets list the same thing.
        aliases_zh: likewise in Chinese.
    """

    en: str
    zh: str
    aliases: tuple[str, ...] = ()
    aliases_zh: tuple[str, ...] = ()

    def names(self, language: LanguageCode) -> tuple[str, ...]:
        """The word, then its aliases."""
        return (self.en, *self.aliases) if language == "en" else (self.zh, *self.aliases_zh)


SHAPES: dict[str, Word] = {
    "circle": Word("circle", "圆形"),
    "square": Word("square", "正方形"),
    "triangle": Word("triangle", "三角形"),
    "star": Word("star", "五角星"),
    "cross": Word("cross", "十字"),
    "ring": Word("ring", "圆环"),
    "heart": Word("heart", "爱心"),
    "diamond": Word("diamond", "菱形"),
    "hexagon": Word("hexagon", "六边形"),
    "crescent": Word("crescent", "月牙"),
    "arrow": Word("arrow", "箭头"),
    "drop": Word("drop", "水滴"),
}
"""Abstract shapes."""

OBJECTS: dict[str, Word] = {
    "car": Word("car", "汽车", ("sports car",), ("跑车",)),
    "boat": Word("boat", "船", ("sailboat",), ("双桅船",)),
    "bottle": Word("bottle", "瓶子", ("wine bottle",), ("葡萄酒瓶",)),
    "house": Word("house", "房子", ("building",)),
    "tree": Word("tree", "树"),
    "umbrella": Word("umbrella", "雨伞", (), ("伞",)),
    "mushroom": Word("mushroom", "蘑菇"),
    "balloon": Word("balloon", "气球", (), ("热气球",)),
    "person": Word("person", "人"),
    "chair": Word("chair", "椅子", ("folding chair",), ("折叠椅",)),
    "aeroplane": Word("aeroplane", "飞机", ("airplane", "airliner"), ("客机",)),
    "television": Word("television", "电视机", ("tvmonitor", "television receiver"), ("电视",)),
    "envelope": Word("envelope", "信封"),
    "hourglass": Word("hourglass", "沙漏"),
    "tent": Word("tent", "帐篷", (), ("登山帐",)),
    "flag": Word("flag", "旗子", ("flagpole",), ("旗杆",)),
}
"""Things that ImageNet, VOC, ADE20K or COCO have a class for."""

KINDS: dict[str, Word] = {**SHAPES, **OBJECTS}

COLOURS: dict[str, Word] = {
    "red": Word("red", "红色"),
    "orange": Word("orange", "橙色"),
    "yellow": Word("yellow", "黄色"),
    "green": Word("green", "绿色"),
    "blue": Word("blue", "蓝色"),
    "purple": Word("purple", "紫色"),
    "pink": Word("pink", "粉色"),
    "brown": Word("brown", "棕色"),
    "black": Word("black", "黑色"),
    "white": Word("white", "白色"),
    "grey": Word("grey", "灰色"),
}

INKS: dict[str, Colour3] = {
    "red": (208, 32, 38),
    "orange": (240, 130, 28),
    "yellow": (244, 214, 40),
    "green": (36, 140, 56),
    "blue": (36, 76, 205),
    "purple": (128, 44, 165),
    "pink": (242, 140, 190),
    "brown": (118, 72, 36),
    "black": (22, 22, 24),
    "white": (250, 250, 250),
    "grey": (122, 124, 128),
}
"""RGB of each colour."""

TEXTURES: dict[str, Word] = {
    "plain": Word("plain", "纯色"),
    "striped": Word("striped", "条纹"),
    "dotted": Word("dotted", "圆点"),
    "checked": Word("checked", "格子"),
}

SIZES: dict[str, Word] = {"small": Word("small", "小"), "large": Word("large", "大")}

EXTENT: dict[str, float] = {"small": 0.24, "large": 0.4}
"""Side of a thing, as a share of the square root of the picture's area."""

UPPER: dict[str, Word] = {"sky": Word("sky", "天空"), "wall": Word("wall", "墙壁", (), ("墙",))}
LOWER: dict[str, Word] = {
    "grass": Word("grass", "草地"),
    "sand": Word("sand", "沙地"),
    "water": Word("water", "水面", ("sea",), ("水",)),
    "road": Word("road", "道路"),
    "snow": Word("snow", "雪地"),
}
STUFF: dict[str, Word] = {**UPPER, **LOWER}
"""What a scene's upper and lower band are made of."""

PLACES: dict[str, Word] = {
    "left": Word("left", "左边"),
    "right": Word("right", "右边"),
    "top": Word("top", "上方"),
    "bottom": Word("bottom", "下方"),
    "middle": Word("middle", "中间"),
}

RELATIONS: dict[str, Word] = {
    "left": Word("to the left of", "左边"),
    "right": Word("to the right of", "右边"),
    "above": Word("above", "上方"),
    "below": Word("below", "下方"),
}
"""How one thing lies with respect to another."""

LABELS: tuple[str, ...] = (*STUFF, *KINDS)
"""What the numbers of a label map mean, see :func:`fgbench.data.mini.world.render.label_map`."""
