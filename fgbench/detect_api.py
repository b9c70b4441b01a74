"""What ``fgbench detect`` and ``fgbench proposals`` do, for notebooks: run a detector, import and export its boxes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fgbench import api, selection
from fgbench.data.config import data_places
from fgbench.data.detection_results import ImportReport, read_results, write_results
from fgbench.data.digests import file_sha256
from fgbench.data.files import DatasetFiles
from fgbench.data.proposals import read_proposals, write_proposals
from fgbench.data.roots import resolve_root
from fgbench.detector import (
    DetectionPictures,
    Detector,
    HasDetectionPictures,
    check_detector_name,
    load_detector,
)
from fgbench.errors import UsageError
from fgbench.runner.launch import join
from fgbench.runner.progress import Progress, Silent

if TYPE_CHECKING:
    from fgbench.runner.detect_shards import DetectionReport

Files = Mapping[str, str | Path] | None

ROLE = "proposals"


@dataclass(frozen=True)
class Detection:
    """Result of :func:`detect`.

    Attributes:
        folder: where the proposals lie.
        report: what was done.
    """

    folder: Path
    report: DetectionReport


@dataclass(frozen=True)
class Import:
    """Result of :func:`import_results`.

    Attributes:
        folder: where the proposals lie.
        report: what became of the entries.
    """

    folder: Path
    report: ImportReport


def detect(
    detector: str | Detector,
    dataset: str,
    *,
    data_root: str | Path | None = None,
    output: str | Path | None = None,
    limit: int | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    fresh: bool = False,
    files: Files = None,
    progress: Progress | None = None,
) -> Detection:
    """Run a detector over all pictures of a dataset and store its boxes and class scores.

    What is already there of the same detector and pictures is kept, so an interrupted run goes on. Several processes
    share the work as in :func:`fgbench.api.evaluate`.

    Args:
        detector: ``llmdet-tiny``, a hub id, a folder, … or a detector object.
        dataset: id of a detection dataset.
        data_root, files: as in :func:`fgbench.api.plan`.
        output: folder of the proposals; None for the dataset's own place.
        limit: only the first so many pictures, by id; needs ``output``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        batch_size: pictures per forward pass; None chooses by device.
        fresh: replace what is there.
        progress: told how far the run is.

    Raises:
        UsageError: unknown names, a dataset that is not for detection, options that contradict each other.
        DataMissingError: annotations or pictures are not there.
        DataError: annotations or pictures are broken.
        ModelError: the detector is unusable.
        StoreError: proposals cannot be written.
        RankError: another process failed.
    """
    with join() as ranks:
        if isinstance(detector, str):
            check_detector_name(detector)
        if limit is not None and (limit < 1 or output is None):
            raise UsageError(
                "--limit takes a number from 1, and the few proposals need a folder of their own: --output."
            )
        place, pictures, facts = _pictures(dataset, data_root, files, limit)
        folder = Path(output) if output is not None else place

        from fgbench.results.environment import describe
        from fgbench.runner.detect import run_detector
        from fgbench.runner.device import choose_device

        torch_device = choose_device(device, ranks)
        if batch_size is None:
            batch_size = 4 if torch_device.type == "cuda" else 1
        if batch_size < 1:
            raise UsageError(f"batch_size is {batch_size}; expected at least 1.")
        loaded = ranks.first_does(partial(_loaded, detector), per_machine=True)
        loaded.module.to(torch_device).eval()
        report = run_detector(
            loaded,
            pictures,
            folder,
            device=torch_device,
            batch_size=batch_size,
            workers=min(8, os.cpu_count() or 1),
            facts={**facts, "packages": describe(torch_device, "fp32")["packages"]},
            fresh=fresh,
            progress=progress or Silent(),
            ranks=ranks,
        )
        return Detection(folder, report)


def _loaded(detector: str | Detector, ahead: bool) -> Detector:
    """One process of each machine goes ahead: what has to be downloaded is there when the others load it."""
    return load_detector(detector) if isinstance(detector, str) else detector


def import_results(
    file: str | Path,
    dataset: str,
    *,
    data_root: str | Path | None = None,
    output: str | Path | None = None,
    files: Files = None,
) -> Import:
    """Store the detections of a COCO/LVIS result file as the proposals of a dataset.

    Args:
        file: JSON list of ``image_id``, ``category_id``, ``bbox``, ``score``.
        dataset: id of a detection dataset; all its pictures count as processed.
        data_root, files: as in :func:`fgbench.api.plan`.
        output: folder of the proposals; None for the dataset's own place.

    Raises:
        UsageError: unknown names, or proposals are already there.
        DataMissingError: annotations are not there.
        DataError: a broken entry (:func:`fgbench.data.detection_results.read_results`).
        StoreError: proposals cannot be written.
    """
    place, pictures, facts = _pictures(dataset, data_root, files, None)
    path, folder = Path(file), Path(output) if output is not None else place
    proposals, report = read_results(path, pictures.image_ids, pictures.sizes, pictures.category_ids)
    metadata = {**facts, **proposals.metadata, "source_sha256": file_sha256(path)}
    write_proposals(folder, replace(proposals, metadata=metadata))
    return Import(folder, report)


def export_results(folder: str | Path, file: str | Path) -> int:
    """Write proposals as a COCO/LVIS result file; returns the number of entries.

    Raises:
        UsageError: the file exists.
        DataMissingError: no proposals there.
        DataError: they are damaged.
        StoreError: the file cannot be written.
    """
    if Path(file).exists():
        raise UsageError(f"{file} exists. Name another file, or remove this one.")
    return write_results(Path(file), read_proposals(Path(folder)))


def describe_proposals(folder: str | Path) -> dict[str, Any]:
    """Counts and metadata of stored proposals, as JSON.

    Raises:
        DataMissingError: no proposals there.
        DataError: they are damaged.
    """
    proposals = read_proposals(Path(folder))
    return {
        "images": len(proposals.image_ids),
        "images_without": len(proposals.image_ids) - len(set(proposals.box_image.tolist())),
        "boxes": len(proposals.box),
        "detections": len(proposals),
        "metadata": dict(proposals.metadata),
    }


def _pictures(
    dataset: str, data_root: str | Path | None, files: Files, limit: int | None
) -> tuple[Path, DetectionPictures, dict[str, Any]]:
    """The dataset's own place for proposals, its pictures, and facts about it for the metadata."""
    task, spec = selection.datasets().get(dataset)
    if not isinstance(task, HasDetectionPictures):
        known = [name for name in selection.datasets() if _detects(name)]
        raise UsageError(f"{dataset} is not for detection. Datasets that are: {', '.join(known) or 'none installed'}.")
    data_root, files = data_places(data_root, files)
    found = DatasetFiles(spec, resolve_root(data_root), api.overrides_by_dataset(files).get(spec.id, {}))
    pictures = task.pictures_to_detect(spec, found, limit)
    facts = {"dataset": spec.id, "annotations": {path.name: file_sha256(path) for path in found.read}}
    return found.places(ROLE)[0], pictures, facts


def _detects(dataset: str) -> bool:
    return isinstance(selection.datasets().get(dataset)[0], HasDetectionPictures)
