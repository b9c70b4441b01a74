"""Are the files on disk the published ones, complete and readable?

Every check is made and everything that is found is counted; no problem keeps the rest from being looked at.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fgbench.data.digests import file_sha256
from fgbench.data.images import Probe, decode, probe
from fgbench.data.inventory import relative, roles
from fgbench.data.receipts import Receipt, receipt_of
from fgbench.errors import DataError
from fgbench.requests import ImageRef, Texts
from fgbench.spec import HubSource

if TYPE_CHECKING:
    from fgbench.runner.plan import Plan, PlannedDataset
    from fgbench.runner.progress import Progress

Severity = Literal["broken", "missing", "note"]


@dataclass(frozen=True)
class Finding:
    """One kind of problem of one dataset.

    Attributes:
        kind: stable name, for programs.
        severity: ``broken``: results would be wrong or impossible; ``missing``: they would be incomplete; ``note``:
            worth knowing, and true of some published datasets as well.
        count: how often it was found.
        message: what it is, and what to do.
        items: every case.
    """

    kind: str
    severity: Severity
    count: int
    message: str
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verified:
    """The result for one dataset.

    Attributes:
        dataset: its id.
        items: by subset.
        pictures: distinct pictures that were read.
        checksums: files whose digest was compared.
        findings: worst first.
    """

    dataset: str
    items: dict[str, int]
    pictures: int
    checksums: int
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Literal["ok", "missing", "broken"]:
        """The worst of the findings; notes do not count."""
        severities = {finding.severity for finding in self.findings}
        return "broken" if "broken" in severities else "missing" if "missing" in severities else "ok"

    def as_json(self) -> dict[str, Any]:
        """Everything, all cases included."""
        return {**vars(self), "verdict": self.verdict, "findings": [vars(finding) for finding in self.findings]}


def verify(plan: Plan, progress: Progress, *, full: bool = False, threads: int = 8) -> list[Verified]:
    """Check the datasets of a plan; a picture that several of them share is read once.

    Args:
        plan: with every item (no limit).
        progress: told how far it is.
        full: decode every picture completely; otherwise only its header is looked at (and all of its bytes are read).
        threads: pictures read at the same time.
    """
    there = [sorted(set(planned.images()) - planned.missing, key=str) for planned in plan.datasets]
    pictures = list(dict.fromkeys(ref for refs in there for ref in refs))
    read: dict[ImageRef, Probe | DataError] = {}
    with progress.stage("Pictures", len(pictures)) as advance, ThreadPoolExecutor(threads) as pool:
        for ref, result in zip(pictures, pool.map(lambda ref: _inspect(ref, full), pictures), strict=True):
            read[ref] = result
            advance(1)
    digests: dict[Path, str] = {}
    verified = []
    with progress.stage("Annotations", len(plan.datasets)) as advance:
        for planned, refs in zip(plan.datasets, there, strict=True):
            verified.append(_verify(planned, [(ref, read[ref]) for ref in refs], digests))
            advance(1)
    return verified


def _verify(
    planned: PlannedDataset, pictures: Sequence[tuple[ImageRef, Probe | DataError]], digests: dict[Path, str]
) -> Verified:
    checksums, wrong = _checksums(planned, digests)
    found = [*_annotations(planned), *_pictures(planned, pictures), *wrong, *_contents(planned)]
    order = ("broken", "missing", "note")
    return Verified(
        planned.spec.id,
        dict(planned.loaded.size) if planned.loaded else {},
        len(pictures),
        checksums,
        tuple(sorted(found, key=lambda finding: order.index(finding.severity))),
    )


def _annotations(planned: PlannedDataset) -> Iterator[Finding]:
    """Can the annotation files be read, and do they hold as many items as were published?"""
    spec = planned.spec
    if isinstance(planned.problem, DataError):
        yield Finding("annotations", "broken", 1, "An annotation file cannot be understood.", (str(planned.problem),))
    elif planned.problem:
        absent = [role for role in roles(planned.files) if not role.found and not role.pictures]
        items = [f"{role.name}: {relative(role.places[0], planned.files.root)}" for role in absent]
        message = f"Files are not there. {spec.how_to_get}"
        yield Finding("annotations", "missing", len(items) or 1, message, tuple(items or [str(planned.problem)]))
    if planned.loaded is None:
        return
    for subset, published in spec.published_items.items():
        found = planned.loaded.size.get(subset, 0)
        name = f" of {subset}" if len(spec.published_items) > 1 else ""
        if found < published:
            message = f"{found:,} items{name}; {published:,} were published. Results will be marked incomplete."
            yield Finding("count", "missing", published - found, message)
        elif found > published:
            message = f"{found:,} items{name}; only {published:,} were published. This is another version of the files."
            yield Finding("count", "broken", found - published, message)


def _pictures(planned: PlannedDataset, pictures: Sequence[tuple[ImageRef, Probe | DataError]]) -> Iterator[Finding]:
    root = planned.files.root
    if planned.missing:
        names = sorted(_name(ref, root) for ref in planned.missing)
        message = f"Pictures that the annotations name are not there. {planned.spec.how_to_get}"
        yield Finding("pictures_missing", "missing", len(names), message, tuple(names))
    unreadable = [str(result) for _, result in pictures if isinstance(result, DataError)]
    if unreadable:
        message = "Pictures cannot be read. Delete them, or the archive they are in, and get them again."
        yield Finding("pictures_unreadable", "broken", len(unreadable), message, tuple(unreadable))
    same: dict[str, list[str]] = defaultdict(list)
    for ref, result in pictures:
        if isinstance(result, Probe):
            same[result.digest].append(_name(ref, root))
    groups = sorted(" = ".join(names) for names in same.values() if len(names) > 1)
    if groups:
        message = "Pictures with the same content under several names; in retrieval at most one of them can be right."
        yield Finding("pictures_duplicated", "note", len(groups), message, tuple(groups))


def _contents(planned: PlannedDataset) -> Iterator[Finding]:
    """Repeated texts and ids, and items that no model can be evaluated on."""
    if planned.loaded is None:
        return
    for request in planned.requests.values():
        # A request that counts mentions has been freed of repetitions, which there are part of the design.
        if isinstance(request, Texts) and request.mentions is None:
            yield from _repeated(request.texts, "texts_duplicated", "Texts that occur more than once.")
    yield from _repeated(_ids(planned.loaded.items), "ids_duplicated", "Item ids that occur more than once.")
    rejected = planned.loaded.rejected
    if rejected:
        items = tuple(f"{reason}: {count:,}" for reason, count in rejected.most_common())
        message = "Items that cannot be evaluated; they are counted as skipped in every result."
        yield Finding("items_rejected", "note", rejected.total(), message, items)


def _repeated(values: Iterable[Any], kind: str, message: str) -> Iterator[Finding]:
    often = [(value, count) for value, count in Counter(values).items() if count > 1]
    if often:
        yield Finding(kind, "note", len(often), message, tuple(f"{count} × {value}" for value, count in often))


def _ids(items: Any) -> list[Any]:
    """Ids of a task's own records, where they have any: an array ``ids``, or records with an ``id``."""
    ids = getattr(items, "ids", None)
    if ids is not None:
        return list(ids)
    return [each.id for each in getattr(items, "items", ()) if hasattr(each, "id")]


def _checksums(planned: PlannedDataset, digests: dict[Path, str]) -> tuple[int, list[Finding]]:
    """Compare the downloaded files with the digests that are known, or were noted when they were downloaded."""
    compared, wrong, gone = 0, [], []
    for source in planned.spec.hub:
        folder = planned.files.root / source.folder
        try:
            receipt = receipt_of(folder, source.repos)
        except DataError as error:
            wrong.append(str(error))
            receipt = None
        for name, digest in _expected(source, receipt).items():
            path = folder / name
            shown = relative(path, planned.files.root)
            if path.is_file():
                compared += 1
                found = _digest(path, digests)
                if found != digest:
                    wrong.append(f"{shown}: SHA-256 {found}, expected {digest}")
            elif receipt and name in receipt.files and not receipt.has(folder, name):
                gone.append(shown)
    findings = []
    if wrong:
        message = "Files are not the published ones, or were damaged. Delete them and run 'fgbench data get'."
        findings.append(Finding("checksum", "broken", len(wrong), message, tuple(wrong)))
    if gone:
        message = "Files were downloaded, but are gone. Run 'fgbench data get'."
        findings.append(Finding("download_gone", "missing", len(gone), message, tuple(gone)))
    return compared, findings


def _expected(source: HubSource, receipt: Receipt | None) -> dict[str, str]:
    """Digests by name in the repository: as noted at the download; a published one has the last word."""
    expected = {name: received.sha256 for name, received in receipt.files.items()} if receipt else {}
    for name, digest in source.sha256.items():
        # Published digests may be listed by the last part of the name only.
        expected[next((known for known in expected if known.rpartition("/")[2] == name), name)] = digest
    return expected


def _digest(path: Path, known: dict[Path, str]) -> str:
    """Digest of a file, read once for all datasets; what is wrong with it, if it cannot be read."""
    if path not in known:
        try:
            known[path] = file_sha256(path)
        except DataError as error:
            known[path] = f"unknown ({error})"
    return known[path]


def _name(ref: ImageRef, root: Path) -> str:
    return relative(Path(ref.path), root) + (f"!{ref.member}" if ref.member else "")


def _inspect(ref: ImageRef, full: bool) -> Probe | DataError:
    try:
        if full:
            decode(ref)
        return probe(ref)
    except DataError as error:
        return error
