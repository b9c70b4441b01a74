"""What the tests of annotation readers share: loading one dataset without a plan, and real excerpts."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fgbench.data.files import DatasetFiles
from fgbench.requests import ClassPrompts, Embeddings, ImageRef, Images, Regions, Request, Texts
from fgbench.selection import datasets
from fgbench.spec import DatasetSpec
from fgbench.task import Loaded, Scores, Task

EXCERPTS = Path(__file__).resolve().parents[1] / "data/excerpts"


@dataclass(frozen=True)
class Opened:
    """A dataset as its task sees it."""

    task: Task
    spec: DatasetSpec
    files: DatasetFiles
    loaded: Loaded
    requests: Mapping[str, Request]

    @property
    def images(self) -> Sequence[ImageRef]:
        """The pictures asked for."""
        [found] = [each.images for each in self.requests.values() if isinstance(each, (Images, Regions))]
        return found

    @property
    def paths(self) -> list[str]:
        """Where the pictures are, or should be: relative to the data root, ``archive!member`` in archives."""
        return [str(ref).removeprefix(f"{self.files.root}/") for ref in self.images]

    @property
    def texts(self) -> list[str]:
        """The texts asked for: prepared, in row order."""
        [found] = [each for each in self.requests.values() if isinstance(each, (Texts, ClassPrompts))]
        return list(found.strings())

    @property
    def prompts(self) -> ClassPrompts:
        """The class prompts asked for."""
        [found] = [each for each in self.requests.values() if isinstance(each, ClassPrompts)]
        return found

    @property
    def regions(self) -> Regions:
        """The boxes asked for."""
        [found] = [each for each in self.requests.values() if isinstance(each, Regions)]
        return found

    @property
    def captions(self) -> list[tuple[str, ...]]:
        """Captions by picture, as written in the file."""
        return [item.captions for item in self.loaded.items.items]

    @property
    def ids(self) -> list[str]:
        """Item ids of a retrieval set."""
        return [item.id for item in self.loaded.items.items]

    def score(self, **features: Embeddings) -> Scores:
        """Metrics from features."""
        return self.task.score(self.spec, self.loaded, features)


def opened(dataset: str, root: Path, *, limit: int | None = None, **overrides: Path) -> Opened:
    """Read the annotations of a dataset below a data root."""
    task, spec = datasets().get(dataset)
    files = DatasetFiles(spec, root, overrides)
    loaded = task.load(spec, files, limit)
    return Opened(task, spec, files, loaded, task.requests(spec, loaded))


def excerpt(name: str) -> Any:
    """The content of a JSON excerpt."""
    return json.loads((EXCERPTS / name).read_text(encoding="utf-8"))


def there(path: Path) -> Path:
    """A real file that is too large, or not ours, to lie in the repository."""
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the repository")
    return path


def table(path: Path) -> list[dict[str, str]]:
    """Rows of a tab-separated list, if it is there."""
    return list(csv.DictReader(there(path).read_text(encoding="utf-8").split("\n"), delimiter="\t", quoting=3))


def write(path: Path, content: str | bytes | object) -> Path:
    """Write text or bytes as they are and anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        path.write_bytes(text.encode())
    return path


def touch(root: Path, *names: str) -> None:
    """Make empty files: readers look at names only."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def rows(*vectors: Sequence[float]) -> Embeddings:
    """Embeddings, normalised."""
    table = np.array(vectors, dtype=np.float32)
    return Embeddings(table / np.linalg.norm(table, axis=1, keepdims=True))
