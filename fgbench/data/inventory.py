"""What is on disk, and where it belongs: one row per dataset, from a plan. No picture is opened."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from fgbench.data.files import DatasetFiles
from fgbench.errors import DataError
from fgbench.requests import ImageRef
from fgbench.spec import DatasetSpec

if TYPE_CHECKING:
    from fgbench.runner.plan import PlannedDataset

State = Literal["present", "partial", "missing", "broken"]

_SAMPLE = 400
"""Of more pictures than this, every n-th is measured: a stat call per picture takes minutes on network disks."""


@dataclass(frozen=True)
class Role:
    """Where one kind of file of a dataset is, or should be.

    Attributes:
        name: as in the specification: ``annotations``, ``images``, …
        key: how ``--set`` and ``fgbench.toml`` call it: ``<dataset>.<role>``.
        pictures: a folder or archive of pictures, not an annotation file.
        found: the place that is used; None if there is none.
        places: where it is looked for, best first.
    """

    name: str
    key: str
    pictures: bool
    found: Path | None
    places: tuple[Path, ...]


@dataclass(frozen=True)
class DatasetState:
    """What is there of one dataset.

    Attributes:
        id, title, licence: of the dataset.
        state: ``present``: annotations are readable and every picture that they name is on disk; ``partial``: some
            annotation files or pictures are there; ``missing``: no annotations are (no pictures, where there are no
            annotations); ``broken``: annotations cannot be understood.
        roles: where each kind of file was found, or looked for.
        items, published_items: items in the annotations, and in the published dataset.
        pictures, pictures_found: distinct pictures that are named, and of them on disk.
        annotation_bytes, picture_bytes: size on disk; pictures inside archives count with the whole archive.
        estimated: ``picture_bytes`` is extrapolated from a sample.
        problem: what is wrong and what to do.
    """

    id: str
    title: str
    licence: str
    state: State
    roles: tuple[Role, ...]
    items: int
    published_items: int
    pictures: int
    pictures_found: int
    annotation_bytes: int
    picture_bytes: int
    estimated: bool
    problem: str | None

    def as_json(self, root: Path) -> dict[str, Any]:
        """The row as JSON; paths below the data root relative to it."""
        return {
            **{name: value for name, value in vars(self).items() if name != "roles"},
            "roles": {
                role.name: {
                    "found": relative(role.found, root) if role.found else None,
                    "looked": [relative(place, root) for place in role.places],
                }
                for role in self.roles
            },
        }


def is_picture_role(name: str) -> bool:
    """Does this role stand for pictures, as opposed to annotation files?"""
    return name == "images" or name.endswith(("_images", "-images"))


def roles(files: DatasetFiles) -> tuple[Role, ...]:
    """Where each role of a dataset is.

    A place that is the data root itself only says that pictures may lie right there: it does not count as found.
    """
    found = []
    for name in files.spec.files:
        places = tuple(files.places(name))
        there = [place for place in places if place.exists()]
        if name not in files.overrides:
            there = [place for place in there if place != files.root]
        found.append(Role(name, f"{files.spec.id}.{name}", is_picture_role(name), there[0] if there else None, places))
    return tuple(found)


def state(planned: PlannedDataset) -> DatasetState:
    """What is there of a planned dataset."""
    spec = planned.spec
    known = roles(planned.files)
    annotations = [role for role in known if not role.pictures]
    named = set(planned.images())
    on_disk = named - planned.missing
    items = sum(planned.loaded.size.values()) if planned.loaded else 0
    published = sum(spec.published_items.values())
    # Where no annotation file names the pictures, the published number stands for the names.
    pictures = len(named) if annotations else max(len(named), published)
    picture_bytes, estimated = _picture_bytes(on_disk)
    if isinstance(planned.problem, DataError):
        judged: State = "broken"
    elif planned.loaded and planned.problem is None and items and len(on_disk) == pictures:
        judged = "present"
    elif on_disk or any(role.found for role in (annotations or known)):
        judged = "partial"
    else:
        judged = "missing"
    return DatasetState(
        id=spec.id,
        title=spec.title,
        licence=spec.licence,
        state=judged,
        roles=known,
        items=items,
        published_items=published,
        pictures=pictures,
        pictures_found=len(on_disk),
        annotation_bytes=sum(map(_size, {role.found for role in annotations if role.found})),
        picture_bytes=picture_bytes,
        estimated=estimated,
        problem=_problem(planned, pictures, len(on_disk)) if judged != "present" else None,
    )


def relative(path: Path, root: Path) -> str:
    """A path as people write it: relative to the data root if it is below it."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def layout(specs: Iterable[DatasetSpec]) -> dict[str, Any]:
    """An example of a data root with these datasets: nested folders; a leaf is the list of ``--set`` keys it serves.

    Of each role the first place is taken, which is the one that ``fgbench data get`` and the guides use.
    """
    tree: dict[str, Any] = {}
    for spec in specs:
        for name, places in spec.files.items():
            node = tree
            for part in PurePosixPath(places[0]).parts:
                node = node.setdefault(part, {})
            node.setdefault("", []).append(f"{spec.id}.{name}")
    return tree


def _problem(planned: PlannedDataset, pictures: int, on_disk: int) -> str:
    if planned.problem:
        return str(planned.problem)
    if pictures > on_disk:
        example = min((str(ref) for ref in planned.missing), default="")
        return (
            f"{planned.spec.id}: {pictures - on_disk:,} of {pictures:,} pictures are not on disk"
            + (f", for example {example}" if example else "")
            + f".\n{planned.spec.how_to_get}"
        )
    return f"{planned.spec.id}: its files hold no items.\n{planned.spec.how_to_get}"


def _picture_bytes(refs: Iterable[ImageRef]) -> tuple[int, bool]:
    plain: set[str] = set()
    archives: set[str] = set()
    for ref in refs:
        (archives if ref.member else plain).add(ref.path)
    step = max(1, len(plain) // _SAMPLE)
    sample = sorted(plain)[::step]
    measured = sum(_size(Path(path)) for path in sample)
    scaled = round(measured * len(plain) / len(sample)) if sample else 0
    return scaled + sum(_size(Path(path)) for path in archives), step > 1


def _size(path: Path | None) -> int:
    """Bytes of a file, or of the files directly in a folder."""
    try:
        if path is None:
            return 0
        if path.is_dir():
            with os.scandir(path) as entries:
                return sum(entry.stat().st_size for entry in entries if entry.is_file())
        return path.stat().st_size
    except OSError:
        return 0


def summary(states: Iterable[DatasetState]) -> Mapping[str, int]:
    """How many datasets are in each state."""
    counted = {"present": 0, "partial": 0, "missing": 0, "broken": 0}
    for each in states:
        counted[each.state] += 1
    return counted
