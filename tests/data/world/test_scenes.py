"""Scenes and pictures: the same everywhere, in any order; what they say is what they show."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest

from fgbench.data.mini.world import KINDS, LABELS, Scene, label_map, mask, relation, render, scene
from fgbench.data.mini.world.figures import FIGURES, outline
from fgbench.data.mini.world.scenes import CANVASES
from fgbench.data.mini.world.vocabulary import (
    COLOURS,
    EXTENT,
    INKS,
    LOWER,
    OBJECTS,
    PLACES,
    RELATIONS,
    SHAPES,
    SIZES,
    STUFF,
    TEXTURES,
    UPPER,
)

NUMBERS = range(150)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [scene("evaluation", number) for number in NUMBERS]


def pixels(made: Scene) -> str:
    return hashlib.sha256(render(made).tobytes() + label_map(made).tobytes()).hexdigest()


def test_any_order_gives_the_same_scenes_and_pixels(scenes: list[Scene]) -> None:
    assert [scene("evaluation", number) for number in reversed(NUMBERS)] == scenes[::-1]
    assert [pixels(made) for made in scenes[:20]] == [pixels(scene("evaluation", made.number)) for made in scenes[:20]]


def test_another_process_gives_the_same_pixels(scenes: list[Scene]) -> None:
    code = (
        "from fgbench.data.mini.world import *; import hashlib\n"
        "made = [scene('evaluation', n) for n in (7, 3)]\n"
        "print([hashlib.sha256(render(s).tobytes() + label_map(s).tobytes()).hexdigest() for s in made])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "11", "LC_ALL": "C"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert run.stdout.strip() == repr([pixels(scenes[7]), pixels(scenes[3])])


def test_this_version_of_the_world_is_this_one(scenes: list[Scene]) -> None:
    """The shipped models were trained on it: a change of the world calls for new models.

    Descriptions only; the rasteriser belongs to Pillow.
    """
    digest = hashlib.sha256("".join(repr(made) for made in scenes).encode()).hexdigest()
    assert digest[:16] == "77f1ceb6180ac86d"


def test_seeds_and_splits_give_other_scenes(scenes: list[Scene]) -> None:
    assert scene("evaluation", 1, seed=5) != scene("evaluation", 1)
    assert scene("train", 1).things != scene("evaluation", 1).things


def test_splits_share_no_description() -> None:
    train = {scene("train", number, count=(1, 2)).key for number in range(3000)}
    held_out = {scene("evaluation", number, count=(1, 2)).key for number in range(1000)}
    assert len(train) > 1000, "scenes differ"
    assert not train & held_out


def test_a_key_does_not_depend_on_where_things_are(scenes: list[Scene]) -> None:
    made = scenes[0]
    moved = Scene(made.split, 99, (999, 999), made.upper, made.lower, 5, made.things[::-1])
    assert moved.key == made.key
    other = Scene(made.split, made.number, made.canvas, made.upper, made.lower, made.horizon, made.things[:1])
    assert other.key != made.key


def test_masks_fill_their_boxes_and_lie_apart(scenes: list[Scene]) -> None:
    for made in scenes[:60]:
        total = np.zeros(made.canvas[::-1], dtype=int)
        for thing in made.things:
            cover = mask(made, thing)
            rows, columns = np.nonzero(cover)
            x, y, width, height = thing.box
            assert (columns.min(), rows.min()) == (x, y)
            assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == (width, height)
            assert 0 <= x < x + width <= made.canvas[0]
            assert 0 <= y < y + height <= made.canvas[1]
            total += cover
        assert total.max() == 1, "no two things share a pixel"


def test_label_maps_agree_with_masks_and_bands(scenes: list[Scene]) -> None:
    for made in scenes[:60]:
        labels = label_map(made)
        assert labels.shape == made.canvas[::-1]
        anything = np.zeros(labels.shape, dtype=bool)
        for thing in made.things:
            cover = mask(made, thing)
            assert set(labels[cover]) == {LABELS.index(thing.kind)}
            anything |= cover
        ground = np.where(np.arange(len(labels))[:, None] < made.horizon, made.upper, made.lower)
        expected = np.vectorize(LABELS.index)(np.broadcast_to(ground, labels.shape))
        assert (labels == expected)[~anything].all()


def test_plain_things_have_their_colour(scenes: list[Scene]) -> None:
    seen = 0
    for made in scenes:
        image = np.asarray(render(made))
        for thing in made.things:
            if thing.texture == "plain":
                inside = image[mask(made, thing)]
                share = (inside == INKS[thing.colour]).all(axis=1).mean()
                assert share > 0.2, (thing, "the rest is its darker edge")
                seen += 1
    assert seen > 50


def test_textures_show_a_second_colour(scenes: list[Scene]) -> None:
    """Apart from the darker edge, whose pixels are mixed with what lies behind: so only shapes with a wide inside."""
    for made in scenes:
        image = np.asarray(render(made))
        for thing in (each for each in made.things if each.kind in SHAPES and each.size == "large"):
            inside = image[mask(made, thing)]
            colours, counts = np.unique(inside, axis=0, return_counts=True)
            share = dict(zip(map(tuple, colours.tolist()), counts / len(inside), strict=True))
            assert share.pop(INKS[thing.colour]) > 0.05
            share.pop(tuple(round(value * 0.45) for value in INKS[thing.colour]), None)
            assert (max(share.values(), default=0) > 0.08) == (thing.texture != "plain"), thing


def test_the_world_uses_all_its_words() -> None:
    made = [scene("evaluation", number) for number in range(500)]
    things = [thing for each in made for thing in each.things]
    assert {thing.kind for thing in things} == set(KINDS)
    assert {thing.colour for thing in things} == set(COLOURS)
    assert {thing.texture for thing in things} == set(TEXTURES)
    assert {thing.size for thing in things} == set(SIZES)
    assert {each.upper for each in made} == set(UPPER)
    assert {each.lower for each in made} == set(LOWER)
    assert {each.canvas for each in made} == set(CANVASES)
    assert {len(each.things) for each in made} == {2, 3, 4, 5}


def test_large_things_are_larger(scenes: list[Scene]) -> None:
    for made in scenes:
        for thing in made.things:
            share = thing.side / (made.canvas[0] * made.canvas[1]) ** 0.5
            assert share == pytest.approx(EXTENT[thing.size], rel=0.1)


def test_a_portrait_shows_one_thing_of_the_wanted_kind() -> None:
    for number in range(30):
        [thing] = scene("evaluation", number, count=(1, 1), kinds=("mushroom", "tent")).things
        assert thing.kind in ("mushroom", "tent")


def test_the_outlines_differ() -> None:
    shapes = {kind: np.asarray(outline(kind, 48)) >= 128 for kind in FIGURES}
    for one, other in combinations(shapes, 2):
        union = (shapes[one] | shapes[other]).sum()
        assert (shapes[one] & shapes[other]).sum() / union < 0.9, (one, other)


def test_relations_are_opposite_both_ways(scenes: list[Scene]) -> None:
    opposite = {"left": "right", "right": "left", "above": "below", "below": "above", None: None}
    seen = set()
    for made in scenes:
        for one, other in combinations(made.things, 2):
            how = relation(one, other)
            assert relation(other, one) == opposite[how]
            seen.add(how)
            if how == "left":
                assert one.box[0] + one.box[2] <= other.box[0]
            if how == "above":
                assert one.box[1] + one.box[3] <= other.box[1]
    assert seen == set(opposite)


def test_words_are_complete_and_unambiguous() -> None:
    for table in (KINDS, COLOURS, TEXTURES, SIZES, STUFF, PLACES, RELATIONS):
        for language in ("en", "zh"):
            names = [name for word in table.values() for name in word.names(language)]
            repeated = {name for name in names if names.count(name) > 1}
            assert repeated <= {"左边", "右边", "上方", "下方"}
    assert len(SHAPES) >= 8
    assert len(COLOURS) >= 8
    assert len(OBJECTS) == 16
    assert set(FIGURES) == set(KINDS)
    assert (*STUFF, *KINDS) == LABELS
