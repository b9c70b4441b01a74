from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.errors import ModelError, RankError, UsageError
from fgbench.runner import ranks as module
from fgbench.runner.progress import Silent
from fgbench.runner.ranks import ALONE, Ranks

from ..processes import in_threads


class TestDeal:
    @given(st.lists(st.binary(max_size=3), max_size=20), st.integers(1, 7))
    def test_every_chunk_belongs_to_exactly_one_rank(self, keys: list[bytes], world: int) -> None:
        chunks = list(enumerate(keys))
        shares = [Ranks(rank, world).deal(chunks, lambda chunk: [chunk[1]]) for rank in range(world)]
        assert sorted(chunk for share in shares for chunk in share) == chunks
        assert all(number % world == rank for rank, share in enumerate(shares) for number, _ in share)

    def test_ranks_with_other_work_are_refused(self) -> None:
        done = in_threads(2, lambda ranks: ranks.deal([ranks.rank, 7], lambda chunk: [str(chunk)]))
        errors = [each.exception() for each in done]
        assert {type(error) for error in errors} == {UsageError, RankError}
        assert all("Rank 1 and rank 0 do not have the same: the work" in str(error) for error in errors)


class TestGather:
    @pytest.mark.parametrize("world", [1, 2, 5])
    def test_everyone_gets_everything_by_rank(self, world: int) -> None:
        done = in_threads(world, lambda ranks: [ranks.gather({"é": ranks.rank, "round": n}) for n in range(3)])
        expected = [[{"é": rank, "round": n} for rank in range(world)] for n in range(3)]
        assert [each.result() for each in done] == [expected] * world

    def test_long_values_travel_in_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_PART", 10)
        done = in_threads(2, lambda ranks: ranks.gather("ü" * (25 * ranks.rank)))
        assert [each.result() for each in done] == [["", "ü" * 25]] * 2

    def test_nobody_goes_on_alone(self) -> None:
        arrived: list[int] = []

        def action(ranks: Ranks) -> int:
            time.sleep(0.05 * ranks.rank)
            arrived.append(ranks.rank)
            ranks.gather(None)
            return len(arrived)

        assert [each.result() for each in in_threads(3, action)] == [3, 3, 3]

    def test_one_process_needs_no_torch(self) -> None:
        assert ALONE.gather({"a": (1,)}) == [{"a": (1,)}]
        assert ALONE.first
        ALONE.check()
        progress = Silent()
        assert ALONE.watching(progress) is progress


class TestFirstDoes:
    @pytest.mark.parametrize(("per_machine", "first"), [(False, {0}), (True, {0, 2})])
    def test_one_goes_ahead(self, per_machine: bool, first: set[int]) -> None:
        done: list[int] = []

        def action(ranks: Ranks) -> bool:
            ranks.local_rank = ranks.rank % 2  # two machines with two ranks each

            def act(ahead: bool) -> bool:
                time.sleep(0.05 * ahead)
                done.append(ranks.rank)
                return ahead

            return ranks.first_does(act, per_machine=per_machine)

        ahead = [each.result() for each in in_threads(4, action)]
        assert {rank for rank, each in enumerate(ahead) if each} == first
        assert set(done[: len(first)]) == first
        assert len(done) == 4


class TestFailure:
    def test_those_who_wait_are_told(self) -> None:
        def action(ranks: Ranks) -> None:
            if ranks.rank == 1:
                raise ModelError("broken weights")
            ranks.gather(None)

        zero, one, two = (each.exception() for each in in_threads(3, action))
        assert isinstance(one, ModelError)
        for told in (zero, two):
            assert isinstance(told, RankError)
            assert (str(told), told.relayed, told.code) == ("Rank 1: broken weights", True, 1)

    @pytest.mark.parametrize(("error", "code"), [(UsageError("no"), 2), (KeyboardInterrupt(), 130), (ValueError(), 1)])
    def test_those_who_work_are_told(self, error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_LOOK_EVERY", 0.0)

        def action(ranks: Ranks) -> None:
            with ranks.watching(Silent()).stage("work", 10_000) as advance:
                for step in range(10_000):
                    if ranks.rank == 0 and step == 3:
                        raise error
                    advance(1)
                    time.sleep(0.001)

        zero, one = (each.exception() for each in in_threads(2, action))
        assert zero is error
        assert isinstance(one, RankError)
        assert one.relayed
        assert one.code == code
        assert str(one) == f"Rank 0: {str(error) or type(error).__name__}"

    def test_only_the_first_of_two_counts(self) -> None:
        together = threading.Barrier(2)

        def action(ranks: Ranks) -> None:
            together.wait()
            raise ModelError(f"of {ranks.rank}")

        errors = [each.exception() for each in in_threads(2, action)]
        [own] = [error for error in errors if isinstance(error, ModelError)]
        [told] = [error for error in errors if isinstance(error, RankError)]
        assert str(own) in str(told)

    def test_a_rank_that_has_ended_is_not_waited_for(self) -> None:
        waiting, ended = (
            each.exception()
            for each in in_threads(2, lambda ranks: ranks.gather(None) if ranks.first else None, timeout=0.4)
        )
        assert ended is None
        assert isinstance(waiting, RankError)
        assert "Rank 1 has ended while rank 0 still expected something" in str(waiting)

    @pytest.mark.parametrize(("there", "reason"), [(True, "lack of memory"), (False, "was never there")])
    def test_a_rank_that_is_silent_is_given_up(self, there: bool, reason: str) -> None:
        import torch.distributed

        store = torch.distributed.HashStore()  # type: ignore[attr-defined]
        if there:
            store.add("alive/1", 5)
        message = f"Rank 1 gave no sign of life for 0 s.*{reason}"
        with pytest.raises(RankError, match=message) as found, Ranks(0, 2, 0, store, 0.3) as ranks:
            ranks.gather(None)
        assert not found.value.relayed

    def test_long_work_is_no_silence(self) -> None:
        def action(ranks: Ranks) -> list[int]:
            time.sleep(1.5 * ranks.rank)
            return list(ranks.gather(ranks.rank))

        assert [each.result() for each in in_threads(2, action, timeout=0.5)] == [[0, 1]] * 2

    def test_a_store_that_is_gone_is_a_rank_error(self, tmp_path: Path) -> None:
        class Gone:
            def set(self, key: str, value: str) -> None:
                raise RuntimeError("Connection reset by peer\n at some address")

            add = set

        message = r"Lost contact with the other ranks \(Connection reset by peer\)"
        with pytest.raises(RankError, match=message), Ranks(1, 2, 1, Gone()) as ranks:  # type: ignore[arg-type]
            ranks.gather(None)

    def test_an_error_of_its_own_stays_when_contact_is_lost(self) -> None:
        class Gone:
            def add(self, key: str, value: int) -> int:
                raise RuntimeError("gone")

            set = add

        with pytest.raises(ModelError, match="mine"), Ranks(1, 2, 1, Gone()):  # type: ignore[arg-type]
            raise ModelError("mine")
