"""Wrong texts for a region, as in FG-OVD: the more attributes are changed, the easier they are to tell.

Source of the scheme: Bianchi et al., "The devil is in the fine-grained details", CVPR 2024 (arXiv 2311.17518).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from typing import Literal

from fgbench.data.mini.world.phrases import ATTRIBUTES, Phrase
from fgbench.data.mini.world.scenes import Scene, Thing
from fgbench.data.mini.world.vocabulary import COLOURS, SIZES, TEXTURES

Level = Literal["hard", "medium", "easy"]

LEVELS: dict[Level, int] = {"hard": 1, "medium": 2, "easy": 3}
"""How many attributes differ; trivial negatives describe other things."""

_VALUES = {"size": tuple(SIZES), "texture": tuple(TEXTURES), "colour": tuple(COLOURS)}


def changed(scene: Scene, thing: Thing, level: Level, count: int = 10) -> list[Phrase]:
    """Descriptions that differ from the thing in exactly one, two or three attributes; the kind stays.

    None describes another thing of the scene. At most ``count``, all different, in a fixed random order.
    """
    full = Phrase.full(thing)
    found = []
    for names in combinations(ATTRIBUTES, LEVELS[level]):
        others = ([value for value in _VALUES[name] if value != getattr(thing, name)] for name in names)
        found += [full.but(**dict(zip(names, values, strict=True))) for values in product(*others)]
    present = {Phrase.full(other) for other in scene.things}
    found = [phrase for phrase in found if phrase not in present]
    rng = scene.rng(f"negatives {level} {scene.things.index(thing)}")
    return rng.sample(found, min(count, len(found)))


def trivial(scene: Scene, thing: Thing, others: Sequence[Thing], count: int = 10) -> list[Phrase]:
    """Full descriptions of other things, of another kind and from anywhere; none is true of a thing in the scene."""
    present = {Phrase.full(other) for other in scene.things}
    found = list(dict.fromkeys(Phrase.full(other) for other in others if other.kind != thing.kind))
    found = [phrase for phrase in found if phrase not in present]
    rng = scene.rng(f"negatives trivial {scene.things.index(thing)}")
    return rng.sample(found, min(count, len(found)))
