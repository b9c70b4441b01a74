"""Proposals: what they hold, on disk and in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbench.data.proposal_arrays import from_rows, merge
from fgbench.data.proposals import (
    INDEX,
    Proposals,
    best_per_image,
    read_proposals,
    read_shard,
    select,
    write_index,
    write_proposals,
    write_shard,
)
from fgbench.errors import DataError, DataMissingError, UsageError

Row = tuple[int, tuple[float, float, float, float], int, float]


def make(image_ids: list[int], rows: list[Row], **metadata: Any) -> Proposals:
    """Rows are (image id, box, category, score)."""
    return from_rows(
        np.array(image_ids, dtype=np.int64),
        np.array([image_ids.index(row[0]) for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows], dtype=np.float32).reshape(-1, 4),
        np.array([row[2] for row in rows], dtype=np.int64),
        np.array([row[3] for row in rows], dtype=np.float32),
        metadata,
    )


def rows_of(proposals: Proposals) -> list[Row]:
    """The same, back."""
    return [
        (
            int(proposals.image_ids[proposals.box_image[box]]),
            tuple(proposals.box[box].tolist()),
            int(category),
            float(score),
        )
        for box, category, score in zip(
            proposals.det_box, proposals.det_category, proposals.det_score.tolist(), strict=True
        )
    ]


BOXES = [(0.0, 0.0, 4.0, 4.0), (1.0, 0.0, 4.0, 4.0), (1.0, 0.0, 4.0, 5.0), (0.5, 2.0, 3.0, 9.0)]
SCORES = [0.125, 0.25, 0.5, 0.75]
IDS = [2, 3, 5, 7, 11]
some_rows = st.lists(
    st.tuples(st.sampled_from(IDS[:4]), st.sampled_from(BOXES), st.integers(1, 3), st.sampled_from(SCORES)), max_size=25
)


def equal(one: Proposals, two: Proposals) -> bool:
    names = ("image_ids", "box", "box_image", "det_box", "det_category", "det_score")
    return all(
        np.array_equal(getattr(one, n), getattr(two, n)) and getattr(one, n).dtype == getattr(two, n).dtype
        for n in names
    )


@given(some_rows)
def test_unique_boxes_in_order_of_appearance(rows: list[Row]) -> None:
    found = make(IDS, rows)
    boxes = list(dict.fromkeys(sorted([(row[0], row[1]) for row in rows], key=lambda each: each[0])))
    assert [(int(found.image_ids[i]), tuple(b.tolist())) for i, b in zip(found.box_image, found.box, strict=True)] == (
        boxes
    )
    # Stable: the rows of a box are in their order.
    assert rows_of(found) == sorted(rows, key=lambda row: boxes.index((row[0], row[1])))


@given(some_rows, st.sets(st.sampled_from(IDS)))
def test_select_is_a_filter_by_picture(rows: list[Row], wanted: set[int]) -> None:
    found = select(make(IDS, rows), sorted(wanted, reverse=True))
    assert equal(found, make(sorted(wanted), [row for row in rows if row[0] in wanted]))


def test_select_refuses_pictures_that_were_not_processed() -> None:
    with pytest.raises(DataError, match=r"lack 2 of 3 pictures, e\.g\. image 4"):
        select(make(IDS, []), [4, 5, 6])


@given(some_rows, st.integers(1, 6))
def test_best_per_image(rows: list[Row], k: int) -> None:
    found = make(IDS, rows)
    best = best_per_image(found, k)
    expected = []
    for image in IDS:
        of_image = [row for row in rows_of(found) if row[0] == image]
        expected += sorted(of_image, key=lambda row: -row[3])[:k]
    assert sorted(rows_of(best)) == sorted(expected)
    assert sorted(set(best.det_box.tolist())) == list(range(len(best.box)))  # no box without a detection
    assert best.metadata["best_per_image"] == k
    assert best.image_ids.tolist() == IDS


@given(some_rows, st.permutations(IDS), st.integers(1, 4))
def test_merge_puts_shards_together_whatever_their_order(rows: list[Row], order: list[int], parts: int) -> None:
    whole = make(IDS, rows)
    shards = [select(whole, order[start::parts]) for start in range(parts)]
    assert equal(merge(shards, {}, [str(number) for number in range(parts)]), whole)


@settings(max_examples=20)
@given(some_rows)
def test_on_disk_and_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    whole = make(IDS, rows, detector={"name": "x"})
    place = tmp_path_factory.mktemp("p") / "proposals"
    write_proposals(place, whole, images_per_shard=2)
    found = read_proposals(place)
    assert equal(found, whole)
    assert found.metadata == whole.metadata
    assert sorted(path.name for path in place.iterdir()) == [f"0000{n}.safetensors" for n in range(3)] + [INDEX]


ROWS: list[Row] = [(2, BOXES[0], 1, 0.5), (3, BOXES[1], 2, 0.25), (3, BOXES[3], 2, 0.75)]


def test_equal_proposals_give_equal_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write_proposals(tmp_path / name, make([2, 3], ROWS))
    assert (tmp_path / "a/00000.safetensors").read_bytes() == (tmp_path / "b/00000.safetensors").read_bytes()
    assert (tmp_path / "a" / INDEX).read_bytes() == (tmp_path / "b" / INDEX).read_bytes()


def test_a_picture_in_two_shards(tmp_path: Path) -> None:
    """As after a distributed run whose sampler padded the last share."""
    write_shard(tmp_path, "a", make([2, 3], ROWS))
    write_shard(tmp_path, "b", make([3, 5], ROWS[1:]))
    write_index(tmp_path, {})
    found = read_proposals(tmp_path)
    assert equal(found, make([2, 3, 5], ROWS))
    assert found.metadata["repeated_images"] == 1

    write_shard(tmp_path, "b", make([3, 5], [ROWS[1], (3, BOXES[3], 2, 0.5)]))
    with pytest.raises(DataError, match=r"a\.safetensors and b\.safetensors have different detections of image 3"):
        read_proposals(tmp_path)


def test_nothing_there_or_unfinished(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="fgbench detect"):
        read_proposals(tmp_path / "nowhere")
    write_shard(tmp_path, "a", make([2, 3], ROWS))
    with pytest.raises(DataMissingError, match="1 shards of an unfinished run"):
        read_proposals(tmp_path)


def test_other_proposals_are_not_mixed_in(tmp_path: Path) -> None:
    write_proposals(tmp_path, make([2, 3], ROWS))
    with pytest.raises(UsageError, match="already holds proposals"):
        write_proposals(tmp_path, make([2, 3], ROWS))
    write_shard(tmp_path, "more", make([5], []))
    with pytest.raises(DataError, match=r"lists 1 shards, but 2 lie there \(differing: more"):
        read_proposals(tmp_path)
    (tmp_path / "more.safetensors").unlink()
    (tmp_path / "00000.safetensors").unlink()
    with pytest.raises(DataError, match="lists 1 shards, but 0 lie there"):
        read_proposals(tmp_path)


def test_every_damaged_byte_is_found(tmp_path: Path) -> None:
    path = write_shard(tmp_path, "a", make([2, 3], ROWS, plan="x"))
    good = path.read_bytes()
    for position in range(0, len(good), 7):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        with pytest.raises(DataError, match=r"a\.safetensors"):
            read_shard(path)
    for cut in range(0, len(good), 31):
        path.write_bytes(good[:cut])
        with pytest.raises(DataError, match=r"a\.safetensors"):
            read_shard(path)


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": "fgbench.proposals/2", "metadata": {}, "shards": []}'])
def test_hostile_index(tmp_path: Path, content: str) -> None:
    (tmp_path / INDEX).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=INDEX):
        read_proposals(tmp_path)


def test_index_names_no_files_elsewhere(tmp_path: Path) -> None:
    content = {"schema": "fgbench.proposals/1", "metadata": {}, "shards": ["../secret.safetensors"]}
    (tmp_path / INDEX).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match="lists 1 shards, but 0 lie there"):
        read_proposals(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_ids": [3, 2]}, "ascending, each id once"),
        ({"image_ids": [3, 3]}, "ascending, each id once"),
        ({"box_image": [1, 0, 1]}, "box_image should be ascending, from 0 to at most 1"),
        ({"box_image": [0, 1, 2]}, "box_image"),
        ({"det_box": [-1, 0, 1]}, "det_box"),
        ({"det_box": [0, 1]}, r"det_category should be int64 \[2\], found int64 \[3\]"),
        ({"box": [[0, 0, 4, 4], [1, 0, 1, 4], [0, 0, 1, 1]]}, r"box 1 of image 3 is \[1.0, 0.0, 1.0, 4.0\]"),
        ({"box": [[0, 0, 4, 4], [-1, 0, 1, 4], [0, 0, 1, 1]]}, "box 1"),
        ({"box": [[0, 0, 4, np.nan], [0, 0, 1, 4], [0, 0, 1, 1]]}, "box 0"),
        ({"box": [[0, 0, 4, np.inf], [0, 0, 1, 4], [0, 0, 1, 1]]}, "box 0"),
        ({"det_score": [0.5, np.nan, 0.5]}, r"score 1 \(image 3\) is nan"),
    ],
)
def test_contradictions_are_refused(change: dict[str, Any], message: str) -> None:
    good = make([2, 3], ROWS)
    arrays: dict[str, Any] = {name: np.array(value, dtype=getattr(good, name).dtype) for name, value in change.items()}
    with pytest.raises(DataError, match=message):
        replace(good, **arrays)


def test_other_types_are_refused() -> None:
    good = make([2, 3], ROWS)
    with pytest.raises(DataError, match="det_score should be float32"):
        replace(good, det_score=good.det_score.astype(np.float64))
