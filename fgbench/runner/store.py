"""What a model made, on disk: one row per input, in chunk files that are complete or absent.

A row is found by its key, a hash of everything its vector depends on apart from the model (:func:`row_key`); the folder
stands for the model (its fingerprint). So a killed run resumes, and a run with other datasets reuses what is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import safetensors
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from fgbench.data.atomic import write_atomic
from fgbench.errors import StoreError
from fgbench.requests import Float32

VERSION = "1"
"""Part of every key: a change of the meaning of rows must not find old ones."""

_KEY = np.dtype("S16")
_ABANDONED = 3600.0
"""Seconds after which a half-written file is nobody's any more."""

_DELAY = 60.0
"""Seconds after which a file that another machine has written must be visible."""

_DAMAGE = (OSError, ValueError, KeyError, safetensors.SafetensorError)
"""What reading a damaged chunk file may raise."""


def row_key(*parts: str | bytes) -> bytes:
    """16 bytes that identify an input: the BLAKE2b hash of its parts and their lengths."""
    hasher = hashlib.blake2b(VERSION.encode(), digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        hasher.update(struct.pack("<q", len(data)))
        hasher.update(data)
    return hasher.digest()


class ChunkStore:
    """Rows of some kind in chunk files, found by key; what a row consists of is the subclass's.

    Chunk file: safetensors with ``key`` uint8 [n, 16], the arrays of the subclass, and a CRC-32 over all of them in the
    metadata. A file that fails its check is removed and its rows are made again.

    Attributes:
        folder: where the chunk files lie.
        damaged: names of files that were removed because they failed their check.
        written: names of files that were written through this object.
    """

    ARRAYS: ClassVar[tuple[str, ...]]
    """Names of the arrays beside ``key``, in the order of the checksum."""

    def __init__(self, folder: Path, *, fresh: bool = False, tidy: bool = True) -> None:
        """
        Args:
            folder: of one model; created when the first chunk is written.
            fresh: remove what is there.
            tidy: remove what is damaged or was left behind. Of several processes that open a folder one does this,
                before the others open it.
        """
        self.folder = folder
        self.damaged: list[str] = []
        self.written: list[str] = []
        self._keys: list[npt.NDArray[np.bytes_]] = []
        self._files: list[Path] = []
        self._names: set[str] = set()
        self._index: tuple[npt.NDArray[np.bytes_], npt.NDArray[np.int64]] | None = None
        for leftover in folder.glob(".*.tmp") if tidy else ():
            # Of a run that was killed while writing; a run that is writing right now is left alone.
            with contextlib.suppress(OSError):
                if time.time() - leftover.stat().st_mtime > _ABANDONED:
                    leftover.unlink()
        for path in sorted(folder.glob("*.safetensors")):
            if fresh:
                path.unlink()
                continue
            try:
                keys = _keys_of(self._load(path))
            except _DAMAGE:
                if tidy:
                    self.damaged.append(path.name)
                    path.unlink(missing_ok=True)
                continue
            self._add(path, keys)

    def __len__(self) -> int:
        return sum(map(len, self._keys))

    def has(self, keys: Sequence[bytes]) -> npt.NDArray[np.bool_]:
        """Which rows are stored: bool [n]."""
        return self._locate(keys) >= 0

    def adopt(self, names: Iterable[str]) -> None:
        """Take in files that other processes have written since this object was made.

        Raises:
            StoreError: one is damaged, or does not appear.
        """
        for name in names:
            if name in self._names:
                continue
            path = self.folder / name
            try:
                keys = _keys_of(self._load(appeared(path)))
            except _DAMAGE as error:
                raise StoreError(
                    f"{path}: another process has written it, but here it cannot be read ({error}). All processes "
                    "need the same results folder."
                ) from error
            self._add(path, keys)

    def _write(self, keys: Sequence[bytes], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Store a chunk. The file's name follows from its keys, so the same chunk written twice is one file."""
        packed = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), 16)
        contents = {"key": packed, **{name: np.ascontiguousarray(arrays[name]) for name in self.ARRAYS}}
        # One entry only: the order of several ones differs from process to process.
        metadata = {"crc": str(self._crc(contents))}
        path = self.folder / f"{hashlib.blake2b(packed.tobytes(), digest_size=12).hexdigest()}.safetensors"
        write_atomic(path, save_arrays(contents, metadata=metadata))
        self.written.append(path.name)
        self._add(path, packed.reshape(-1).view(_KEY))

    def _parts(
        self, keys: Sequence[bytes]
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], dict[str, npt.NDArray[Any]]]]:
        """For each file that holds some of the rows: their numbers in ``keys``, their numbers in the file, its arrays.

        Raises:
            StoreError: a row is not stored, or its file has been damaged meanwhile.
        """
        place = self._locate(keys)
        if (place < 0).any():
            raise StoreError(f"{self.folder}: {(place < 0).sum()} of {len(keys)} rows are not stored.")
        starts = np.cumsum([0, *map(len, self._keys)])
        file_of = np.searchsorted(starts, place, side="right") - 1
        for number in np.unique(file_of):
            path = self._files[number]
            try:
                arrays = self._load(path)
            except _DAMAGE as error:
                raise StoreError(
                    f"{path}: damaged or gone since the run began ({error}). Run the same command again: "
                    "its rows will be encoded anew."
                ) from error
            rows = np.flatnonzero(file_of == number)
            yield rows, place[rows] - starts[number], arrays

    def _add(self, path: Path, keys: npt.NDArray[np.bytes_]) -> None:
        if path.name in self._names:
            return  # the same chunk again
        self._names.add(path.name)
        self._files.append(path)
        self._keys.append(keys)
        self._index = None

    def _locate(self, keys: Iterable[bytes]) -> npt.NDArray[np.int64]:
        """Row number in the concatenation of all files, or -1."""
        wanted = np.array(list(keys), dtype=_KEY)
        if self._index is None:
            everything = np.concatenate(self._keys) if self._keys else np.zeros(0, dtype=_KEY)
            order = np.argsort(everything, kind="stable")
            self._index = everything[order], order
        known, order = self._index
        if not len(known):
            return np.full(len(wanted), -1, dtype=np.int64)
        slot = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        return np.where(known[slot] == wanted, order[slot], -1)

    def _load(self, path: Path) -> dict[str, npt.NDArray[Any]]:
        data = path.read_bytes()
        arrays = load_arrays(data)
        header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
        if str(self._crc(arrays)) != header.get("__metadata__", {}).get("crc"):
            raise ValueError("checksum differs")
        return arrays

    def _crc(self, arrays: Mapping[str, npt.NDArray[Any]]) -> int:
        crc = 0
        for name in ("key", *self.ARRAYS):
            crc = zlib.crc32(np.ascontiguousarray(arrays[name]).tobytes(), crc)
        return crc


class FeatureStore(ChunkStore):
    """The embeddings of one model: ``vector`` float32 [n, D] (not normalised), ``flag`` uint8 [n] (1 = the text was
    truncated).
    """

    ARRAYS = ("vector", "flag")

    def write(self, keys: Sequence[bytes], vectors: Float32, flags: npt.NDArray[np.uint8] | None = None) -> None:
        """Store a chunk.

        Raises:
            StoreError: it cannot be written.
        """
        if len(vectors) != len(keys):
            raise ValueError(f"Expected one vector per key, but got {len(vectors)} and {len(keys)}.")
        flags = np.zeros(len(keys), dtype=np.uint8) if flags is None else flags
        self._write(keys, {"vector": np.asarray(vectors, dtype=np.float32), "flag": flags})

    def read(self, keys: Sequence[bytes]) -> tuple[Float32, npt.NDArray[np.uint8]]:
        """Vectors float32 [n, D] and flags uint8 [n], in the order of ``keys``.

        Raises:
            StoreError: a row is not stored, or its file has been damaged meanwhile.
        """
        vectors: Float32 | None = None
        flags = np.zeros(len(keys), dtype=np.uint8)
        for rows, places, arrays in self._parts(keys):
            if vectors is None:
                vectors = np.empty((len(keys), arrays["vector"].shape[1]), dtype=np.float32)
            vectors[rows] = arrays["vector"][places]
            flags[rows] = arrays["flag"][places]
        return (np.zeros((0, 0), dtype=np.float32) if vectors is None else vectors), flags


class AnswerStore(ChunkStore):
    """Answers of any length, as bytes: ``offset`` int64 [n + 1] into ``data`` uint8."""

    ARRAYS = ("offset", "data")
    _last: tuple[Path, dict[str, npt.NDArray[Any]]] | None = None

    def _load(self, path: Path) -> dict[str, npt.NDArray[Any]]:
        # Answers are read one by one, and neighbours lie in one file.
        if self._last is None or self._last[0] != path:
            self._last = path, super()._load(path)
        return self._last[1]

    def write(self, keys: Sequence[bytes], answers: Sequence[bytes]) -> None:
        """Store a chunk.

        Raises:
            StoreError: it cannot be written.
        """
        if len(answers) != len(keys):
            raise ValueError(f"Expected one answer per key, but got {len(answers)} and {len(keys)}.")
        offset = np.cumsum([0, *map(len, answers)], dtype=np.int64)
        self._write(keys, {"offset": offset, "data": np.frombuffer(b"".join(answers), dtype=np.uint8)})

    def read(self, keys: Sequence[bytes]) -> list[bytes]:
        """The answers, in the order of ``keys``.

        Raises:
            StoreError: a row is not stored, or its file has been damaged meanwhile.
        """
        answers = [b""] * len(keys)
        for rows, places, arrays in self._parts(keys):
            offset, data = arrays["offset"], arrays["data"]
            for row, place in zip(rows, places, strict=True):
                answers[row] = data[offset[place] : offset[place + 1]].tobytes()
        return answers


def appeared(path: Path) -> Path:
    """Wait for a file that was written on another machine: network file systems show it with a delay."""
    end = time.monotonic() + _DELAY
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.05)
    return path


def _keys_of(arrays: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.bytes_]:
    return arrays["key"].reshape(-1).view(_KEY)
