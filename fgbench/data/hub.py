"""Downloading what a dataset declares on the Hugging Face hub, with the hub's own client.

The client honours its environment: ``HF_ENDPOINT`` (a mirror), ``HF_HUB_OFFLINE``, ``HF_TOKEN``, proxies. What is added
here: one listing pins the commit, disk space is checked first, digests are compared, archives are unpacked safely, a
receipt says what came from where, and every failure says what to do.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from huggingface_hub import HfApi, constants, get_token, hf_hub_download
from huggingface_hub import errors as hub_errors
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from fgbench.data.digests import file_sha256
from fgbench.data.hub_errors import DownloadError, NoRepositoryError, access_steps, explain
from fgbench.data.receipts import Receipt, Received, receipt_of, write_receipt
from fgbench.data.space import human_size, require_space
from fgbench.data.unpack import unpack
from fgbench.errors import DataError, DataMissingError, StoreError
from fgbench.spec import HubSource

Say = Callable[[str], None]

_ATTEMPTS = 4
_LONGEST_WAIT = 60.0
_TRANSPORT: type[Exception] = vars(hub_errors)["HTTPError"]
"""Base of the errors of the client's HTTP library, whichever it is in this version."""


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub lists it.

    Attributes:
        name: path in the repository.
        size: bytes, if the hub says so.
        sha256: digest, of files that the hub stores outside of git.
        blob: git's digest, of the others.
    """

    name: str
    size: int | None
    sha256: str | None
    blob: str | None


@dataclass(frozen=True)
class Listing:
    """The files of a source at one commit."""

    source: HubSource
    revision: str
    commit: str
    files: tuple[RemoteFile, ...]

    def to_get(self, folder: Path, receipt: Receipt | None) -> list[RemoteFile]:
        """The files that are not there yet, as they are at this commit."""
        if receipt is None:
            return list(self.files)
        current = {name for name, received in receipt.files.items() if received.commit == self.commit}
        return [file for file in self.files if not (file.name in current and receipt.has(folder, file.name))]


@dataclass(frozen=True)
class Fetched:
    """What :func:`fetch` did.

    Attributes:
        repo, commit: where the files are from.
        folder: where they are.
        downloaded, kept: names of files that were downloaded, or were there already.
        size: bytes downloaded.
        unpacked: archives that were unpacked; they may be deleted.
        offline: nothing could be asked, what is there is complete.
    """

    repo: str
    commit: str
    folder: Path
    downloaded: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    size: int = 0
    unpacked: tuple[str, ...] = ()
    offline: bool = False


def list_source(source: HubSource, revision: str | None = None) -> Listing:
    """Ask the hub which files a source has, and at which commit. Waits and asks again if the hub is busy.

    Of a source with two ids the second is asked if the hub has not the first; the listing's source is the one it has.

    Raises:
        UsageError: there is no such revision.
        DataMissingError: the repository or its files are not there, or not for this user.
        DownloadError: the hub cannot be reached or refuses for now.
        DataError: the hub's file is another than the known one.
    """
    try:
        return _list(source, revision or constants.DEFAULT_REVISION)
    except NoRepositoryError:
        if not source.moved_to:
            raise
        with suppress(NoRepositoryError):
            return _list(replace(source, repo=source.moved_to), revision or constants.DEFAULT_REVISION)
        raise


def _list(source: HubSource, revision: str) -> Listing:
    if source.gated and not get_token():
        raise DataMissingError(f"{source.repo} is given out on request only. {access_steps(source)}")
    info = _asked(source, revision)
    names = [file.name for file in info.files]
    files = tuple(file for file in info.files if any(fnmatchcase(file.name, pattern) for pattern in source.files))
    absent = [pattern for pattern in source.files if not ("*" in pattern or "?" in pattern or pattern in names)]
    if absent or not files:
        raise DataMissingError(
            f"{source.repo} at {info.commit[:12]} has no {' and no '.join(absent or source.files)}; it has "
            f"{_some(names)}. Its owner may have moved it: an older --revision may still have it."
        )
    for file in files:
        parts = PurePosixPath(file.name).parts
        if not parts or parts[0] == "/" or ".." in parts or "\\" in file.name or ":" in parts[0]:
            raise DataError(f"{source.repo}: the file name {file.name!r} would leave the folder. Nothing downloaded.")
        known = known_sha256(source, file.name)
        if known and file.sha256 and known != file.sha256:
            raise DataError(_other_file(source, file.name, info.commit, file.sha256, known))
    return replace(info, files=files)


def fetch(source: HubSource, root: Path, revision: str | None = None, say: Say = lambda _: None) -> Fetched:
    """Download what is not there yet, check it, unpack what has to be unpacked, write the receipt.

    A cut connection is resumed by the client. Files that were complete when a download was interrupted are kept.

    Args:
        source: what to download.
        root: the data root.
        revision: branch, tag or commit; None for the default branch.
        say: told what is going on, line by line.

    Raises:
        UsageError, DataMissingError, DownloadError: as :func:`list_source`.
        DataError: a file has another digest than the known one; it is not left in place. Or an archive is refused.
        StoreError: no space, or the folder cannot be written.
    """
    folder = root / source.folder
    if constants.HF_HUB_OFFLINE:
        return _offline(source, folder, receipt_of(folder, source.repos), revision)
    listing = list_source(source, revision)
    receipt, repos, source = receipt_of(folder, source.repos), source.repos, listing.source
    missing = listing.to_get(folder, receipt)
    size = sum(file.size or 0 for file in missing if not (folder / file.name).is_file())
    require_space(folder, size, f"Downloading {source.repo}")
    if missing:
        number = f"{len(missing)} files" if len(missing) > 1 else "1 file"
        say(f"{source.repo} at {listing.commit[:12]}: {number}, {human_size(size)}, to {folder}")
    files = dict(receipt.files) if receipt else {}
    downloaded, unpacked = [], []
    for file in missing:
        if not _adoptable(folder, file, listing, files.get(file.name)):
            _download(source, folder, file.name, listing.commit)
            downloaded.append(file.name)
        received = _checked(folder, file, listing)
        if any(fnmatchcase(file.name, pattern) for pattern in source.unpack):
            say(f"Unpacking {file.name}")
            received = replace(received, unpacked=unpack(folder / file.name, folder).top)
            unpacked.append(file.name)
        files[file.name] = received
        write_receipt(
            folder, Receipt(source.repo, listing.revision, listing.commit, complete=False, files=files), repos
        )
    files = {file.name: files[file.name] for file in listing.files}
    write_receipt(folder, Receipt(source.repo, listing.revision, listing.commit, complete=True, files=files), repos)
    return Fetched(
        source.repo,
        listing.commit,
        folder,
        tuple(downloaded),
        tuple(name for name in files if name not in downloaded),
        sum(files[name].size for name in downloaded),
        tuple(unpacked),
    )


def known_sha256(source: HubSource, name: str) -> str | None:
    """The digest that is known of a file: by its name in the repository, else by the last part of it."""
    return source.sha256.get(name) or source.sha256.get(PurePosixPath(name).name)


def _asked(source: HubSource, revision: str) -> Listing:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            info = HfApi().dataset_info(source.repo, revision=revision, files_metadata=True)
            break
        except (_TRANSPORT, OfflineModeIsEnabled, OSError, ValueError) as error:
            wait = _wait(error, attempt)
            if wait is None or attempt == _ATTEMPTS:
                raise explain(error, source, revision) from error
            time.sleep(wait)
    files = [
        RemoteFile(each.rfilename, each.size, each.lfs.sha256 if each.lfs else None, each.blob_id)
        for each in info.siblings or ()
    ]
    return Listing(source, revision, info.sha or revision, tuple(files))


def _wait(error: Exception, attempt: int) -> float | None:
    """Seconds to wait before asking again; None if asking again is of no use."""
    if not isinstance(error, HfHubHTTPError) or error.response is None:
        return None
    status, after = error.response.status_code, error.response.headers.get("Retry-After", "")
    if status not in (429, 500, 502, 503, 504):
        return None
    wait = float(after) if after.isdigit() else 2.0**attempt
    return wait if wait <= _LONGEST_WAIT else None


def _download(source: HubSource, folder: Path, name: str, commit: str) -> None:
    try:
        hf_hub_download(source.repo, name, repo_type="dataset", revision=commit, local_dir=folder)
    except (_TRANSPORT, OfflineModeIsEnabled, hub_errors.EntryNotFoundError, OSError, ValueError) as error:
        raise explain(error, source, commit, name) from error


def _adoptable(folder: Path, file: RemoteFile, listing: Listing, received: Received | None) -> bool:
    """Is the right file there already, put there by hand, by an earlier commit or by an interrupted run?

    Raises:
        DataError: another file of this name is there, and it is not one that was downloaded.
    """
    path = folder / file.name
    if not path.is_file():
        return False
    if _right(path, file, listing.source, file_sha256(path)):
        return True
    if received is None:
        raise DataError(
            f"{path} is already there, but it is not the file that the hub has under this name, and fgbench did not "
            "download it. Nothing was overwritten: move it away and run the same command again."
        )
    if received.commit == listing.commit:
        path.unlink()  # damaged since: the client would take it for complete
    return False


def _checked(folder: Path, file: RemoteFile, listing: Listing) -> Received:
    path = folder / file.name
    digest = file_sha256(path)
    if _right(path, file, listing.source, digest):
        return Received(path.stat().st_size, digest, listing.commit)
    known = known_sha256(listing.source, file.name)
    intact = _right(path, file, None, digest)
    try:
        path.unlink()
    except OSError as error:
        raise StoreError(f"{path}: has the wrong content and cannot be deleted ({error.strerror}).") from error
    if known and intact:
        raise DataError(_other_file(listing.source, file.name, listing.commit, digest, known))
    raise DataError(
        f"{path}: damaged on the way: its SHA-256 is {digest}, which is not what the hub has. "
        "It was deleted; run the same command again."
    )


def _right(path: Path, file: RemoteFile, source: HubSource | None, digest: str) -> bool:
    """Has a file the published digest, or if none is known the hub's? True if the hub lists none either."""
    known = known_sha256(source, file.name) if source else None
    if known or file.sha256:
        return digest == (known or file.sha256)
    if not file.blob:
        return True
    data = path.read_bytes()
    return file.blob == hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _offline(source: HubSource, folder: Path, receipt: Receipt | None, revision: str | None) -> Fetched:
    asked = receipt and revision in (None, receipt.revision, receipt.commit)
    if receipt and asked and receipt.complete and all(receipt.has(folder, name) for name in receipt.files):
        return Fetched(receipt.repo, receipt.commit, folder, kept=tuple(receipt.files), offline=True)
    raise DownloadError(
        f"{source.repo} is not complete in {folder}, and HF_HUB_OFFLINE forbids to ask the hub. Unset it; or run "
        "'fgbench data get' on a computer with a connection and copy the folder, with its "
        f"fgbench-source.json, to {folder}."
    )


def _other_file(source: HubSource, name: str, commit: str, found: str, known: str) -> str:
    return (
        f"{source.repo}: {name} at {commit[:12]} is not the file that the published numbers belong to: "
        f"SHA-256 {found}, expected {known}. It was not kept. If a download was disturbed, run the same command "
        "again; if the owner replaced the file, pass the --revision before that."
    )


def _some(names: list[str], most: int = 8) -> str:
    return (", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")) or "no files"
