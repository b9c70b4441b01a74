"""What went wrong with a download, in the user's words: what was found, what to do."""

from __future__ import annotations

from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from fgbench.data.space import FULL
from fgbench.errors import DataMissingError, FgbenchError, StoreError, UsageError
from fgbench.spec import HubSource


class DownloadError(FgbenchError):
    """A download failed for now; the same command may succeed later (exit code 1)."""


class NoRepositoryError(DataMissingError):
    """The hub knows no repository of this id, or does not show it to this user."""


def page(source: HubSource) -> str:
    """Where the repository is shown in a browser."""
    return f"{constants.ENDPOINT}/datasets/{source.repo}"


def access_steps(source: HubSource) -> str:
    """What to do about a repository whose owner wants to be asked."""
    return (
        f"1. Open {page(source)}, log in, and agree to its terms. "
        "2. Run 'hf auth login', or set HF_TOKEN, with a token of that account. "
        "3. Run the same command again."
    )


def explain(error: Exception, source: HubSource, revision: str, name: str | None = None) -> FgbenchError:
    """The error of ours that stands for one of the client's.

    Args:
        error: as the client raised it.
        source: what was being downloaded.
        revision: branch, tag or commit.
        name: the file, or None if it happened while listing.
    """
    what = f"{source.repo}: {name}" if name else source.repo
    cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else None
    if isinstance(cause, Exception):
        return explain(cause, source, revision, name)
    if isinstance(error, GatedRepoError):
        return DataMissingError(f"{source.repo} is given out on request only (HTTP 403). {access_steps(source)}")
    if isinstance(error, RevisionNotFoundError):
        return UsageError(
            f"{source.repo} has no revision {revision!r}. Branches, tags and commits: {page(source)}/commits/main"
        )
    if isinstance(error, RepositoryNotFoundError):
        return NoRepositoryError(
            f"There is no dataset {source.repo} at {constants.ENDPOINT}, or it is not public "
            f"({_status(error)}). Look at {page(source)}. If it is private or asks for terms, log in with "
            "'hf auth login'; if HF_ENDPOINT names a mirror, that mirror may lack it."
        )
    if isinstance(error, OfflineModeIsEnabled):
        return DownloadError(f"{what}: HF_HUB_OFFLINE forbids to ask the hub. Unset it to download.")
    if isinstance(error, HfHubHTTPError):
        return _refused(error, source, what)
    if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
        return DataMissingError(f"{what} is listed, but the hub does not have it. Try another --revision.")
    if isinstance(error, HFValidationError):
        return UsageError(f"{what}: {error}")
    if isinstance(error, OSError) and error.errno in FULL:
        return StoreError(f"{what}: no space left on the disk. What was finished is kept: make room and run it again.")
    if isinstance(error, OSError) and error.errno and error.filename:
        return StoreError(f"{what}: {error.filename} cannot be written ({error.strerror}).")
    return DownloadError(
        f"{what}: the connection to {constants.ENDPOINT} failed ({type(error).__name__}: {_line(error)}). "
        "Files that were complete are kept: check the network, or set HF_ENDPOINT to a mirror, and run it again."
    )


def _refused(error: HfHubHTTPError, source: HubSource, what: str) -> FgbenchError:
    status = _status(error)
    if isinstance(error, EntryNotFoundError) or status == "HTTP 404":
        return DataMissingError(f"{what}: the hub does not have it ({status}). Try another --revision.")
    if status in ("HTTP 401", "HTTP 403"):
        return DataMissingError(
            f"{what}: the hub refuses access ({status}): no token, a token that is no longer valid, or an account "
            f"without permission. {access_steps(source)}"
        )
    if status == "HTTP 429":
        return DownloadError(
            f"{what}: too many requests ({status}). Wait a few minutes and run the same command again; with a "
            "token (HF_TOKEN) more requests are allowed. Files that were complete are kept."
        )
    return DownloadError(
        f"{what}: the hub answered {status} ({_line(error)}). Files that were complete are kept: run it again later."
    )


def _status(error: HfHubHTTPError) -> str:
    return f"HTTP {error.response.status_code}" if error.response is not None else "no answer"


def _line(error: Exception) -> str:
    """The first line of a message: the client's go on with advice about its own options."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
