from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbench.errors import StoreError
from fgbench.requests import Float32
from fgbench.runner.store import FeatureStore, row_key


def key(number: int) -> bytes:
    return row_key("test", str(number))


def keys(*numbers: int) -> list[bytes]:
    return [key(number) for number in numbers]


def rows(*numbers: int, dim: int = 3) -> Float32:
    """A recognisable vector per number."""
    return np.array([[number + place / 8 for place in range(dim)] for number in numbers], dtype=np.float32)


def filled(folder: Path) -> FeatureStore:
    store = FeatureStore(folder)
    store.write(keys(1, 2, 3), rows(1, 2, 3), np.array([0, 1, 0], dtype=np.uint8))
    store.write(keys(4, 5), rows(4, 5))
    return store


class TestReading:
    @pytest.mark.parametrize("reopen", [False, True])
    def test_rows_come_back_in_the_order_asked_for(self, tmp_path: Path, reopen: bool) -> None:
        store = filled(tmp_path)
        vectors, flags = (FeatureStore(tmp_path) if reopen else store).read(keys(5, 1, 3, 1, 2))
        assert (vectors == rows(5, 1, 3, 1, 2)).all()
        assert vectors.dtype == np.float32
        assert flags.tolist() == [0, 0, 0, 0, 1]

    def test_it_knows_what_it_has(self, tmp_path: Path) -> None:
        store = filled(tmp_path)
        assert store.has(keys(0, 1, 6, 5, 1)).tolist() == [False, True, False, True, True]
        assert store.has([]).tolist() == []
        assert len(store) == 5

    def test_an_empty_store_has_nothing(self, tmp_path: Path) -> None:
        store = FeatureStore(tmp_path / "none")
        assert store.has(keys(1)).tolist() == [False]
        assert not (tmp_path / "none").exists()
        vectors, flags = store.read([])
        assert len(vectors) == len(flags) == 0

    def test_a_row_that_is_not_stored_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="2 of 3 rows are not stored"):
            filled(tmp_path).read(keys(1, 7, 8))

    def test_vectors_are_stored_bit_by_bit(self, tmp_path: Path) -> None:
        store = FeatureStore(tmp_path)
        odd = np.array([[1e-42, -0.0, 3.4e38, np.pi]], dtype=np.float32)
        store.write(keys(1), odd)
        assert store.read(keys(1))[0].tobytes() == odd.tobytes()

    def test_a_view_of_another_array_may_be_written(self, tmp_path: Path) -> None:
        store = FeatureStore(tmp_path)
        wide = rows(*range(6), dim=8)
        store.write(keys(0, 1, 2), wide[::2, ::3])
        assert (store.read(keys(0, 1, 2))[0] == wide[::2, ::3]).all()

    @settings(max_examples=50)
    @given(st.lists(st.binary(min_size=16, max_size=16), unique=True, min_size=1, max_size=12), st.data())
    def test_any_sixteen_bytes_are_a_key(
        self, tmp_path_factory: pytest.TempPathFactory, wanted: list[bytes], data: st.DataObject
    ) -> None:
        """Also keys that end in zero bytes, which numpy's byte strings do not show."""
        store = FeatureStore(tmp_path_factory.mktemp("store"))
        cut = data.draw(st.integers(0, len(wanted)))
        for part in (slice(0, cut), slice(cut, None)):
            if wanted[part]:
                store.write(wanted[part], np.arange(len(wanted), dtype=np.float32)[part, None])
        order = data.draw(st.permutations(range(len(wanted))))
        assert store.read([wanted[place] for place in order])[0][:, 0].tolist() == order
        absent = bytes(reversed(wanted[0]))
        assert store.has([absent]).tolist() == [absent in wanted]


class TestWriting:
    def test_the_same_chunk_written_twice_is_one_file(self, tmp_path: Path) -> None:
        store = filled(tmp_path)
        before = sorted(path.name for path in tmp_path.iterdir())
        store.write(keys(4, 5), rows(4, 5))
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        assert len(store) == len(FeatureStore(tmp_path)) == 5
        assert (store.read(keys(3, 4, 5))[0] == rows(3, 4, 5)).all()

    def test_a_vector_for_every_key(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="one vector per key, but got 1 and 2"):
            FeatureStore(tmp_path).write(keys(1, 2), rows(1))
        assert not FeatureStore(tmp_path).has(keys(1, 2)).any()

    def test_a_row_in_two_chunks_is_found(self, tmp_path: Path) -> None:
        store = filled(tmp_path)
        store.write(keys(5, 6), rows(5, 6))
        for each in (store, FeatureStore(tmp_path)):
            assert (each.read(keys(6, 5, 4))[0] == rows(6, 5, 4)).all()

    def test_fresh_forgets_what_is_there(self, tmp_path: Path) -> None:
        filled(tmp_path)
        assert not FeatureStore(tmp_path, fresh=True).has(keys(1, 4)).any()
        assert list(tmp_path.iterdir()) == []

    def test_other_files_in_the_folder_are_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("mine")
        filled(tmp_path)
        FeatureStore(tmp_path, fresh=True)
        assert (tmp_path / "notes.txt").read_text() == "mine"

    @pytest.mark.parametrize(("owner", "function"), [(os, "fsync"), (Path, "replace")])
    def test_a_full_disk_leaves_no_half_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, function: str
    ) -> None:
        store = filled(tmp_path)
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}

        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(owner, function, full)
            with pytest.raises(StoreError, match="no space left on the disk"):
                store.write(keys(6), rows(6))
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
        assert not store.has(keys(6)).any()
        store.write(keys(6), rows(6))
        assert (store.read(keys(1, 6))[0] == rows(1, 6)).all()


class TestDamage:
    def damage(self, path: Path, change: str) -> None:
        data = bytearray(path.read_bytes())
        if change == "empty":
            data.clear()
        elif change == "cut":
            del data[-7:]
        elif change == "cut to the header":
            del data[20:]
        elif change == "longer":
            data += b"xx"
        elif change == "value":
            data[-30] ^= 0x10
        elif change == "header":
            data[12] ^= 0xFF
        elif change == "another file":
            data[:] = b"<html>not found</html>"
        path.write_bytes(bytes(data))

    CHANGES = ("empty", "cut", "cut to the header", "longer", "value", "header", "another file")

    @pytest.mark.parametrize("change", CHANGES)
    def test_a_damaged_file_is_removed_and_reported(self, tmp_path: Path, change: str) -> None:
        filled(tmp_path)
        victim = self.file_with(tmp_path, 4)
        self.damage(victim, change)
        store = FeatureStore(tmp_path)
        assert store.damaged == [victim.name]
        assert not victim.exists()
        assert store.has(keys(1, 2, 3, 4, 5)).tolist() == [True, True, True, False, False]

    @pytest.mark.parametrize("change", [*CHANGES, "gone"])
    def test_damage_during_a_run_is_an_error_not_a_number(self, tmp_path: Path, change: str) -> None:
        store = filled(tmp_path)
        victim = self.file_with(tmp_path, 4)
        if change == "gone":
            victim.unlink()
        else:
            self.damage(victim, change)
        with pytest.raises(StoreError, match=rf"{victim}: damaged or gone since the run began.*Run the same command"):
            store.read(keys(1, 4))
        assert (store.read(keys(1))[0] == rows(1)).all()

    @settings(max_examples=100)
    @given(st.data())
    def test_no_single_flipped_bit_changes_a_vector(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        folder = tmp_path_factory.mktemp("store")
        FeatureStore(folder).write(keys(1, 2), rows(1, 2), np.array([1, 0], dtype=np.uint8))
        (path,) = folder.iterdir()
        content = bytearray(path.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(bytes(content))
        store = FeatureStore(folder)
        if store.damaged:
            assert not store.has(keys(1, 2)).any()
        else:
            vectors, flags = store.read(keys(1, 2))
            assert (vectors == rows(1, 2)).all()
            assert flags.tolist() == [1, 0]

    def file_with(self, folder: Path, number: int) -> Path:
        for path in folder.glob("*.safetensors"):
            if key(number) in path.read_bytes():
                return path
        raise AssertionError(number)


PARTS = st.lists(st.text(max_size=4) | st.binary(max_size=4), max_size=4)


def as_bytes(parts: list[str | bytes]) -> list[bytes]:
    return [part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part for part in parts]


class TestKeys:
    @given(PARTS, PARTS)
    def test_different_parts_have_different_keys(self, one: list[str | bytes], other: list[str | bytes]) -> None:
        assert (row_key(*one) == row_key(*other)) == (as_bytes(one) == as_bytes(other))

    @given(st.text(max_size=6), st.integers(0, 6))
    def test_the_border_between_parts_counts(self, text: str, cut: int) -> None:
        cut = min(cut, len(text))
        assert row_key(text[:cut], text[cut:]) != row_key(text)
        if 0 < cut < len(text):
            assert row_key(text[:cut], text[cut:]) != row_key(text[: cut - 1], text[cut - 1 :])

    def test_a_key_has_sixteen_bytes_and_never_changes(self) -> None:
        """A new value here means that everybody's stored features are encoded again."""
        assert row_key("text", "plain", "a cat").hex() == "29b3f81085055c74cd98c8bdb5c8bfc6"
        assert len(row_key()) == 16

    def test_texts_that_are_no_unicode_have_keys_too(self) -> None:
        assert row_key("\ud800") != row_key("\ud801")


def test_half_written_files_of_a_killed_run_are_cleared_away_in_time(tmp_path: Path) -> None:
    old, new = tmp_path / ".a.safetensors.x.tmp", tmp_path / ".b.safetensors.y.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    FeatureStore(tmp_path)
    assert not old.exists()
    assert new.exists()  # another process may be writing it
