"""Recall both ways, against an implementation that sorts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from fgbench.data.files import DatasetFiles
from fgbench.metrics.ranks import target_ranks
from fgbench.requests import Embeddings, ImageRef, Images, Texts
from fgbench.selection import datasets
from fgbench.task import Scores
from fgbench.tasks.retrieval import Captioned, CaptionFile, Retrieval

Vector = tuple[int, ...]

METRICS = ("i2t_r1", "i2t_r2", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r2", "t2i_r5", "t2i_r10")


@dataclass(frozen=True)
class Case:
    """A retrieval set with its vectors: whole numbers, so that every product is exact and ties are ties.

    Attributes:
        images: vector per picture.
        texts: vectors of the captions of each picture.
        failed: pictures without an embedding.
    """

    images: tuple[Vector, ...]
    texts: tuple[tuple[Vector, ...], ...]
    failed: frozenset[int] = frozenset()

    def scored(self) -> Scores:
        items = [
            Captioned(f"item {number}", ImageRef(f"{number}.jpg"), tuple(map(str, captions)))
            for number, captions in enumerate(self.texts)
        ]
        _, known = datasets().get("coco")
        spec = replace(known, id="made-up", metrics=METRICS)
        task = Retrieval("made-up", "Made up", 1, (spec,), {"made-up": lambda spec, files: CaptionFile(items)})
        loaded = task.load(spec, DatasetFiles(spec, Path("nowhere")), None)
        requests = task.requests(spec, loaded)
        assert isinstance(requests["images"], Images)
        assert isinstance(requests["texts"], Texts)
        assert len(requests["images"].images) == len(self.images)
        texts = [vector for captions in self.texts for vector in captions]
        assert requests["texts"].texts == [str(vector) for vector in texts]
        images = np.array(self.images, dtype=np.float32)
        images[list(self.failed)] = 0
        failed = dict.fromkeys(self.failed, "image_missing")
        features = {"images": Embeddings(images, failed), "texts": Embeddings(np.array(texts, dtype=np.float32))}
        found = task.score(spec, loaded, features)
        assert isinstance(found, Scores)
        return found


def dot(a: Sequence[int], b: Sequence[int]) -> int:
    return sum(x * y for x, y in zip(a, b, strict=True))


def place(scores: Sequence[int], target: int) -> int:
    """Position of the target when sorted by score, equal ones in their order."""
    return sorted(range(len(scores)), key=lambda index: (-scores[index], index)).index(target)


@dataclass(frozen=True)
class Expected:
    """The result, by sorting."""

    i2t: list[int]
    t2i: list[int]
    owners: list[int]
    tied_images: int
    tied_texts: int


def expected(case: Case) -> Expected:
    kept = [number for number in range(len(case.images)) if number not in case.failed]
    images = [case.images[number] for number in kept]
    texts = [(owner, vector) for owner, number in enumerate(kept) for vector in case.texts[number]]
    i2t, t2i = [], []
    tied_images = tied_texts = 0
    for image, vector in enumerate(images):
        scores = [dot(vector, text) for _, text in texts]
        own = [index for index, (owner, _) in enumerate(texts) if owner == image]
        i2t.append(min(place(scores, index) for index in own))
        tied_images += any(scores.count(scores[index]) > 1 for index in own)
    for owner, text in texts:
        scores = [dot(text, image) for image in images]
        t2i.append(place(scores, owner))
        tied_texts += scores.count(scores[owner]) > 1
    return Expected(i2t, t2i, [owner for owner, _ in texts], tied_images, tied_texts)


VECTORS = st.tuples(*[st.integers(-3, 3)] * 3)


@st.composite
def cases(draw: st.DrawFn, captions: tuple[int, int] = (1, 5)) -> Case:
    """Sets with many ties: few different vectors; at least one picture is kept."""
    count = draw(st.integers(1, 9))
    pool = draw(st.lists(VECTORS, min_size=1, max_size=12))
    vector = st.sampled_from(pool)
    sizes = st.integers(*captions)
    images = tuple(draw(vector) for _ in range(count))
    texts = tuple(tuple(draw(vector) for _ in range(draw(sizes))) for _ in range(count))
    kept = draw(st.integers(0, count - 1))
    failed = draw(st.frozensets(st.integers(0, count - 1))) - {kept}
    return Case(images, texts, failed)


def check(case: Case) -> None:
    wanted, found = expected(case), case.scored()
    kept = [number for number in range(len(case.images)) if number not in case.failed]
    assert list(found.outcomes["id"]) == [f"item {number}" for number in kept]
    assert list(found.outcomes["i2t_rank"]) == wanted.i2t
    assert list(found.outcomes["t2i_rank"]) == wanted.t2i
    assert list(found.outcomes["t2i_image"]) == wanted.owners
    assert found.ties == {"i2t": wanted.tied_images, "t2i": wanted.tied_texts}
    assert found.evaluated == len(kept)
    assert found.skipped == ({"image_missing": len(case.failed)} if case.failed else {})
    assert [(each.subset, each.metric) for each in found.scores] == [("*", metric) for metric in METRICS]
    for each in found.scores:
        ranks = wanted.i2t if each.metric.startswith("i2t") else wanted.t2i
        k = int(each.metric.rpartition("_r")[2])
        assert each.n == len(ranks)
        assert each.value == sum(rank < k for rank in ranks) / len(ranks)


@given(cases())
@example(Case(((-1, 0, 0),) * 3, (((-1, 0, 0), (1, 0, 0)), ((1, 0, 0),), ((-1, 0, 0),)), frozenset({1})))
def test_any_set_is_ranked_as_by_sorting(case: Case) -> None:
    """Negative similarities, ties, equal captions, several captions per picture, pictures left out."""
    check(case)


@given(cases((1, 1)))
def test_one_caption_per_picture(case: Case) -> None:
    check(case)


@given(cases((5, 5)))
def test_five_captions_per_picture_follow_the_official_arithmetic(case: Case) -> None:
    """Text t belongs to picture floor(t / 5)."""
    assert [number // 5 for number in range(len(expected(case).owners))] == expected(case).owners
    check(case)


@given(VECTORS, st.lists(VECTORS, min_size=1, max_size=5))
def test_q24_a_set_of_one_picture(image: Vector, texts: list[Vector]) -> None:
    case = Case((image,), (tuple(texts),))
    check(case)
    assert {each.value for each in case.scored().scores} == {1.0}


def test_a_caption_of_two_pictures_is_won_by_the_earlier_one() -> None:
    """As the five captions that COCO-CN has twice."""
    case = Case(((1, 0), (1, 0)), (((1, 0),), ((1, 0),)))
    assert list(case.scored().outcomes["i2t_rank"]) == [0, 1]
    assert list(case.scored().outcomes["t2i_rank"]) == [0, 1]


def test_all_similarities_negative() -> None:
    case = Case(((-1, -1), (-2, 1)), (((1, 0), (2, 1)), ((1, 0),)))
    check(case)
    assert case.scored().outcomes["i2t_rank"][0] == 0


def test_captions_leave_with_their_picture() -> None:
    """The gallery of the others gets smaller: their ranks may improve."""
    case = Case(((1, 0), (0, 1)), (((3, 0), (0, 9)), ((0, 4),)))
    assert list(case.scored().outcomes["i2t_rank"]) == [0, 1]
    without = replace(case, failed=frozenset({0})).scored()
    assert list(without.outcomes["i2t_rank"]) == [0]
    assert without.outcomes["t2i_rank"].shape == (1,)
    assert without.skipped == {"image_missing": 1}


def test_nothing_left_is_no_number() -> None:
    found = Case(((1, 0),), (((1, 0),),), frozenset({0})).scored()
    assert (found.evaluated, found.skipped) == (0, {"image_missing": 1})
    assert all(math.isnan(each.value) for each in found.scores)


def test_q25_the_cosine_is_ranked_where_a_sigmoid_would_saturate() -> None:
    """With scale 100 and bias -10 both logits are above 17: in float32 both probabilities are 1, a tie."""
    cosines = np.array([0.5, 0.6], dtype=np.float32)
    logits = np.float32(100) * cosines - np.float32(10)
    assert len(np.unique(np.float32(1) / (np.float32(1) + np.exp(-logits)))) == 1
    case = Case(((10, 0),), (((5, 0),),))
    assert case.scored().ties["i2t"] == 0
    wrong_first = Case(((0, 10), (10, 0)), (((5, 8),), ((6, 8),)))
    found = wrong_first.scored()
    assert list(found.outcomes["i2t_rank"]) == [0, 0]
    assert found.ties["t2i"] == 0


class Sloppy(np.ndarray[Any, Any]):
    """Products as some libraries make them: equal columns need not give equal sums, the last bit depends on the place.

    (OpenBLAS does so for about one shape in a hundred: the columns at the edge of a block are summed in another order.)
    """

    def __matmul__(self, other: Any) -> Any:
        product = np.asarray(self) @ np.asarray(other)
        product[:, 1::2] = np.nextafter(product[:, 1::2], np.float32(2))
        return product


def test_equal_vectors_tie_whatever_the_library_does() -> None:
    vectors = np.array([[0.6, 0.8], [0.6, 0.8], [0.8, -0.6]], dtype=np.float32)
    index = np.arange(1)
    ranks = target_ranks(vectors[:1].view(Sloppy), vectors, index, index)
    assert (ranks.rank.tolist(), ranks.tied.tolist()) == ([0], [True])
