"""What was downloaded from where: a small JSON file beside the files, so that a number can be traced to a commit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fgbench.data.annotations import read_json
from fgbench.data.atomic import write_atomic
from fgbench.errors import DataError

NAME = "fgbench-source.json"


@dataclass(frozen=True)
class Received:
    """One downloaded file.

    Attributes:
        size: bytes.
        sha256: digest at the time of the download.
        commit: of the repository; other files may be from another one while an update is under way.
        unpacked: what came out of it, if it is an archive that had to be unpacked: names beside it.
    """

    size: int
    sha256: str
    commit: str
    unpacked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Receipt:
    """The files of one repository in one folder.

    Attributes:
        repo: id of the dataset repository.
        revision: as asked for.
        commit: what it stood for.
        complete: every file that the dataset needs is there.
        files: by name in the repository; only finished ones.
    """

    repo: str
    revision: str
    commit: str
    complete: bool
    files: Mapping[str, Received] = field(default_factory=dict)

    def has(self, folder: Path, name: str) -> bool:
        """Is this file still there, or what was unpacked from it? Its content is not read."""
        received = self.files.get(name)
        if received is None:
            return False
        if received.unpacked:
            return all((folder / each).exists() for each in received.unpacked)
        path = folder / name
        return path.is_file() and path.stat().st_size == received.size


def read_receipts(folder: Path) -> dict[str, Receipt]:
    """The receipts in a folder, by repository; none if there is no such file.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return {}
    try:
        return {row["repo"]: _receipt(row) for row in read_json(path)["sources"]}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(
            f"{path}: not a list of downloads as fgbench writes it ({type(error).__name__}: {error}). "
            "Delete it; the next 'fgbench data get' checks the files and writes it again."
        ) from error


def receipt_of(folder: Path, repos: Iterable[str]) -> Receipt | None:
    """The receipt of the first of these repositories that has one.

    Raises:
        DataError: the file that is there is damaged.
    """
    receipts = read_receipts(folder)
    return next((receipts[repo] for repo in repos if repo in receipts), None)


def write_receipt(folder: Path, receipt: Receipt, also_called: Iterable[str] = ()) -> None:
    """Add or replace the receipt of one repository.

    Args:
        folder: where its files are.
        receipt: what was downloaded.
        also_called: other ids of the repository, whose receipts go.

    Raises:
        StoreError: it cannot be written.
        DataError: the file that is there is damaged.
    """
    gone = set(also_called) - {receipt.repo}
    receipts = {repo: each for repo, each in read_receipts(folder).items() if repo not in gone}
    receipts[receipt.repo] = receipt
    rows = [
        {
            "repo": each.repo,
            "revision": each.revision,
            "commit": each.commit,
            "complete": each.complete,
            "files": {
                name: {
                    "size": received.size,
                    "sha256": received.sha256,
                    "commit": received.commit,
                    **({"unpacked": list(received.unpacked)} if received.unpacked else {}),
                }
                for name, received in sorted(each.files.items())
            },
        }
        for each in receipts.values()
    ]
    text = json.dumps({"written_by": "fgbench data get", "sources": rows}, ensure_ascii=False, indent=1)
    write_atomic(folder / NAME, (text + "\n").encode())


def _receipt(row: Mapping[str, Any]) -> Receipt:
    files = {
        name: Received(
            int(each["size"]), str(each["sha256"]), str(each["commit"]), tuple(map(str, each.get("unpacked", ())))
        )
        for name, each in row["files"].items()
    }
    return Receipt(str(row["repo"]), str(row["revision"]), str(row["commit"]), bool(row["complete"]), files)
