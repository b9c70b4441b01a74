"""Small writers shared by the layouts."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from fgbench.data.mini.world import Scene, render, scene

QUALITY = 88
"""Of JPEG files."""


@lru_cache(maxsize=4096)
def scenes(start: int, count: int) -> tuple[Scene, ...]:
    """Evaluation scenes by number; training never sees them."""
    return tuple(scene("evaluation", number) for number in range(start, start + count))


@lru_cache(maxsize=4096)
def jpeg(picture: Scene) -> bytes:
    """A scene as a JPEG file; several datasets show the same scenes."""
    buffer = io.BytesIO()
    render(picture).save(buffer, format="JPEG", quality=QUALITY)
    return buffer.getvalue()


def coco_name(picture: Scene) -> str:
    """File name of a scene in COCO's style."""
    return f"{picture.number + 1:012d}.jpg"


def headline(text: str) -> str:
    """A text as headlines are written: every word with a capital.

    English texts of datasets whose protocol lower-cases are written like this, so that a protocol that forgets to
    lower-case gives the model words that it has never seen.
    """
    return text.title()


def write_pictures(pictures: Sequence[Scene], folder: Path, name: Callable[[Scene], str]) -> None:
    """Write scenes as JPEG files."""
    for each in pictures:
        write_bytes(folder / name(each), jpeg(each))


def write_json(path: Path, content: Any) -> None:
    """A JSON file."""
    write_text(path, json.dumps(content, ensure_ascii=False, separators=(",", ":")))


def write_json_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """One JSON object per line."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def write_text(path: Path, text: str) -> None:
    """UTF-8, line ends as given."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """A file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
