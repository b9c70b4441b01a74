from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fgbench.engines import Settings, start
from fgbench.runner import batch_size
from fgbench.runner.batch_size import largest, largest_for, remembered
from fgbench.runner.jobs import CHUNK_PASSES

from ..fakes import CPU, FakeAdapter
from ..processes import in_threads


class TestLargest:
    @given(st.integers(0, 200), st.integers(1, 64), st.integers(1, 128))
    def test_it_fits_and_twice_as_many_do_not(self, memory: int, first: int, ceiling: int) -> None:
        tried: list[int] = []

        def fits(size: int) -> bool:
            tried.append(size)
            return size <= memory

        found = largest(fits, first, ceiling)
        assert 1 <= found <= ceiling
        assert found <= max(memory, 1)
        assert found == ceiling or 2 * found > memory or min(2 * found, ceiling) > memory
        assert len(tried) == len(set(tried)) <= 8

    def test_a_ceiling_that_is_no_power_of_two_is_reached(self) -> None:
        assert largest(lambda size: size <= 50, 8, 50) == 50


class TestLargestFor:
    @pytest.mark.parametrize(("memory", "expected"), [(20, 16), (3, 2), (0, 1), (None, CHUNK_PASSES)])
    @pytest.mark.parametrize("dense", [True, False])
    def test_the_model_itself_is_tried(self, memory: int | None, expected: int, dense: bool) -> None:
        adapter = FakeAdapter(dense=dense)
        adapter.memory = memory
        assert largest_for(adapter, CPU, "fp32") == expected
        assert set(adapter.dense_batches) <= {dense}

    def test_other_errors_are_errors(self) -> None:
        class Broken(FakeAdapter):
            def _allocate(self, count: int) -> None:
                raise RuntimeError("shapes cannot be multiplied")

        with pytest.raises(RuntimeError, match="shapes"):
            largest_for(Broken(), CPU, "fp32")


class TestRemembered:
    def test_it_is_found_once_per_key(self, tmp_path: Path) -> None:
        file, found = tmp_path / "cache/sizes.json", iter([16, 32, 64])
        assert remembered(file, "a", lambda: next(found), write=True) == 16
        assert remembered(file, "b", lambda: next(found), write=True) == 32
        assert remembered(file, "a", lambda: next(found), write=True) == 16
        assert remembered(file, "c", lambda: next(found), write=False) == 64
        assert remembered(file, "c", lambda: 5, write=True) == 5

    @pytest.mark.parametrize("content", ["{", "[1]", '{"a": 0}', '{"a": "16"}'])
    def test_a_damaged_file_is_replaced(self, tmp_path: Path, content: str) -> None:
        file = tmp_path / "sizes.json"
        file.write_text(content)
        assert remembered(file, "a", lambda: 7, write=True) == 7
        assert remembered(file, "a", lambda: 8, write=True) == 7

    def test_a_cache_that_cannot_be_written_is_no_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert remembered(tmp_path / "file/sizes.json", "a", lambda: 7, write=True) == 7


class TestRun:
    """``start`` with a CUDA device that is none."""

    @pytest.fixture
    def cuda(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("fgbench.engines.choose_device", lambda *_: torch.device("cuda"))
        monkeypatch.setattr("fgbench.engines.place", lambda *_: None)
        monkeypatch.setattr(batch_size, "key_of", lambda _, fingerprint: fingerprint)

    def settings(self, folder: Path, size: int | None = None) -> Settings:
        return Settings("cuda", "fp32", None, size, 0, False, folder)

    def test_the_smallest_of_all_ranks_counts_and_is_recorded(
        self, cuda: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes = iter([32, 16])
        monkeypatch.setattr(batch_size, "largest_for", lambda *_: next(sizes))
        # Each looks for itself: the threads share one cache folder, where machines have one each.
        monkeypatch.setattr(batch_size, "remembered", lambda file, key, find, *, write: find())
        done = in_threads(2, lambda ranks: start(FakeAdapter(), self.settings(tmp_path), ranks).effective["batch_size"])
        assert [each.result() for each in done] == [16, 16]

    def test_what_the_user_says_is_taken(self, cuda: None, tmp_path: Path) -> None:
        assert start(FakeAdapter(), self.settings(tmp_path, 5)).effective["batch_size"] == 5
