"""What ``fgbench data`` does, for notebooks: what is on disk, where it belongs, downloading, checking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fgbench import api, selection
from fgbench.data import inventory, verification
from fgbench.data.config import data_places
from fgbench.data.files import DatasetFiles
from fgbench.data.inventory import DatasetState
from fgbench.data.receipts import receipt_of
from fgbench.data.roots import resolve_root
from fgbench.data.space import human_size
from fgbench.data.verification import Verified
from fgbench.errors import DataMissingError, FgbenchError, StoreError, UsageError
from fgbench.runner.plan import make_plan
from fgbench.runner.progress import Progress, Silent
from fgbench.spec import DatasetSpec, HubSource

Names = str | Sequence[str] | None
Files = Mapping[str, str | Path] | None


@dataclass(frozen=True)
class Status:
    """Result of :func:`status`.

    Attributes:
        root: the data root.
        datasets: one row per selected dataset.
    """

    root: Path
    datasets: tuple[DatasetState, ...]

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON."""
        rows = [each.as_json(self.root) for each in self.datasets]
        return {"data_root": str(self.root), "summary": inventory.summary(self.datasets), "datasets": rows}


@dataclass(frozen=True)
class Place:
    """Where the files of one dataset are looked for."""

    spec: DatasetSpec
    roles: tuple[inventory.Role, ...]


@dataclass(frozen=True)
class SourceResult:
    """What became of one repository.

    Attributes:
        repo: its id.
        datasets: ids of the datasets that need it.
        status: ``downloaded``; ``complete``: all was there; ``listed``: a dry run; ``manual``: something has to be done
            by hand first; ``failed``.
        commit: of the repository, if it could be asked.
        size: bytes downloaded, or to be downloaded.
        files: names of the files downloaded, or to be downloaded.
        message: what is wrong and what to do.
    """

    repo: str
    datasets: tuple[str, ...]
    status: Literal["downloaded", "complete", "listed", "manual", "failed"]
    commit: str = ""
    size: int = 0
    files: tuple[str, ...] = ()
    message: str = ""


@dataclass(frozen=True)
class DatasetResult:
    """What became of one dataset.

    Attributes:
        id: of the dataset.
        status: ``present``: complete on disk; ``listed``: a dry run would download for it; ``manual``: something has to
            be done by hand; ``failed``.
        message: what is wrong and what to do.
    """

    id: str
    status: Literal["present", "listed", "manual", "failed"]
    message: str = ""


@dataclass(frozen=True)
class Obtained:
    """Result of :func:`get`."""

    root: Path
    sources: tuple[SourceResult, ...]
    datasets: tuple[DatasetResult, ...]

    @property
    def exit_code(self) -> int:
        """0 everything is there (or listed), 3 something has to be done by hand, 1 something failed."""
        states = {each.status for each in self.sources} | {each.status for each in self.datasets}
        return 1 if "failed" in states else 3 if "manual" in states else 0

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON."""
        return {
            "data_root": str(self.root),
            "sources": [vars(each) for each in self.sources],
            "datasets": [vars(each) for each in self.datasets],
        }


def status(
    task: Names = None, dataset: Names = None, *, data_root: str | Path | None = None, files: Files = None
) -> Status:
    """What is on disk of the selected datasets; reads annotations, opens no picture.

    Args:
        task, dataset, data_root, files: as in :func:`fgbench.api.plan`.

    Raises:
        UsageError: unknown ids or roles, or a data root that does not exist.
    """
    made = api.plan(task, dataset, data_root=data_root, files=files)
    root = made.datasets[0].files.root
    return Status(root, tuple(inventory.state(planned) for planned in made.datasets))


def where(
    task: Names = None, dataset: Names = None, *, data_root: str | Path | None = None, files: Files = None
) -> tuple[Path, tuple[Place, ...]]:
    """Where the files of the selected datasets are looked for; the data root need not exist.

    Raises:
        UsageError: unknown ids or roles.
    """
    given, files = data_places(data_root, files)
    root = Path(given).expanduser() if str(given) != "mini" else resolve_root(given)
    overrides = api.overrides_by_dataset(files)
    places = []
    for _, spec in selection.select(task, dataset):
        places.append(Place(spec, inventory.roles(DatasetFiles(spec, root, overrides.get(spec.id, {})))))
    return root, tuple(places)


def verify(
    task: Names = None,
    dataset: Names = None,
    *,
    data_root: str | Path | None = None,
    files: Files = None,
    full: bool = False,
    progress: Progress | None = None,
) -> tuple[Verified, ...]:
    """Compare what is on disk with what was published, and read every picture.

    Args:
        task, dataset, data_root, files: as in :func:`fgbench.api.plan`.
        full: decode every picture completely.
        progress: told how far it is.

    Raises:
        UsageError: unknown ids or roles, or a data root that does not exist.
    """
    made = api.plan(task, dataset, data_root=data_root, files=files)
    return tuple(verification.verify(made, progress or Silent(), full=full))


def get(
    task: Names = None,
    dataset: Names = None,
    *,
    data_root: str | Path | None = None,
    files: Files = None,
    revision: str | None = None,
    dry_run: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Obtained:
    """Download what the selected datasets declare on the hub; say what has to be done by hand for the rest.

    A dataset that is complete on disk is left alone, unless a revision is asked for. One failure does not keep the
    other datasets from being downloaded.

    Args:
        task, dataset, files: as in :func:`fgbench.api.plan`.
        data_root: as there; made if it does not exist.
        revision: branch, tag or commit; only with datasets from one repository.
        dry_run: list what would be downloaded; writes nothing.
        say: told what is going on, line by line.

    Raises:
        UsageError: unknown ids, roles or revision, or the generated data root.
        StoreError: the data root cannot be made.
    """
    given, files = data_places(data_root, files)
    if str(given) == "mini":
        raise UsageError("The miniature datasets are generated: there is nothing to download. Pass --data-root DIR.")
    root, chosen, overrides = Path(given).expanduser(), selection.select(task, dataset), api.overrides_by_dataset(files)

    def survey() -> dict[str, DatasetState]:
        made = make_plan(chosen, root, overrides=overrides)
        return {planned.spec.id: inventory.state(planned) for planned in made.datasets}

    before = survey()
    wanted = [spec for _, spec in chosen if revision or before[spec.id].state != "present"]
    sources = _sources(wanted)
    if revision and len(sources) != 1:
        repos = ", ".join(source.repo for source, _ in sources) or "none"
        raise UsageError(
            f"--revision pins one repository, but these datasets come from {len(sources)} ({repos}). "
            "Choose one dataset with --dataset."
        )
    if not dry_run:
        _make(root)
    for spec in wanted:
        if spec.hub:
            say(f"{spec.title}: licence: {spec.licence}")
    results = tuple(_obtain(source, users, root, revision, dry_run, say) for source, users in sources)
    after = before if dry_run else survey()
    return Obtained(root, results, tuple(_judge(spec, after[spec.id], results) for _, spec in chosen))


def _sources(specs: Sequence[DatasetSpec]) -> list[tuple[HubSource, tuple[str, ...]]]:
    """Every source once, with the datasets that need it."""
    found: list[tuple[HubSource, tuple[str, ...]]] = []
    for spec in specs:
        for source in spec.hub:
            known = next((index for index, (each, _) in enumerate(found) if each == source), None)
            if known is None:
                found.append((source, (spec.id,)))
            else:
                found[known] = (source, (*found[known][1], spec.id))
    return found


def _obtain(
    source: HubSource,
    users: tuple[str, ...],
    root: Path,
    revision: str | None,
    dry_run: bool,
    say: Callable[[str], None],
) -> SourceResult:
    from fgbench.data.hub import fetch, list_source  # the hub's client takes a third of a second to import

    try:
        if dry_run:
            listing, folder = list_source(source, revision), root / source.folder
            files = listing.to_get(folder, receipt_of(folder, source.repos))
            size = sum(file.size or 0 for file in files)
            return SourceResult(
                listing.source.repo, users, "listed", listing.commit, size, tuple(file.name for file in files)
            )
        done = fetch(source, root, revision, say)
    except UsageError:
        raise
    except DataMissingError as error:
        return SourceResult(source.repo, users, "manual", message=str(error))
    except FgbenchError as error:
        say(f"{source.repo}: failed, see below")
        return SourceResult(source.repo, users, "failed", message=str(error))
    for name in done.unpacked:
        freed = human_size((done.folder / name).stat().st_size)
        say(f"{done.folder / name} was unpacked; deleting it frees {freed} and does no harm")
    message = "Not compared with the hub: HF_HUB_OFFLINE is set." if done.offline else ""
    state: Literal["downloaded", "complete"] = "downloaded" if done.downloaded else "complete"
    return SourceResult(done.repo, users, state, done.commit, done.size, done.downloaded, message)


def _judge(spec: DatasetSpec, state: DatasetState, sources: Sequence[SourceResult]) -> DatasetResult:
    own = [source for source in sources if spec.id in source.datasets]
    if state.state == "present":
        return DatasetResult(spec.id, "present")
    if any(source.status == "failed" for source in own):
        return DatasetResult(spec.id, "failed", "its download failed, see above")
    if state.state == "broken":
        return DatasetResult(spec.id, "failed", state.problem or "")
    listed = [source for source in own if source.status == "listed"]
    if listed and all(source.status == "listed" for source in own):
        return DatasetResult(spec.id, "listed")
    what = f"{state.pictures_found:,} of {state.pictures:,} pictures are on disk. " if state.pictures_found else ""
    return DatasetResult(spec.id, "manual", what + spec.how_to_get)


def _make(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"Data root {root} cannot be made ({error.strerror}). Choose another --data-root.") from error
