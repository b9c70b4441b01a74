from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from torch import nn

from fgbench.data.images import decode, probe
from fgbench.errors import ModelError
from fgbench.requests import ClassPrompts, ImageRef, Images, LabelMaps
from fgbench.runner.engine import Clock
from fgbench.runner.progress import Silent
from fgbench.runner.segmenting import SegmenterEngine, names_of_classes
from fgbench.runner.store import AnswerStore
from fgbench.segmenter import SegmenterInfo

from ..fakes import CPU, save_pictures

CLASSES = ClassPrompts(("dark", "dim", "bright"), ("{}",), "box", classes=(0, 0, 1))


class Threshold:
    """Class 1 where red is strong; remembers what it was asked."""

    def __init__(self) -> None:
        self.info = SegmenterInfo("threshold", "tests", "made for tests", "by-threshold", "nothing", "unused")
        self.module: nn.Module = nn.Linear(1, 1)
        self.prompts: list[list[list[str]]] = []
        self.seen = 0
        self.answer: Any = None

    def set_prompts(self, classes: Sequence[Sequence[str]]) -> None:
        self.prompts.append([list(names) for names in classes])

    def predict(self, image: Image.Image, size: tuple[int, int]) -> npt.NDArray[np.uint16]:
        self.seen += 1
        if self.answer is not None:
            return self.answer  # type: ignore[no-any-return]
        return (np.asarray(image.resize(size, Image.Resampling.NEAREST))[..., 0] > 127).astype(np.uint16)


def executed(
    segmenter: Threshold, folder: Path, request: LabelMaps, missing: Sequence[ImageRef] = ()
) -> SegmenterEngine:
    engine = SegmenterEngine(segmenter, CPU, "fp32", AnswerStore(folder))
    probes = {ref: "image_missing" if ref in missing else probe(ref) for ref in request.images}
    engine.execute({"x": {"maps": request}}, probes, Silent(), Clock())
    return engine


def test_maps_come_back_and_are_kept(tmp_path: Path) -> None:
    pictures = save_pictures(tmp_path / "pictures", 20)
    first = Threshold()
    maps = executed(first, tmp_path / "store", LabelMaps(pictures, CLASSES)).answers("x").answers["maps"]
    for row, ref in enumerate(pictures):
        assert (maps.read(row) == (np.asarray(decode(ref))[..., 0] > 127)).all()
    assert first.prompts == [[["dark", "dim"], ["bright"]]]
    again = Threshold()
    engine = executed(again, tmp_path / "store", LabelMaps(pictures, CLASSES))
    assert (again.seen, again.prompts) == (0, [])
    assert engine.counters() == {"images_segmented": 0, "rows_reused": 20}


def test_other_classes_are_asked_anew(tmp_path: Path) -> None:
    pictures = save_pictures(tmp_path / "pictures", 2)
    segmenter = Threshold()
    executed(segmenter, tmp_path / "store", LabelMaps(pictures, CLASSES))
    executed(segmenter, tmp_path / "store", LabelMaps(pictures, ClassPrompts(("dark", "light"), ("{}",), "box")))
    assert segmenter.seen == 4


def test_missing_and_torn_pictures_have_reasons(tmp_path: Path) -> None:
    good, gone, torn = save_pictures(tmp_path / "pictures", 3)
    Path(torn.path).write_bytes(Path(torn.path).read_bytes()[:-200])
    engine = executed(Threshold(), tmp_path / "store", LabelMaps([good, gone, torn], CLASSES), [gone])
    assert engine.answers("x").answers["maps"].failed == {1: "image_missing", 2: "image_unreadable"}
    assert list(engine.broken) == [torn]


@pytest.mark.parametrize("answer", [np.zeros((3, 3), np.uint16), np.zeros((16, 24), np.int64)])
def test_maps_of_another_size_or_type_are_refused(tmp_path: Path, answer: npt.NDArray[Any]) -> None:
    segmenter = Threshold()
    segmenter.answer = answer
    with pytest.raises(ModelError, match=r"expected uint16 \[16, 24\]"):
        executed(segmenter, tmp_path / "store", LabelMaps(save_pictures(tmp_path / "pictures", 1), CLASSES))


def test_only_label_maps(tmp_path: Path) -> None:
    engine = SegmenterEngine(Threshold(), CPU, "fp32", AnswerStore(tmp_path))
    assert engine.refusal([LabelMaps([], CLASSES)]) is None
    assert "segmenter" in str(engine.refusal([Images([])]))


def test_names_without_groups_are_classes() -> None:
    assert names_of_classes(ClassPrompts(("a", "b"), ("{}",), "box")) == [["a"], ["b"]]
