"""What a run of a detector depends on, and which of its shards are there already."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fgbench.data.proposal_arrays import Proposals
from fgbench.data.proposals import INDEX, SUFFIX, read_shard
from fgbench.detector import Chunk, DetectionPictures, Detector
from fgbench.errors import DataError, DataMissingError, UsageError
from fgbench.runner.identity import weights_sha256
from fgbench.runner.ranks import Ranks

IMAGES_PER_SHARD = 16
"""Work that a killed run repeats at most: minutes, with 31 chunks of LVIS names per picture."""

_FOR_PEOPLE = {"name", "source", "licence", "notes"}


@dataclass
class DetectionReport:
    """What a run did.

    Attributes:
        images: pictures of the dataset.
        reused, made: shards that were there, and that were made.
        damaged: names of shards that were made again because they failed their check.
        boxes, detections: unique boxes, and pairs of a box and a category.
        dropped: pairs that were left out, by reason.
        splits: how often a batch was halved because memory ran out.
    """

    images: int
    reused: int = 0
    made: int = 0
    damaged: list[str] = field(default_factory=list)
    boxes: int = 0
    detections: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    splits: int = 0

    def add(self, shard: Proposals) -> None:
        """Count what is in a shard."""
        self.boxes += len(shard.box)
        self.detections += len(shard)
        self._drop(shard.metadata["dropped"])

    def of_all(self, ranks: Ranks) -> DetectionReport:
        """Meet, and add what all ranks did."""
        first, *others = (DetectionReport(**each) for each in ranks.gather(asdict(self)))
        for other in others:
            first.made += other.made
            first.boxes += other.boxes
            first.detections += other.detections
            first.splits += other.splits
            first._drop(other.dropped)
        return first

    def _drop(self, dropped: Mapping[str, int]) -> None:
        for reason, count in dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count


def describe_run(
    detector: Detector, pictures: DetectionPictures, chunks: Sequence[Chunk], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything that the proposals depend on; nothing that depends on the attempt."""
    info = asdict(detector.info)
    return {
        **facts,
        "detector": {**info, "notes": list(detector.info.notes)},
        "weights_sha256": weights_sha256(detector.module),
        "code_sha256": _code(type(detector)),
        "prompts_sha256": _digest([chunk.prompt for chunk in chunks]),
        "chunks": len(chunks),
        "categories_sha256": _digest([pictures.category_ids.tolist(), list(pictures.names)]),
        "categories": len(pictures.names),
        "images_sha256": _digest([pictures.image_ids.tolist(), pictures.sizes.tolist()]),
        "images": len(pictures.image_ids),
        "images_per_shard": IMAGES_PER_SHARD,
    }


def _code(kind: type) -> str:
    """Of the module that the detector is written in. Not of its package, as for embeddings: proposals take hours or
    days, and an edit of some other model's adapter must not make them void.
    """
    try:
        return hashlib.sha256(Path(inspect.getfile(kind)).read_bytes()).hexdigest()
    except (OSError, TypeError):  # not from a file
        return f"{kind.__module__}.{kind.__qualname__}"


def by_id(pictures: DetectionPictures) -> DetectionPictures:
    """The same pictures in ascending order of their ids."""
    order = np.argsort(pictures.image_ids, kind="stable")
    images = [pictures.images[number] for number in order]
    return replace(pictures, image_ids=pictures.image_ids[order], images=images, sizes=pictures.sizes[order])


def plan_of(metadata: Mapping[str, Any]) -> str:
    """Identifies a run: its metadata without what only people read."""
    detector = {key: value for key, value in metadata["detector"].items() if key not in _FOR_PEOPLE}
    return _digest({**metadata, "detector": detector})


def reuse(folder: Path, plan: str, report: DetectionReport) -> set[str]:
    """Names of the shards that are there; damaged ones are to be made again.

    Raises:
        UsageError: a shard of another plan.
    """
    good: set[str] = set()
    for path in _shards(folder):
        try:
            shard = read_shard(path)
        except DataError:
            report.damaged.append(path.name)
            path.unlink()
            continue
        if shard.metadata.get("plan") != plan:
            raise UsageError(
                f"{folder} holds proposals of another detector, of another version of it, or of other pictures. Name "
                "another folder with --output, or pass --fresh to replace them."
            )
        good.add(path.name.removesuffix(SUFFIX))
        report.add(shard)
    report.reused = len(good)
    return good


def clear(folder: Path) -> None:
    """Remove the proposals of a folder.

    Raises:
        UsageError: other files are among them.
    """
    shards = _shards(folder)
    (folder / INDEX).unlink(missing_ok=True)
    for path in shards:
        path.unlink()


def _shards(folder: Path) -> list[Path]:
    """The shards there.

    Raises:
        UsageError: there are other files of arrays, perhaps somebody's weights.
    """
    found = sorted(folder.glob(f"*{SUFFIX}"))
    for path in found:
        if not re.fullmatch(r"\d{5}", path.stem):
            raise UsageError(f"{folder} holds {path.name}, which is no part of proposals. Name an empty --output.")
    return found


def check_files(pictures: DetectionPictures) -> None:
    """Find out before hours of work that pictures are not there.

    Raises:
        DataMissingError: how many, and the first.
    """
    missing = [ref for ref in pictures.images if not Path(ref.path).exists()]
    if missing:
        raise DataMissingError(
            f"{len(missing):,} of {len(pictures.images):,} pictures are not there, the first is {missing[0]}. "
            "A detector has to see all of them."
        )


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
