"""The detection engine: every picture once, the best pairs of every chunk, whatever the batches and interruptions."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from fgbench.data.proposals import INDEX, Proposals, read_proposals
from fgbench.detector import Chunk, Detected, DetectionPictures, Detector, DetectorInfo
from fgbench.errors import DataError, DataMissingError, ModelError, UsageError
from fgbench.runner.detect import run_detector
from fgbench.runner.detect_shards import DetectionReport
from fgbench.runner.ranks import ALONE, Ranks

from ..fakes import CPU, save_picture
from ..processes import in_threads

NAMES = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu"]
CATEGORIES = np.array([3, 5, 8, 13, 21, 34, 55])
QUERIES, CHUNK, PAIRS = 4, 3, 5


class FakeDetector:
    """Boxes and scores from the sum of a picture's pixels, exact in float32; some boxes are empty, some stick out.

    Attributes:
        looks: sizes of the batches it has seen.
    """

    def __init__(self, fits: int = 1000) -> None:
        self.info = DetectorInfo("fake", "fake", "test", CHUNK, PAIRS, "as it is")
        self.module: nn.Module = nn.Linear(1, 1)
        nn.init.ones_(self.module.weight)
        nn.init.zeros_(self.module.bias)
        self.looks: list[int] = []
        self._fits = fits

    def prepare(self, names: Sequence[str]) -> list[Chunk]:
        cut = [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]
        return [Chunk(CHUNK * number, len(part), " ".join(part)) for number, part in enumerate(cut)]

    def pixels(self, image: Image.Image) -> Tensor:
        return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)

    def look(self, pixels: Tensor) -> Tensor:
        self.looks.append(len(pixels))
        if len(pixels) > self._fits:
            raise MemoryError
        return pixels.long().sum((1, 2, 3))

    def detect(self, seen: Tensor, chunk: Chunk) -> Detected:
        mixed = seen[:, None] * 31 + torch.arange(QUERIES) * 17 + chunk.start * 7
        low = torch.stack([mixed % 16, mixed % 8], -1) / 16
        boxes = torch.cat([low, low + torch.stack([mixed % 5, mixed % 3 + 1], -1) / 8], -1).clamp(0, 1)
        scores = (mixed[..., None] * 13 + torch.arange(chunk.size) * 5) % 32 / 32  # many are equal
        return Detected(boxes, scores)


class Counting:
    """Progress that adds up.

    Attributes:
        steps: done so far.
    """

    def __init__(self) -> None:
        self.steps, self.total = 0, 0

    @contextlib.contextmanager
    def stage(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        self.total = total

        def advance(steps: int) -> None:
            self.steps += steps

        yield advance


def some_pictures(folder: Path, count: int) -> DetectionPictures:
    """Of three shapes, listed in no order."""
    shapes = [(24, 16), (16, 24), (20, 20)]
    ids = [(number * 7) % count + 100 for number in range(count)]
    assert len(set(ids)) == count
    refs = [save_picture(folder / f"{each}.png", each, shapes[each % 3]) for each in ids]
    sizes = np.array([shapes[each % 3] for each in ids])
    return DetectionPictures(np.array(ids), refs, sizes, CATEGORIES, NAMES)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> DetectionPictures:
    return some_pictures(tmp_path_factory.mktemp("pictures"), 36)


def run(
    folder: Path,
    pictures: DetectionPictures,
    detector: Any = None,
    *,
    batch_size: int = 3,
    fresh: bool = False,
    progress: Counting | None = None,
    ranks: Ranks = ALONE,
) -> DetectionReport:
    return run_detector(
        detector or FakeDetector(),
        pictures,
        folder,
        device=CPU,
        batch_size=batch_size,
        workers=2,
        facts={"dataset": "test"},
        fresh=fresh,
        progress=progress or Counting(),
        ranks=ranks,
    )


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


Found = set[tuple[int, tuple[float, ...], int, float]]


def by_hand(pictures: DetectionPictures) -> tuple[Found, int]:
    """Picture by picture, chunk by chunk: the best pairs, empty boxes left out and counted."""
    found: Found = set()
    detector, empty = FakeDetector(), 0
    for image, ref, (width, height) in zip(pictures.image_ids, pictures.images, pictures.sizes.tolist(), strict=True):
        with Image.open(ref.path) as opened:
            seen = detector.look(detector.pixels(opened.convert("RGB"))[None])
        for chunk in detector.prepare(NAMES):
            boxes, scores = (each[0].tolist() for each in detector.detect(seen, chunk))
            pairs = [(-scores[q][c], q, c) for q in range(QUERIES) for c in range(chunk.size)]
            for negative, q, c in sorted(pairs)[:PAIRS]:
                x1, y1, x2, y2 = boxes[q]
                if x2 <= x1 or y2 <= y1:
                    empty += 1
                    continue
                box = (x1 * width, y1 * height, x2 * width, y2 * height)
                found.add((int(image), box, int(CATEGORIES[chunk.start + c]), -negative))
    return found, empty


def rows_of(proposals: Proposals) -> Found:
    image = proposals.image_ids[proposals.det_image].tolist()
    box = map(tuple, proposals.box[proposals.det_box].tolist())
    return set(zip(image, box, proposals.det_category.tolist(), proposals.det_score.tolist(), strict=True))


def test_the_fake_is_a_detector() -> None:
    assert isinstance(FakeDetector(), Detector)


def test_the_best_pairs_of_every_chunk(tmp_path: Path, pictures: DetectionPictures) -> None:
    progress = Counting()
    report = run(tmp_path, pictures, progress=progress)
    proposals = read_proposals(tmp_path)
    found, empty = by_hand(pictures)
    assert rows_of(proposals) == found
    assert proposals.image_ids.tolist() == sorted(pictures.image_ids.tolist())
    assert empty > 0
    assert (report.images, report.made, report.reused) == (36, 3, 0)
    assert report.dropped == {"empty_box": empty}
    assert report.detections == len(proposals) == 36 * (2 * PAIRS + QUERIES) - empty
    assert report.boxes == len(proposals.box) == len({row[:2] for row in found})
    assert progress.steps == progress.total == 36
    metadata = proposals.metadata
    assert metadata["detector"]["pairs_per_chunk"] == PAIRS
    assert (metadata["dataset"], metadata["images"], metadata["chunks"]) == ("test", 36, 3)
    assert metadata["dropped"] == {"empty_box": empty}


def test_batches_change_nothing_and_are_of_one_shape(tmp_path: Path, pictures: DetectionPictures) -> None:
    for batch_size in (1, 2, 16):
        detector = FakeDetector()
        run(tmp_path / str(batch_size), pictures, detector, batch_size=batch_size)
        assert sum(detector.looks) == 36  # the pictures are looked at once for all chunks
        assert max(detector.looks) == {1: 1, 2: 2, 16: 6}[batch_size]
    assert files(tmp_path / "1") == files(tmp_path / "2") == files(tmp_path / "16")


def test_the_order_of_the_annotations_changes_nothing(tmp_path: Path, pictures: DetectionPictures) -> None:
    order = np.random.default_rng(0).permutation(36)
    shuffled = dataclasses.replace(
        pictures,
        image_ids=pictures.image_ids[order],
        images=[pictures.images[number] for number in order],
        sizes=pictures.sizes[order],
    )
    run(tmp_path / "a", pictures)
    run(tmp_path / "b", shuffled)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_memory_runs_out(tmp_path: Path, pictures: DetectionPictures) -> None:
    run(tmp_path / "plenty", pictures, batch_size=6)
    report = run(tmp_path / "scarce", pictures, FakeDetector(fits=2), batch_size=6)
    assert report.splits > 0
    assert files(tmp_path / "plenty") == files(tmp_path / "scarce")
    with pytest.raises(ModelError, match="Out of memory on a batch of one"):
        run(tmp_path / "none", pictures, FakeDetector(fits=0))


def test_only_what_is_lacking_is_made_again(tmp_path: Path, pictures: DetectionPictures) -> None:
    run(tmp_path, pictures)
    whole = files(tmp_path)
    assert sorted(whole) == ["00000.safetensors", "00001.safetensors", "00002.safetensors", INDEX]

    detector = FakeDetector()
    assert run(tmp_path, pictures, detector).reused == 3
    assert detector.looks == []

    (tmp_path / "00001.safetensors").unlink()
    (tmp_path / INDEX).unlink()
    report = run(tmp_path, pictures, detector)
    assert (report.made, report.reused, sum(detector.looks)) == (1, 2, 16)
    assert files(tmp_path) == whole

    (tmp_path / "00002.safetensors").write_bytes(whole["00002.safetensors"][:-1])
    report = run(tmp_path, pictures)
    assert (report.made, report.damaged) == (1, ["00002.safetensors"])
    assert files(tmp_path) == whole


@pytest.mark.parametrize("world", [2, 5])
def test_several_processes_share_the_shards(tmp_path: Path, pictures: DetectionPictures, world: int) -> None:
    alone = run(tmp_path / "one", pictures)
    done = in_threads(world, lambda ranks: run(tmp_path / "all", pictures, fresh=True, ranks=ranks))
    assert [each.result() for each in done] == [alone] * world
    assert files(tmp_path / "all") == files(tmp_path / "one")

    (tmp_path / "all/00001.safetensors").unlink()
    done = in_threads(world, lambda ranks: run(tmp_path / "all", pictures, ranks=ranks))
    assert {(each.result().made, each.result().reused) for each in done} == {(1, 2)}
    assert files(tmp_path / "all") == files(tmp_path / "one")


@pytest.mark.parametrize("what", ["weights", "settings", "names", "pictures"])
def test_proposals_of_another_run_are_not_mixed_in(tmp_path: Path, pictures: DetectionPictures, what: str) -> None:
    run(tmp_path, pictures)
    whole, detector, others = files(tmp_path), FakeDetector(), pictures
    if what == "weights":
        nn.init.zeros_(detector.module.get_parameter("weight"))
    elif what == "settings":
        detector.info = dataclasses.replace(detector.info, settings={"nms": "0.5"})
    elif what == "names":
        others = dataclasses.replace(pictures, names=[*NAMES[:-1], "hen"])
    else:
        others = dataclasses.replace(
            pictures, image_ids=pictures.image_ids[:20], images=pictures.images[:20], sizes=pictures.sizes[:20]
        )
    with pytest.raises(UsageError, match="another folder with --output, or pass --fresh"):
        run(tmp_path, others, detector)
    assert files(tmp_path) == whole
    report = run(tmp_path, others, detector, fresh=True)
    assert report.reused == 0
    assert len(read_proposals(tmp_path).image_ids) == len(others.image_ids)


def test_another_name_for_the_same_detector_goes_on(tmp_path: Path, pictures: DetectionPictures) -> None:
    run(tmp_path, pictures)
    detector = FakeDetector()
    detector.info = dataclasses.replace(detector.info, name="moved", source="local:moved")
    assert run(tmp_path, pictures, detector).reused == 3


@pytest.mark.parametrize("fresh", [False, True])
def test_files_of_others_are_left_alone(tmp_path: Path, pictures: DetectionPictures, fresh: bool) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"somebody's weights")
    with pytest.raises(UsageError, match=r"holds model\.safetensors, which is no part of proposals"):
        run(tmp_path, pictures, fresh=fresh)
    assert files(tmp_path) == {"model.safetensors": b"somebody's weights"}


def test_a_damaged_shard_of_a_longer_run_does_not_stay(tmp_path: Path, pictures: DetectionPictures) -> None:
    tmp_path.joinpath("00077.safetensors").write_bytes(b"half")
    assert run(tmp_path, pictures).damaged == ["00077.safetensors"]
    assert len(read_proposals(tmp_path).image_ids) == 36


def test_pictures_that_are_not_there(tmp_path: Path) -> None:
    pictures, detector = some_pictures(tmp_path / "pictures", 5), FakeDetector()
    for ref in pictures.images[2:4]:
        Path(ref.path).unlink()
    with pytest.raises(DataMissingError, match=r"2 of 5 pictures are not there, the first is .*\.png"):
        run(tmp_path / "out", pictures, detector)
    assert detector.looks == []


def test_broken_pictures(tmp_path: Path) -> None:
    pictures = some_pictures(tmp_path / "pictures", 5)
    wrong = dataclasses.replace(pictures, sizes=pictures.sizes + 1)
    with pytest.raises(DataError, match=r"\d+×\d+ pixels, but the annotations of image 10\d say"):
        run(tmp_path / "out", wrong)
    Path(pictures.images[0].path).write_bytes(b"GIF89a")
    with pytest.raises(DataError, match="not a picture"):
        run(tmp_path / "out", pictures)
    with pytest.raises(DataMissingError):
        read_proposals(tmp_path / "out")


def test_a_detector_that_finds_nothing(tmp_path: Path, pictures: DetectionPictures) -> None:
    class Blind(FakeDetector):
        def detect(self, seen: Tensor, chunk: Chunk) -> Detected:
            found = super().detect(seen, chunk)
            return Detected(found.boxes * 0, found.scores)

    report = run(tmp_path, pictures, Blind())
    proposals = read_proposals(tmp_path)
    assert (len(proposals), len(proposals.box), len(proposals.image_ids)) == (0, 0, 36)
    assert report.dropped == {"empty_box": 36 * (2 * PAIRS + QUERIES)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: Detected(found.boxes, found.scores / 0), r"fake: NaN or infinity for image 10\d"),
        (lambda found: Detected(found.boxes * float("nan"), found.scores), "fake: NaN or infinity"),
        (lambda found: Detected(found.boxes, found.scores[..., :1]), r"for 3 names; expected \[B, Q, 4\] and"),
        (lambda found: Detected(found.boxes[:, :2], found.scores), r"for 3 names; expected \[B, Q, 4\] and"),
    ],
)
def test_detectors_that_break_the_contract(
    tmp_path: Path, pictures: DetectionPictures, change: Callable[[Detected], Detected], message: str
) -> None:
    class Broken(FakeDetector):
        def detect(self, seen: Tensor, chunk: Chunk) -> Detected:
            return change(super().detect(seen, chunk))

    with pytest.raises(ModelError, match=message):
        run(tmp_path, pictures, Broken())
