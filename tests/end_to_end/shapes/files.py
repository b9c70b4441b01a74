"""Small writers shared by the layouts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from .scenes import Scene


def picture_name(scene: Scene) -> str:
    """File name of a scene in COCO's style."""
    return f"{scene.number:012d}.jpg"


def write_pictures(scenes: Sequence[Scene], folder: Path, name: Callable[[Scene], str]) -> None:
    """Render scenes to files; the ending of the name chooses the format."""
    for scene in scenes:
        path = folder / name(scene)
        path.parent.mkdir(parents=True, exist_ok=True)
        scene.render().save(path, quality=92)


def write_json(path: Path, **content: Any) -> None:
    """One JSON object."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1))


def write_json_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """One JSON object per line."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def write_text(path: Path, text: str) -> None:
    """UTF-8, line ends as given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
