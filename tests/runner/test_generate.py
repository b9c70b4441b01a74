"""The generation stage: what is asked once is answered once, in chunks that survive a kill."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from fgbench.data.images import Probe, probe
from fgbench.errors import DataError, ModelError, StoreError
from fgbench.generator import TOO_LONG, Generator, GeneratorInfo, Reply
from fgbench.requests import Generate, ImageRef, Prompt, Replies, Texts
from fgbench.runner import generate
from fgbench.runner.engine import Clock
from fgbench.runner.generate import Answerer, PromptJob, PromptJobs, cut_at_stop, gather_replies
from fgbench.runner.generation import GenerationEngine
from fgbench.runner.progress import Silent
from fgbench.runner.store import AnswerStore

from ..fakes import CPU, save_picture, save_pictures


class Parrot:
    """Repeats what it is told and the sizes of the pictures; as many letters as it may.

    Attributes:
        batches: the texts of every batch that was answered.
        memory: more prompts than this in one batch raise an out-of-memory error.
    """

    def __init__(self, memory: int | None = None) -> None:
        self.info = GeneratorInfo("parrot", "fake", "made for tests", "none", "none")
        self.module: nn.Module = nn.Identity()
        self.batches: list[list[str]] = []
        self.shapes: set[tuple[int, ...]] = set()
        self.memory = memory

    def generate(self, texts: Sequence[str], images: Sequence[Sequence[Image.Image]], max_tokens: int) -> list[Reply]:
        assert torch.is_inference_mode_enabled()
        if self.memory is not None and len(texts) > self.memory:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        (pictures,) = {len(each) for each in images}
        self.shapes.add((pictures, max_tokens))
        self.batches.append(list(texts))
        return [self._reply(text, own, max_tokens) for text, own in zip(texts, images, strict=True)]

    def _reply(self, text: str, images: Sequence[Image.Image], max_tokens: int) -> Reply:
        if text == "endless":
            return Reply("", 0, problem=TOO_LONG)
        full = " ".join([text, *(f"{image.width}x{image.height} {image.getpixel((0, 0))}" for image in images)])
        return Reply(full[:max_tokens], min(len(full) + 1, max_tokens), len(full) >= max_tokens)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "CHUNK_PROMPTS", 6)


def probes(requests: Sequence[Generate]) -> dict[ImageRef, Probe | str]:
    found: dict[ImageRef, Probe | str] = {}
    for request in requests:
        for prompt in request.prompts:
            for ref in prompt.images:
                try:
                    found[ref] = probe(ref)
                except DataError:
                    found[ref] = "image_unreadable"
    return found


def run(
    store: AnswerStore, requests: Sequence[Generate], parrot: Parrot | None = None, batch_size: int = 4
) -> tuple[list[Replies], Answerer]:
    jobs = PromptJobs(probes(requests))
    addresses = [jobs.address(request) for request in requests]
    answerer = Answerer(parrot or Parrot(), CPU, "fp32", batch_size, store)
    answerer.answer(jobs.chunks())
    return [gather_replies(address, store).replies for address in addresses], answerer


def mixed(folder: Path) -> Generate:
    """Prompts with none, one and two pictures, of different lengths and limits."""
    pictures = save_pictures(folder, 4)
    return Generate(
        [
            Prompt("?" * (1 + 3 * n % 7) + str(n), tuple(pictures[: n % 3]), max_tokens=(40, 128)[n % 2])
            for n in range(20)
        ]
    )


def expected(request: Generate) -> list[str]:
    parrot = Parrot()
    found = []
    for prompt in request.prompts:
        images = [Image.open(ref.path).convert("RGB") for ref in prompt.images]
        found.append(parrot._reply(prompt.text, images, prompt.max_tokens).text)
    return found


def test_a_parrot_is_a_generator() -> None:
    assert isinstance(Parrot(), Generator)


class TestOnce:
    def test_replies_are_in_the_order_of_the_request(self, tmp_path: Path) -> None:
        request = mixed(tmp_path / "pictures")
        parrot = Parrot()
        (replies,), answerer = run(AnswerStore(tmp_path / "store"), [request], parrot)
        assert replies == Replies(expected(request))
        assert answerer.stats.prompts_answered == len(request.prompts)
        assert parrot.shapes == {(pictures, most) for pictures in range(3) for most in (40, 128)}

    def test_equal_prompts_are_answered_once_whoever_asks(self, tmp_path: Path) -> None:
        one, copy = save_picture(tmp_path / "a.png", 1), save_picture(tmp_path / "b.png", 1)
        parrot = Parrot()
        first = Generate([Prompt("x", (one,)), Prompt("x", (copy,)), Prompt("y")])
        second = Generate([Prompt("y"), Prompt("x", (copy,))])
        (a, b), answerer = run(AnswerStore(tmp_path / "store"), [first, second], parrot)
        assert sorted(itertools.chain(*parrot.batches)) == ["x", "y"]
        assert a.texts[0] == a.texts[1] == b.texts[1] != ""
        assert a.texts[2] == b.texts[0] == "y"
        assert answerer.stats.images_decoded == 1

    def test_whatever_changes_the_answer_makes_another_prompt(self, tmp_path: Path) -> None:
        one, other = save_pictures(tmp_path / "pictures", 2)
        prompts = [
            Prompt("x", (one,)),
            Prompt("x", (other,)),
            Prompt("x", (one, other)),
            Prompt("x", (other, one)),
            Prompt("x"),
            Prompt("x", (one,), max_tokens=5),
            Prompt("x", (one,), stop=("4",)),
            Prompt("x", (one,), stop=("4", "x")),
        ]
        _, answerer = run(AnswerStore(tmp_path / "store"), [Generate(prompts)])
        assert answerer.stats.prompts_answered == len(prompts)

    def test_batches_hold_prompts_of_one_shape_sorted_by_length(self, tmp_path: Path) -> None:
        parrot = Parrot()
        run(AnswerStore(tmp_path), [Generate([Prompt("x" * (1 + n * 7 % 12)) for n in range(12)])], parrot)
        lengths = [[len(text) for text in batch] for batch in parrot.batches]
        assert lengths == [[1, 2, 3, 4], [5, 6], [7, 8, 9, 10], [11, 12]]

    def test_a_picture_shared_by_a_batch_is_decoded_once(self, tmp_path: Path) -> None:
        picture = save_picture(tmp_path / "a.png")
        request = Generate([Prompt(str(n), (picture,)) for n in range(4)])
        _, answerer = run(AnswerStore(tmp_path / "store"), [request])
        assert answerer.stats.images_decoded == 1


class TestResume:
    def test_nothing_is_answered_twice(self, tmp_path: Path) -> None:
        request, folder = mixed(tmp_path / "pictures"), tmp_path / "store"
        (first,), _ = run(AnswerStore(folder), [request])
        parrot = Parrot()
        (again,), answerer = run(AnswerStore(folder), [request], parrot)
        assert parrot.batches == []
        assert again == first
        assert answerer.stats.replies_reused == len(request.prompts)

    def test_after_a_kill_only_the_missing_chunks_are_repeated_with_the_same_batches(self, tmp_path: Path) -> None:
        request, folder = mixed(tmp_path / "pictures"), tmp_path / "store"
        whole = Parrot()
        (undisturbed,), _ = run(AnswerStore(tmp_path / "other"), [request], whole)

        class Killed(Parrot):
            def generate(
                self, texts: Sequence[str], images: Sequence[Sequence[Image.Image]], max_tokens: int
            ) -> list[Reply]:
                if len(self.batches) == 5:
                    raise KeyboardInterrupt
                return super().generate(texts, images, max_tokens)

        killed = Killed()
        with pytest.raises(KeyboardInterrupt):
            run(AnswerStore(folder), [request], killed)
        stored = len(AnswerStore(folder))
        assert 0 < stored < sum(map(len, killed.batches))
        resumed = Parrot()
        (replies,), _ = run(AnswerStore(folder), [request], resumed)
        assert replies == undisturbed
        assert sum(map(len, resumed.batches)) == len(request.prompts) - stored
        assert resumed.batches == whole.batches[-len(resumed.batches) :]

    def test_a_stored_reply_that_is_none(self, tmp_path: Path) -> None:
        jobs = PromptJobs({})
        address = jobs.address(Generate([Prompt("x")]))
        store = AnswerStore(tmp_path)
        store.write(address.keys, [b"[1]"])
        with pytest.raises(StoreError, match="--fresh"):
            gather_replies(address, store)


class TestPictures:
    def test_one_that_is_missing_or_broken_is_a_reason_and_stops_nothing(self, tmp_path: Path) -> None:
        good = save_picture(tmp_path / "good.png")
        data = (tmp_path / "good.png").read_bytes()
        cut = ImageRef(str(tmp_path / "cut.png"))
        Path(cut.path).write_bytes(data[: len(data) // 2])
        text = ImageRef(str(tmp_path / "text.png"))
        Path(text.path).write_text("no picture", encoding="utf-8")
        request = Generate(
            [
                Prompt("a", (good,)),
                Prompt("b", (cut,)),
                Prompt("c", (good, text)),
                Prompt("d", (good, cut)),
                Prompt("e"),
            ]
        )
        store = AnswerStore(tmp_path / "store")
        (replies,), answerer = run(store, [request])
        assert dict(replies.failed) == {1: "image_unreadable", 2: "image_unreadable", 3: "image_unreadable"}
        assert [bool(text) for text in replies.texts] == [True, False, False, False, True]
        assert list(answerer.broken) == [cut]
        assert "damaged" in answerer.broken[cut]
        # Once it has been repaired, it is answered.
        Path(cut.path).write_bytes(data)
        (replies,), _ = run(store, [request])
        assert dict(replies.failed) == {2: "image_unreadable"}

    def test_the_reason_of_the_probe_is_kept(self) -> None:
        ref = ImageRef("nowhere.png")
        address = PromptJobs({ref: "image_missing"}).address(Generate([Prompt("x", (ref,))]))
        assert (address.keys, dict(address.failed), address.size) == ([], {0: "image_missing"}, 1)


class TestModel:
    def test_out_of_memory_halves_the_batch(self, tmp_path: Path) -> None:
        request = mixed(tmp_path / "pictures")
        parrot = Parrot(memory=1)
        (replies,), answerer = run(AnswerStore(tmp_path / "store"), [request], parrot, batch_size=2)
        assert list(replies.texts) == expected(request)
        assert answerer.stats.memory_splits > 0
        with pytest.raises(ModelError, match="batch of one"):
            run(AnswerStore(tmp_path / "other"), [request], Parrot(memory=0), batch_size=1)

    def test_what_it_cannot_answer_is_a_reason(self, tmp_path: Path) -> None:
        (replies,), _ = run(AnswerStore(tmp_path), [Generate([Prompt("endless"), Prompt("x")])])
        assert replies == Replies(["", "x"], {0: TOO_LONG})

    @pytest.mark.parametrize("answer", [[], ["text"], [Reply("a", 1), Reply("b", 1)]])
    def test_one_that_breaks_its_protocol(self, tmp_path: Path, answer: list[Reply]) -> None:
        parrot = Parrot()
        parrot.generate = lambda *_: answer  # type: ignore[method-assign]
        with pytest.raises(ModelError, match="parrot: generate returned"):
            run(AnswerStore(tmp_path), [Generate([Prompt("x")])], parrot)

    def test_an_answer_of_any_length_and_script_is_kept(self, tmp_path: Path) -> None:
        text = "猫\n\0\U0001f600" * 3000
        (replies,), _ = run(AnswerStore(tmp_path), [Generate([Prompt(text, max_tokens=100_000)])])
        assert replies.texts == [text]


class TestStop:
    def test_an_answer_ends_before_the_first_stop_string(self, tmp_path: Path) -> None:
        prompts = [Prompt("one.  two;three", stop=(";", "two")), Prompt("x" * 20, max_tokens=10, stop=("",))]
        (replies,), _ = run(AnswerStore(tmp_path), [Generate(prompts)])
        assert replies.texts == ["one.", "x" * 10]

    @given(st.text("ab;,", max_size=12), st.lists(st.text("ab;,", max_size=2), max_size=3))
    def test_against_the_definition(self, text: str, stop: list[str]) -> None:
        reply = cut_at_stop(Reply(text, 5, truncated=True), stop)
        found = [end for end in range(len(text)) if any(each and text.startswith(each, end) for each in stop)]
        assert reply.text == (text[: found[0]].strip() if found else text)
        assert reply.truncated is not bool(found)


class TestChunks:
    def test_they_follow_from_the_requests_alone_and_hold_one_limit(self, tmp_path: Path) -> None:
        request = mixed(tmp_path / "pictures")
        found = probes([request])

        def chunks(asked: Sequence[Generate]) -> list[list[PromptJob]]:
            jobs = PromptJobs(found)
            for each in asked:
                jobs.address(each)
            return jobs.chunks()

        one = chunks([request])
        assert one == chunks([request, request])
        assert all(len(chunk) <= generate.CHUNK_PROMPTS for chunk in one)
        assert all(len({job.prompt.max_tokens for job in chunk}) == 1 for chunk in one)
        assert sorted(job.prompt.text for chunk in one for job in chunk) == sorted(p.text for p in request.prompts)


class TestEngine:
    def test_answers_by_dataset(self, tmp_path: Path) -> None:
        asked = {
            "one": {"prompts": Generate([Prompt("a"), Prompt("long" * 9, max_tokens=4)])},
            "two": {"prompts": Generate([Prompt("a")]), "more": Generate([Prompt("b"), Prompt("a")])},
        }
        engine = GenerationEngine(Parrot(), CPU, "fp32", 4, AnswerStore(tmp_path))
        assert engine.refusal(asked["one"].values()) is None
        clock = Clock()
        engine.execute(asked, {}, Silent(), clock)
        one, two = engine.answers("one"), engine.answers("two")
        assert one.answers["prompts"] == Replies(["a", "long"])
        assert two.answers == {"prompts": Replies(["a"]), "more": Replies(["b", "a"])}
        assert (one.distinct_texts, one.truncated, two.distinct_texts, two.truncated) == (2, 1, 2, 0)
        assert engine.counters()["prompts_answered"] == 3
        assert list(clock.seconds) == ["generate"]

    def test_it_embeds_nothing(self, tmp_path: Path) -> None:
        engine = GenerationEngine(Parrot(), CPU, "fp32", 4, AnswerStore(tmp_path))
        refusal = engine.refusal([Generate([Prompt("a")]), Texts(["a"], "short")])
        assert refusal is not None
        assert "parrot only answers prompts" in refusal
