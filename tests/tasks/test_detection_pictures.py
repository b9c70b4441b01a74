"""Pictures that show what a detector found and what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fgbench.report.boxes import LONG_SIDE
from fgbench.task import DrawsPictures

from .lvis_files import answered, content, image, loaded, lvis, pictures, proposals, random_set, requested, store, thing


def test_pictures_show_before_and_after(tmp_path: Path) -> None:
    file, found = random_set()
    lvis(tmp_path, file)
    store(tmp_path, found)
    pictures(tmp_path, file)
    opened = loaded(tmp_path)
    task = opened.task
    assert isinstance(task, DrawsPictures)
    features: Mapping[str, Any] = {"regions": answered(requested(opened))}
    drawn: Iterator[Any] = task.pictures(opened.spec, opened.loaded, features, 2)
    names, sheets = zip(*drawn, strict=True)
    assert names == ("000000000001", "000000000002")
    for sheet in sheets:
        assert sheet.width > 3 * LONG_SIDE
        panels = [np.asarray(sheet)[22:, left : left + LONG_SIDE] for left in range(0, sheet.width, LONG_SIDE + 6)]
        assert len(panels) == 3
        assert all((panels[a] != panels[b]).any() for a, b in ((0, 1), (1, 2), (0, 2)))
    assert list(task.pictures(opened.spec, opened.loaded, {"detections": None}, 2)) == []


def test_pictures_without_objects_or_boxes_are_passed_over(tmp_path: Path) -> None:
    file = content([image(n) for n in (1, 2, 3)], [thing(1, 1, 1), thing(2, 3, 2)])
    lvis(tmp_path, file)
    pictures(tmp_path, file)
    store(tmp_path, proposals([(2, (1, 1, 5, 5), {1: 0.5}), (3, (1, 1, 5, 5), {1: 0.5, 2: 0.4})], [1, 2, 3]))
    opened = loaded(tmp_path)
    assert isinstance(opened.task, DrawsPictures)
    drawn = opened.task.pictures(opened.spec, opened.loaded, {"regions": answered(requested(opened))}, 9)
    assert [name for name, _ in drawn] == ["000000000003"]
