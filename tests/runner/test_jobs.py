from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.adapter import RegionMode
from fgbench.data.images import Probe
from fgbench.requests import ClassPrompts, ImageRef, Images, Regions, Request, Texts
from fgbench.runner import jobs
from fgbench.runner.jobs import JobBuilder
from fgbench.runner.passes import Address, ImageJob, TextJob, pending

from ..fakes import FakeAdapter

SIZE = (24, 16)


def ref(name: str) -> ImageRef:
    return ImageRef(f"/pictures/{name}.png")


def builder(
    probes: Mapping[ImageRef, Probe | str], *, mode: RegionMode = "roi", adapter: FakeAdapter | None = None
) -> JobBuilder:
    adapter = adapter or FakeAdapter()
    return JobBuilder(adapter.info, adapter.preprocessor, mode, probes)


def probes(*names: str, size: tuple[int, int] = SIZE) -> dict[ImageRef, Probe | str]:
    """Pictures whose content is told by the first letter of their name."""
    return {ref(name): Probe(f"digest of {name[0]}", *size) for name in names}


def regions(
    names: Sequence[str], boxes: Sequence[tuple[float, float, float, float]], budget: int | None = None
) -> Regions:
    """Box i lies in picture i."""
    return Regions([ref(name) for name in names], np.arange(len(names)), np.array(boxes, dtype=np.float64), budget)


BOX = (1.0, 2.0, 10.0, 8.0)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CHUNK_PASSES", 4)
    monkeypatch.setattr(jobs, "CHUNK_TEXTS", 3)


def all_images(made: JobBuilder) -> list[ImageJob]:
    return [job for chunk in made.image_chunks() for job in chunk]


def all_texts(made: JobBuilder) -> list[TextJob]:
    return [job for chunk in made.text_chunks() for job in chunk]


class TestImages:
    def test_a_picture_that_several_datasets_want_is_one_pass(self) -> None:
        made = builder(probes("a", "b"))
        one = made.address(Images([ref("a"), ref("b"), ref("a")]))
        other = made.address(Images([ref("b")]))
        assert one.keys[0] == one.keys[2] != one.keys[1]
        assert other.keys == [one.keys[1]]
        assert [len(job.passes) for job in all_images(made)] == [1, 1]

    def test_equal_content_under_two_paths_is_one_job(self) -> None:
        made = builder(probes("a", "a copy"))
        address = made.address(Images([ref("a"), ref("a copy")]))
        assert address.keys[0] == address.keys[1]
        assert [job.image for job in all_images(made)] == [ref("a")]

    def test_another_budget_is_another_view_and_another_pass(self) -> None:
        made = builder(probes("a"))
        dynamic, fixed = made.address(Images([ref("a")])), made.address(Images([ref("a")], budget=256))
        assert dynamic.keys != fixed.keys
        (job,) = all_images(made)
        assert [each.cut.view for each in job.passes] == ["cells-dynamic", "cells-256"]

    def test_a_picture_that_cannot_be_had_is_a_failed_row(self) -> None:
        made = builder({**probes("a", "b"), ref("gone"): "image_missing", ref("bad"): "image_unreadable"})
        address = made.address(Images([ref("gone"), ref("a"), ref("bad"), ref("b")]))
        assert address.failed == {0: "image_missing", 2: "image_unreadable"}
        assert address.rows.tolist() == [1, 3]
        assert len(address.keys) == 2
        assert address.size == 4

    def test_pictures_of_equal_views_are_neighbours(self) -> None:
        made = builder(probes("a", "b", "c", "d"))
        for name, budget in (("a", 256), ("b", None), ("c", 256), ("d", None)):
            made.address(Images([ref(name)], budget=budget))
        assert [job.passes[0].cut.view for job in all_images(made)] == ["cells-256"] * 2 + ["cells-dynamic"] * 2


class TestRegions:
    def test_boxes_of_a_picture_share_its_pass_with_the_global_embedding(self) -> None:
        made = builder(probes("a"))
        boxes = made.address(regions(["a", "a"], [BOX, (0, 0, 5, 5)]))
        whole = made.address(Images([ref("a")]))
        (job,) = all_images(made)
        (trip,) = job.passes
        assert trip.row_keys() == [*whole.keys, *boxes.keys]
        assert list(trip.regions.values()) == [BOX, (0, 0, 5, 5)]

    def test_equal_boxes_of_two_datasets_are_pooled_once(self) -> None:
        made = builder(probes("a", "b"))
        one, other = made.address(regions(["a"], [BOX])), made.address(regions(["b", "a"], [BOX, BOX]))
        assert one.keys[0] == other.keys[1] != other.keys[0]
        assert sum(len(trip.regions) for job in all_images(made) for trip in job.passes) == 2

    def test_the_global_embedding_is_kept_where_it_costs_nothing(self) -> None:
        """A later run on a retrieval set finds it."""
        made = builder(probes("a"))
        made.address(regions(["a"], [BOX]))
        expected = builder(probes("a")).address(Images([ref("a")])).keys
        assert all_images(made)[0].passes[0].pooled == expected[0]

    def test_a_dense_view_of_its_own_is_a_pass_of_its_own(self) -> None:
        made = builder(probes("a"), adapter=FakeAdapter(own_dense_view=True))
        made.address(regions(["a"], [BOX]))
        assert [(each.cut.view, each.pooled) for each in all_images(made)[0].passes] == [("cells-dynamic-dense", None)]
        made.address(Images([ref("a")]))
        assert [bool(each.pooled) for each in all_images(made)[0].passes] == [False, True]

    def test_crops_are_passes_of_their_own_in_the_view_of_their_size(self) -> None:
        made = builder(probes("a"), mode="crop")
        address = made.address(regions(["a", "a"], [(1.9, 2.9, 5.9, 6.9), (1.1, 2.0, 5.0, 6.5)]))
        assert address.keys[0] == address.keys[1], "equal after cutting to integers"
        whole = made.address(Images([ref("a")]))
        (job,) = all_images(made)
        assert [(each.cut.crop, each.cut.view) for each in job.passes] == [
            ((1, 2, 6, 8), "cells-dynamic"),
            (None, "cells-dynamic"),
        ]
        assert job.row_keys() == [address.keys[0], whole.keys[0]]

    def test_a_crop_of_the_whole_picture_is_not_the_picture(self) -> None:
        """Only by content; the crop path may differ in the last bit, and the user asked for it."""
        made = builder(probes("a"), mode="crop")
        assert made.address(regions(["a"], [(0, 0, 24, 16)])).keys != made.address(Images([ref("a")])).keys

    def test_roi_and_crop_have_different_keys(self) -> None:
        request = regions(["a"], [BOX])
        assert builder(probes("a")).address(request).keys != builder(probes("a"), mode="crop").address(request).keys

    @pytest.mark.parametrize("mode", ["roi", "crop"])
    def test_unusable_boxes_are_failed_rows_and_no_work(self, mode: RegionMode) -> None:
        made = builder({**probes("a"), ref("gone"): "image_missing"}, mode=mode)
        boxes = [(0.0, 0.0, 0.0, 5.0), (24.0, 0.0, 5.0, 5.0), BOX, (0.0, 0.0, float("nan"), 5.0), BOX]
        request = regions(["a", "a", "gone", "a", "a"], boxes)
        address = made.address(request)
        assert address.failed == {0: "degenerate_box", 1: "box_outside_image", 2: "image_missing", 3: "degenerate_box"}
        assert address.rows.tolist() == [4]
        assert address.size == 5
        assert len(all_images(made)) == 1

    def test_a_picture_with_unusable_boxes_only_is_not_encoded(self) -> None:
        made = builder(probes("a"))
        made.address(regions(["a"], [(0, 0, 0, 0)]))
        assert all_images(made) == []

    def test_boxes_are_judged_by_the_size_of_the_file(self) -> None:
        assert builder(probes("a", size=(5, 5))).address(regions(["a"], [(6, 0, 2, 2)])).failed == {
            0: "box_outside_image"
        }


class TestTexts:
    def test_equal_texts_of_one_path_are_encoded_once(self) -> None:
        """The fake answers short and box with one path, long with another."""
        made = builder({})
        short = made.address(Texts(["a cat", "a dog", "a cat"], "short"))
        box, long = made.address(Texts(["a cat"], "box")), made.address(Texts(["a cat"], "long"))
        assert short.keys[0] == short.keys[2] == box.keys[0]
        assert long.keys[0] not in short.keys
        assert sorted((job.text, job.kind) for job in all_texts(made)) == [
            ("a cat", "long"), ("a cat", "short"), ("a dog", "short")
        ]  # fmt: skip

    def test_texts_are_told_apart_letter_by_letter(self) -> None:
        texts = ["a cat", "A cat", "a cat ", "a\u00a0cat", "", "\n", "图", "a\0cat"]
        assert len(set(builder({}).address(Texts(texts, "short")).keys)) == len(texts)

    def test_prompts_share_texts_with_captions(self) -> None:
        made = builder({})
        prompts = made.address(ClassPrompts(["cat", "dog"], ["a {}", "the {}"], "box"))
        caption = made.address(Texts(["the cat"], "short"))
        assert prompts.rows.tolist() == [0, 0, 1, 1]
        assert prompts.size == 2
        assert caption.keys == [prompts.keys[1]]
        assert len(all_texts(made)) == 4

    def test_a_chunk_holds_texts_of_one_path_by_length(self, small_chunks: None) -> None:
        made = builder({})
        made.address(Texts(["x" * length for length in (9, 2, 7, 4, 1)], "long"))
        made.address(Texts(["图图图", "abc", "abcdefgh"], "short"))
        chunks = made.text_chunks()
        assert [[len(job.text.encode()) for job in chunk] for chunk in chunks] == [[1, 2, 4], [7, 9], [3, 8, 9]]
        assert [{job.kind for job in chunk} for chunk in chunks] == [{"long"}, {"long"}, {"short"}]

    def test_a_text_that_is_no_unicode_does_not_stop_the_plan(self) -> None:
        made = builder({})
        made.address(Texts(["\ud800"], "short"))
        assert len(all_texts(made)) == 1


class TestChunks:
    def requests(self) -> list[Request]:
        names = [chr(ord("a") + number) for number in range(9)]
        return [Images([ref(name) for name in names]), regions(names[:5], [BOX] * 5, budget=256), Texts(names, "short")]

    def built(self) -> JobBuilder:
        made = builder(probes(*(chr(ord("a") + number) for number in range(9))))
        for request in self.requests():
            made.address(request)
        return made

    def test_every_pass_is_in_exactly_one_chunk(self, small_chunks: None) -> None:
        made = self.built()
        keys = [key for job in all_images(made) for key in job.row_keys()]
        assert len(keys) == len(set(keys)) == 9 + 5 + 5
        assert all(sum(len(job.passes) for job in chunk) <= 5 for chunk in made.image_chunks())
        assert len(made.image_chunks()) > 2

    def test_the_same_plan_gives_the_same_chunks(self, small_chunks: None) -> None:
        one, other = self.built(), self.built()
        assert one.image_chunks() == other.image_chunks()
        assert one.text_chunks() == other.text_chunks()

    def test_no_requests_are_no_work(self) -> None:
        assert builder({}).image_chunks() == []
        assert builder({}).text_chunks() == []

    @given(st.sets(st.integers(0, 18)))
    def test_what_is_pending_is_what_is_missing(self, missing: set[int]) -> None:
        chunk = all_images(self.built())
        keys = [key for job in chunk for key in job.row_keys()]
        wanted = [keys[number] for number in sorted(missing)]
        found = pending(chunk, wanted)
        assert sorted(key for job in found for key in job.row_keys()) == sorted(wanted)
        assert all(job.passes for job in found)
        boxes = {key: box for job in chunk for trip in job.passes for key, box in trip.regions.items()}
        assert all(trip.regions[key] == boxes[key] for job in found for trip in job.passes for key in trip.regions)

    def test_an_address_has_a_place_for_every_row(self) -> None:
        made = builder({**probes("a"), ref("gone"): "image_missing"})
        found: Address = made.address(Images([ref("gone"), ref("a"), ref("a")]))
        assert sorted([*found.rows.tolist(), *found.failed]) == list(range(found.size))
