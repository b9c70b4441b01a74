"""Downloading with the hub's own client, from a server on this computer."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .hub_server import TOKEN, Hub, Repo, commit_of, run_fetch, serve

REPO = "somebody/pictures"
CAPTIONS = "一只猫\tcat.png\n".encode()
COMMIT = commit_of("main")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as hub:
        hub.repos[REPO] = Repo({"captions.txt": CAPTIONS, "images.zip": archive("one"), "README.md": b"# hello"})
        hub.repos[REPO].large = {"images.zip"}
        yield hub


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def source(*files: str, **more: Any) -> dict[str, Any]:
    return {"repo": REPO, "files": files or ("*.txt", "*.zip"), "folder": "pictures", **more}


def archive(text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr(zipfile.ZipInfo("images/cat.png"), text * 100)
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def content(folder: Path) -> dict[str, bytes]:
    """Files that a user sees."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.relative_to(folder).parts[0].startswith(".")
    }


def test_only_the_declared_files_come_and_the_receipt_names_their_commit(hub: Hub, root: Path) -> None:
    done = run_fetch(hub, root, source())
    assert sorted(done["downloaded"]) == ["captions.txt", "images.zip"]
    assert done["commit"] == COMMIT
    there = content(root / "pictures")
    receipt = json.loads(there.pop("fgbench-source.json"))
    assert there == {"captions.txt": CAPTIONS, "images.zip": archive("one")}
    [row] = receipt["sources"]
    assert (row["repo"], row["revision"], row["commit"], row["complete"]) == (REPO, "main", COMMIT, True)
    assert row["files"]["captions.txt"] == {"size": len(CAPTIONS), "sha256": sha256(CAPTIONS), "commit": COMMIT}
    assert any("2 files" in line and str(root / "pictures") in line for line in done["said"])


def test_what_is_there_is_not_downloaded_again(hub: Hub, root: Path) -> None:
    run_fetch(hub, root, source())
    hub.seen.clear()
    done = run_fetch(hub, root, source())
    assert done["downloaded"] == []
    assert sorted(done["kept"]) == ["captions.txt", "images.zip"]
    assert not hub.downloads("images.zip")


def test_a_cut_connection_is_resumed_where_it_broke(hub: Hub, root: Path) -> None:
    large = random.Random(5).randbytes(12_000_000)
    hub.repos[REPO] = Repo({"large.zip": large}, large={"large.zip"})
    hub.cut["large.zip"] = 11_000_000
    done = run_fetch(hub, root, source("large.zip"))
    assert done["downloaded"] == ["large.zip"]
    assert (root / "pictures/large.zip").read_bytes() == large
    first, second = hub.downloads("large.zip")
    assert first.range == ""
    assert second.range.startswith("bytes=")
    assert second.range != "bytes=0-"
    assert second.status == 206


def test_a_file_with_another_digest_than_the_published_one_does_not_stay(hub: Hub, root: Path) -> None:
    expected = "ab" * 32
    done = run_fetch(hub, root, source("captions.txt", sha256={"captions.txt": expected}))
    assert done["error"] == "DataError"
    assert sha256(CAPTIONS) in done["message"]
    assert expected in done["message"]
    assert "--revision" in done["message"]
    assert not (root / "pictures/captions.txt").exists()


def test_a_large_file_with_another_digest_is_refused_before_it_is_downloaded(hub: Hub, root: Path) -> None:
    done = run_fetch(hub, root, source(sha256={"images.zip": "ab" * 32}))
    assert done["error"] == "DataError"
    assert not hub.downloads("images.zip")
    assert not hub.downloads("captions.txt")


def test_the_published_digest_may_name_the_last_part_of_the_path_only(hub: Hub, root: Path) -> None:
    hub.repos[REPO].files = {"deep/captions.txt": CAPTIONS}
    done = run_fetch(hub, root, source("deep/*", sha256={"captions.txt": sha256(CAPTIONS)}))
    assert done["downloaded"] == ["deep/captions.txt"]


@pytest.mark.parametrize("large", [True, False], ids=["stored outside of git", "in git"])
def test_a_file_damaged_on_the_way_does_not_stay_and_comes_right_the_next_time(
    hub: Hub, root: Path, large: bool
) -> None:
    repo = hub.repos[REPO] = Repo({"a.txt": b"damaged!"}, listed={"a.txt": b"complete"})
    repo.large = {"a.txt"} if large else set()
    done = run_fetch(hub, root, source("a.txt"))
    assert done["error"] == "DataError"
    assert "damaged on the way" in done["message"]
    assert not (root / "pictures/a.txt").exists()
    repo.files["a.txt"] = b"complete"
    assert run_fetch(hub, root, source("a.txt"))["downloaded"] == ["a.txt"]
    assert (root / "pictures/a.txt").read_bytes() == b"complete"


def test_a_repository_that_is_not_there(hub: Hub, root: Path) -> None:
    done = run_fetch(hub, root, {**source(), "repo": "somebody/else"})
    assert done["error"] == "NoRepositoryError"
    assert "no dataset somebody/else" in done["message"]
    assert hub.endpoint in done["message"]


def test_a_repository_that_has_moved_is_asked_under_its_other_id(hub: Hub, root: Path) -> None:
    moved = source("captions.txt", moved_to="somebody/new-pictures")
    assert run_fetch(hub, root, moved)["repo"] == REPO
    hub.repos["somebody/new-pictures"] = hub.repos.pop(REPO)
    hub.repos["somebody/new-pictures"].files["captions.txt"] = b"other"
    hub.repos["somebody/new-pictures"].revisions["main"] = commit_of("later")
    done = run_fetch(hub, root, moved)
    assert (done["repo"], done["downloaded"]) == ("somebody/new-pictures", ["captions.txt"])
    assert (root / "pictures/captions.txt").read_bytes() == b"other"
    assert run_fetch(hub, root, moved)["downloaded"] == []
    assert run_fetch(hub, root, moved, HF_HUB_OFFLINE="1")["offline"]


def test_if_neither_id_is_there_the_first_is_named(hub: Hub, root: Path) -> None:
    done = run_fetch(hub, root, {**source(moved_to="somebody/nowhere"), "repo": "somebody/else"})
    assert done["error"] == "NoRepositoryError"
    assert "no dataset somebody/else" in done["message"]


def test_a_declared_file_that_is_not_there(hub: Hub, root: Path) -> None:
    done = run_fetch(hub, root, source("captions.txt", "moved.zip"))
    assert done["error"] == "DataMissingError"
    assert "moved.zip" in done["message"]
    assert "images.zip" in done["message"]  # what there is instead
    assert not hub.downloads("captions.txt")


def test_a_pattern_may_match_nothing_as_long_as_another_one_does(hub: Hub, root: Path) -> None:
    assert run_fetch(hub, root, source("*.txt", "*.tar*"))["downloaded"] == ["captions.txt"]
    done = run_fetch(hub, root / "other", source("*.tar*"))
    assert done["error"] == "DataMissingError"


def test_a_file_that_is_listed_but_cannot_be_had(hub: Hub, root: Path) -> None:
    hub.vanished = {"images.zip"}
    done = run_fetch(hub, root, source())
    assert done["error"] == "DataMissingError"
    assert "images.zip" in done["message"]
    assert (root / "pictures/captions.txt").read_bytes() == CAPTIONS


def test_a_revision_that_is_not_there(hub: Hub, root: Path) -> None:
    done = run_fetch(hub, root, source(), revision="v9")
    assert done["error"] == "UsageError"
    assert "'v9'" in done["message"]


def test_a_gated_repository_is_not_asked_without_a_token(hub: Hub, root: Path) -> None:
    hub.repos[REPO].gated = True
    done = run_fetch(hub, root, source(gated=True))
    assert done["error"] == "DataMissingError"
    assert "agree to its terms" in done["message"]
    assert "HF_TOKEN" in done["message"]
    assert f"{hub.endpoint}/datasets/{REPO}" in done["message"]
    assert not hub.seen


def test_a_gated_repository_that_refuses(hub: Hub, root: Path) -> None:
    hub.repos[REPO].gated = True
    done = run_fetch(hub, root, source(gated=True), HF_TOKEN="hf_another")
    assert done["error"] == "DataMissingError"
    assert "agree to its terms" in done["message"]
    assert hub.seen
    assert "hf_another" not in json.dumps(done)


def test_a_gated_repository_with_the_right_token(hub: Hub, root: Path) -> None:
    hub.repos[REPO].gated = True
    done = run_fetch(hub, root, source("captions.txt", gated=True), HF_TOKEN=TOKEN)
    assert done["downloaded"] == ["captions.txt"]


@pytest.mark.parametrize("kind", ["GET listing", "HEAD file", "GET file"])
def test_a_busy_hub_is_asked_again(hub: Hub, root: Path, kind: str) -> None:
    hub.busy[kind] = 1
    done = run_fetch(hub, root, source("captions.txt"))
    assert done.get("downloaded") == ["captions.txt"], done
    assert [each.status for each in hub.seen].count(429) == 1


def test_a_hub_that_stays_busy_is_given_up_on(hub: Hub, root: Path) -> None:
    hub.busy["GET listing"] = 100
    done = run_fetch(hub, root, source())
    assert done["error"] == "DownloadError"
    assert "429" in done["message"]
    assert len(hub.seen) < 10


def test_a_hub_that_cannot_be_reached(hub: Hub, root: Path) -> None:
    with serve() as other:
        gone = other.endpoint
    done = run_fetch(hub, root, source(), HF_ENDPOINT=gone)
    assert done["error"] == "DownloadError"
    assert gone in done["message"]
    assert "HF_ENDPOINT" in done["message"]


def test_offline_what_is_complete_is_accepted_and_the_rest_refused(hub: Hub, root: Path) -> None:
    refused = run_fetch(hub, root, source(), HF_HUB_OFFLINE="1")
    assert refused["error"] == "DownloadError"
    assert "HF_HUB_OFFLINE" in refused["message"]
    run_fetch(hub, root, source())
    hub.seen.clear()
    accepted = run_fetch(hub, root, source(), HF_HUB_OFFLINE="1")
    assert accepted["offline"] is True
    assert accepted["commit"] == COMMIT
    assert run_fetch(hub, root, source(), revision="v2", HF_HUB_OFFLINE="1")["error"] == "DownloadError"
    (root / "pictures/images.zip").unlink()
    assert run_fetch(hub, root, source(), HF_HUB_OFFLINE="1")["error"] == "DownloadError"
    assert not hub.seen


def test_too_little_space_is_found_out_before_the_download(hub: Hub, root: Path) -> None:
    done = run_fetch(hub, root, source(), free=10)
    assert done["error"] == "StoreError"
    assert "10 B free" in done["message"]
    assert "--data-root" in done["message"]
    assert not hub.downloads("captions.txt")


def test_a_pinned_revision_replaces_what_was_downloaded_before(hub: Hub, root: Path) -> None:
    run_fetch(hub, root, source())
    repo = hub.repos[REPO]
    repo.files["captions.txt"] = b"other captions"
    repo.revisions = {"v2": commit_of("v2")}
    done = run_fetch(hub, root, source(), revision="v2")
    assert done["downloaded"] == ["captions.txt"]
    assert done["kept"] == ["images.zip"]  # equal in both
    assert (root / "pictures/captions.txt").read_bytes() == b"other captions"
    [row] = json.loads((root / "pictures/fgbench-source.json").read_bytes())["sources"]
    assert (row["revision"], row["commit"]) == ("v2", commit_of("v2"))


def test_files_of_the_user_are_kept_if_right_and_never_overwritten(hub: Hub, root: Path) -> None:
    folder = root / "pictures"
    folder.mkdir(parents=True)
    (folder / "images.zip").write_bytes(archive("one"))
    done = run_fetch(hub, root, source("images.zip"))
    assert done["downloaded"] == []
    assert done["kept"] == ["images.zip"]
    (folder / "captions.txt").write_bytes(b"my own")
    refused = run_fetch(hub, root, source())
    assert refused["error"] == "DataError"
    assert "move it away" in refused["message"]
    assert (folder / "captions.txt").read_bytes() == b"my own"


def test_a_download_that_was_damaged_on_disk_is_replaced(hub: Hub, root: Path) -> None:
    run_fetch(hub, root, source())
    (root / "pictures/captions.txt").write_bytes(b"cut")
    done = run_fetch(hub, root, source())
    assert done["downloaded"] == ["captions.txt"]
    assert (root / "pictures/captions.txt").read_bytes() == CAPTIONS


def test_an_interrupted_download_goes_on_with_what_is_missing(hub: Hub, root: Path) -> None:
    hub.vanished = {"images.zip"}
    run_fetch(hub, root, source())
    hub.vanished = set()
    hub.seen.clear()
    assert run_fetch(hub, root, source())["downloaded"] == ["images.zip"]
    assert not hub.downloads("captions.txt")


def test_declared_archives_are_unpacked_and_may_be_deleted_afterwards(hub: Hub, root: Path) -> None:
    hub.repos[REPO].files["more.tar.gz"] = packed({"set/0/a.jpeg": b"a", "set/1/b.jpeg": b"b"})
    declared = source("more.tar.gz", unpack=["*.tar.gz"])
    done = run_fetch(hub, root, declared)
    assert done["unpacked"] == ["more.tar.gz"]
    assert (root / "pictures/set/1/b.jpeg").read_bytes() == b"b"
    (root / "pictures/more.tar.gz").unlink()
    hub.seen.clear()
    assert run_fetch(hub, root, declared)["downloaded"] == []
    assert not hub.downloads("more.tar.gz")


def test_an_archive_that_reaches_out_is_refused_and_not_taken_for_complete(hub: Hub, root: Path) -> None:
    hub.repos[REPO].files["more.tar.gz"] = packed({"../../evil.txt": b"!"})
    for _ in range(2):
        done = run_fetch(hub, root, source("more.tar.gz", unpack=["*.tar.gz"]))
        assert done["error"] == "DataError"
        assert "leave the folder" in done["message"]
    assert not (root.parent / "evil.txt").exists()


def test_a_listing_that_reaches_out_is_refused(hub: Hub, root: Path) -> None:
    hub.repos[REPO].files = {"../evil.txt": b"!"}
    done = run_fetch(hub, root, source("*.txt"))
    assert done["error"] == "DataError"
    assert not hub.downloads("evil.txt")


def test_a_damaged_receipt_is_named(hub: Hub, root: Path) -> None:
    folder = root / "pictures"
    folder.mkdir(parents=True)
    (folder / "fgbench-source.json").write_text('{"sources": [1]}', encoding="utf-8")
    done = run_fetch(hub, root, source())
    assert done["error"] == "DataError"
    assert "fgbench-source.json" in done["message"]
    assert "Delete it" in done["message"]


def test_two_repositories_share_a_folder(hub: Hub, root: Path) -> None:
    hub.repos["somebody/words"] = Repo({"words.txt": b"words"})
    run_fetch(hub, root, source("captions.txt"))
    run_fetch(hub, root, {"repo": "somebody/words", "files": ["words.txt"], "folder": "pictures"})
    receipts = json.loads((root / "pictures/fgbench-source.json").read_bytes())["sources"]
    assert [row["repo"] for row in receipts] == [REPO, "somebody/words"]


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as opened:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            opened.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
