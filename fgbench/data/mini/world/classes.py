"""Lists of classes: what a thing of the world is called in a list of names, and which one it is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from fgbench.data.mini.world.captions import GRAMMARS
from fgbench.data.mini.world.phrases import Phrase
from fgbench.data.mini.world.scenes import Scene, Thing
from fgbench.data.mini.world.vocabulary import COLOURS, KINDS, OBJECTS, SHAPES, TEXTURES, LanguageCode


@dataclass(frozen=True)
class Classes:
    """A list of classes, of which exactly one holds for every thing.

    Attributes:
        phrases: what each class says of a thing.
    """

    phrases: tuple[Phrase, ...]

    def names(self, language: LanguageCode) -> list[str]:
        """One name per class, without an article."""
        return [GRAMMARS[language].noun(phrase) for phrase in self.phrases]

    def label(self, scene: Scene, thing: Thing) -> int:
        """The index of the thing's class."""
        [index] = [i for i, phrase in enumerate(self.phrases) if phrase.holds(scene, thing)]
        return index


KIND_CLASSES = Classes(tuple(Phrase(kind=kind) for kind in KINDS))
"""28 classes as in COCO: kinds."""

TEXTURE_CLASSES = Classes(
    (
        *(Phrase(kind=kind, texture=texture) for kind, texture in product(SHAPES, TEXTURES)),
        *(Phrase(kind=kind) for kind in OBJECTS),
    )
)
"""64 classes as in LVIS: shapes with their texture, and objects."""

COLOUR_CLASSES = Classes(tuple(Phrase(kind=kind, colour=colour) for kind, colour in product(KINDS, COLOURS)))
"""308 classes as in BoxClass-CN: kinds with their colour."""

IMAGENET: dict[str, str] = {
    "car": "sports car",
    "boat": "sailboat",
    "bottle": "wine bottle",
    "umbrella": "umbrella",
    "mushroom": "mushroom",
    "balloon": "balloon",
    "aeroplane": "airliner",
    "television": "television",
    "envelope": "envelope",
    "hourglass": "hourglass",
    "tent": "tent",
    "chair": "folding chair",
    "flag": "flagpole",
}
"""Kinds that ImageNet has a class for: the English name in its list of a thousand."""

VOC: dict[str, str] = {
    "aeroplane": "aeroplane",
    "boat": "boat",
    "bottle": "bottle",
    "car": "car",
    "chair": "chair",
    "person": "person",
    "television": "tvmonitor",
}
"""Kinds among the 20 classes of PASCAL VOC."""

PASCAL_CONTEXT: dict[str, str] = VOC | {
    "tree": "tree",
    "house": "building",
    "sky": "sky",
    "wall": "wall",
    "grass": "grass",
    "water": "water",
    "road": "road",
    "snow": "snow",
}
"""Kinds and stuff among the 59 classes of PASCAL Context."""

PASCAL_CONTEXT_459: dict[str, str] = PASCAL_CONTEXT | {
    name: name for name in ("balloon", "envelope", "flag", "sand", "tent", "umbrella")
}
"""Kinds and stuff among its 459 classes."""

ADE20K: dict[str, str] = {
    **{name: name for name in ("wall", "sky", "tree", "road", "grass", "person", "chair", "car", "water", "house")},
    **{name: name for name in ("sand", "boat", "bottle", "tent", "flag")},
    "aeroplane": "airplane",
    "television": "television receiver",
}
"""Kinds and stuff among the 150 classes of ADE20K; in its 847 classes they are the first synonyms."""
