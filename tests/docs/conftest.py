"""Readers of pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .reader import Reader


@pytest.fixture(scope="session")
def new_reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Reader]]:
    """Makes somebody who sits before an empty folder. All share one miniature suite, which takes seconds to write."""
    cache: Path = tmp_path_factory.mktemp("cache")
    readers: list[Reader] = []

    def make(name: str) -> Reader:
        readers.append(Reader(tmp_path_factory.mktemp(name), cache))
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()
