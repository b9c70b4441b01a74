"""Phrases: what can be said of a thing, free of any language, and therefore checkable against a scene."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

from fgbench.data.mini.world.scenes import Scene, Thing

ATTRIBUTES = ("size", "texture", "colour")
"""What negatives change; the kind is the noun and stays."""


@dataclass(frozen=True)
class Phrase:
    """A description; None leaves an attribute unsaid.

    Attributes:
        kind, colour, texture, size: keys of the tables in :mod:`vocabulary`.
        place: a key of ``PLACES``.
    """

    kind: str | None = None
    colour: str | None = None
    texture: str | None = None
    size: str | None = None
    place: str | None = None

    @classmethod
    def of(cls, thing: Thing, *attributes: str) -> Phrase:
        """The kind and these attributes of a thing (``kind`` must not be named)."""
        return cls(kind=thing.kind, **{name: getattr(thing, name) for name in attributes})

    @classmethod
    def full(cls, thing: Thing) -> Phrase:
        """Everything but the place."""
        return cls.of(thing, *ATTRIBUTES)

    def but(self, **changed: str | None) -> Phrase:
        """The phrase with some attributes changed."""
        return replace(self, **changed)

    def holds(self, scene: Scene, thing: Thing) -> bool:
        """Is it true of this thing?"""
        for name in ("kind", *ATTRIBUTES):
            said = getattr(self, name)
            if said is not None and said != getattr(thing, name):
                return False
        across, down = scene.place(thing)
        if self.place is None:
            return True
        return (across, down) == ("middle", "middle") if self.place == "middle" else self.place in (across, down)

    def matches(self, scene: Scene) -> list[Thing]:
        """All things of the scene of which it is true."""
        return [thing for thing in scene.things if self.holds(scene, thing)]


def referring(scene: Scene, thing: Thing) -> list[Phrase]:
    """Phrases that hold for this thing only: the shortest ones first, then those with a place."""
    across, down = scene.place(thing)
    places = [place for place in (across, down) if place != "middle"] or ["middle"]
    found = []
    for place in (None, *places):
        for length in range(len(ATTRIBUTES) + 1):
            for said in combinations(ATTRIBUTES, length):
                phrase = Phrase.of(thing, *said).but(place=place)
                if phrase.matches(scene) == [thing]:
                    found.append(phrase)
    return found


def unique_without(scene: Scene, thing: Thing, attribute: str) -> Phrase | None:
    """The shortest phrase that means this thing only and does not say ``attribute``; None if there is none."""
    return next((p for p in referring(scene, thing) if getattr(p, attribute) is None), None)
