"""Boxes that a detector proposed, on disk: run the detector once, re-score with any number of models.

A folder: shards of some pictures each, complete or absent, and ``proposals.json``, which is written last and lists
them. In memory: :class:`Proposals`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fgbench.data.annotations import field as get
from fgbench.data.annotations import read_json
from fgbench.data.array_files import read_arrays, write_arrays
from fgbench.data.atomic import write_atomic
from fgbench.data.proposal_arrays import Proposals as Proposals
from fgbench.data.proposal_arrays import best_per_image as best_per_image
from fgbench.data.proposal_arrays import merge
from fgbench.data.proposal_arrays import select as select
from fgbench.errors import DataError, DataMissingError, UsageError

SCHEMA = "fgbench.proposals/1"
INDEX = "proposals.json"
SUFFIX = ".safetensors"

_STORED = {
    "image_ids": np.int64,
    "box": np.float32,
    "box_image": np.int32,
    "det_box": np.int32,
    "det_category": np.int64,
    "det_score": np.float32,
}


def write_shard(folder: Path, name: str, part: Proposals) -> Path:
    """Write the proposals of some pictures, with their metadata; equal proposals give equal bytes.

    Args:
        folder: of the proposals.
        name: of the shard, without suffix.
        part: the pictures' proposals.

    Raises:
        StoreError: it cannot be written.
    """
    path = folder / f"{name}{SUFFIX}"
    arrays = {key: getattr(part, key).astype(dtype, copy=False) for key, dtype in _STORED.items()}
    write_arrays(path, arrays, {"schema": SCHEMA, "shard": json.dumps(dict(part.metadata), sort_keys=True)})
    return path


def read_shard(path: Path) -> Proposals:
    """Read one shard.

    Raises:
        DataError: missing, damaged, or of another schema.
    """
    arrays, strings = read_arrays(path)
    if strings.get("schema") != SCHEMA or set(arrays) != set(_STORED) or not all(a.ndim for a in arrays.values()):
        raise DataError(f"{path}: not a shard of {SCHEMA} (found schema {strings.get('schema')!r}).")
    typed: dict[str, Any] = {
        key: array.astype(np.float32 if array.dtype.kind == "f" else np.int64, copy=False)
        for key, array in arrays.items()
    }
    try:
        return Proposals(**typed, metadata=json.loads(strings.get("shard", "{}")))
    except (DataError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error


def write_index(folder: Path, metadata: Mapping[str, Any]) -> None:
    """Declare the shards that lie in the folder to be complete.

    Raises:
        StoreError: it cannot be written.
    """
    content = {"schema": SCHEMA, "metadata": dict(metadata), "shards": _shards(folder)}
    write_atomic(folder / INDEX, (json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode())


def write_proposals(place: Path, proposals: Proposals, images_per_shard: int = 1000) -> None:
    """Write proposals that are in memory.

    Raises:
        UsageError: other proposals lie there.
        StoreError: they cannot be written.
    """
    if (place / INDEX).exists() or _shards(place):
        raise UsageError(f"{place} already holds proposals. Name another folder, or remove this one.")
    size = len(proposals.image_ids)
    for number, start in enumerate(range(0, max(size, 1), images_per_shard)):
        part = select(proposals, proposals.image_ids[start : start + images_per_shard])
        write_shard(place, f"{number:05d}", replace(part, metadata={}))
    write_index(place, proposals.metadata)


def read_proposals(place: Path) -> Proposals:
    """Read all shards of a folder and merge them by picture.

    A picture that is in two shards with exactly the same detections counts once; how often that was so stands in the
    metadata as ``repeated_images``.

    Raises:
        DataMissingError: no (finished) proposals there.
        DataError: damaged, incomplete, or two shards that disagree on a picture.
    """
    if not (place / INDEX).is_file():
        unfinished = f" {len(_shards(place))} shards of an unfinished run lie there." if _shards(place) else ""
        raise DataMissingError(
            f"{place}: no {INDEX}.{unfinished} Make the proposals with `fgbench detect`, or import them with "
            "`fgbench proposals import`."
        )
    where = str(place / INDEX)
    content = read_json(place / INDEX)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else content
        raise DataError(f"{where}: expected schema {SCHEMA!r}, found {found!r:.60}.")
    metadata = get(content, "metadata", dict, where)
    listed, there = get(content, "shards", list, where), _shards(place)
    if listed != there:
        differing = sorted(set(map(str, listed)) ^ set(there))
        raise DataError(
            f"{where}: lists {len(listed)} shards, but {len(there)} lie there (differing: {', '.join(differing[:3])}). "
            "Make or copy the proposals again."
        )
    return merge([read_shard(place / name) for name in there], metadata, there)


def _shards(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(f"*{SUFFIX}"))
