"""``fgbench data`` as a user types it."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fgbench.data.mini import write_mini

from ..data import hub_server
from ..data.hub_server import Hub, Repo, commit_of, environment, serve


@dataclass(frozen=True)
class Shell:
    """A terminal of 80 columns in a folder of its own."""

    folder: Path
    hub: Hub

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """``fgbench data …``."""
        return subprocess.run(
            [sys.executable, "-m", "fgbench", "data", *arguments],
            cwd=self.folder,
            env=environment(self.hub, self.folder / "home", COLUMNS="80", **variables),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def json(self, *arguments: str, code: int = 0, **variables: str) -> Any:
        """Its JSON."""
        done = self.run(*arguments, "--json", **variables)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("generated") / "data"
    write_mini(root)
    return root


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as hub:
        yield hub


@pytest.fixture
def shell(tmp_path: Path, hub: Hub) -> Shell:
    return Shell(tmp_path, hub)


@pytest.fixture
def lit_cn(hub: Hub, generated: Path) -> Repo:
    """The repository of LIT-CN, with generated content."""
    return hub.repos.setdefault("qihoo360/LIT-CN", hub_server.lit_cn(generated))


def fits(text: str) -> bool:
    return all(len(line) <= 80 for line in text.splitlines())


def test_download_then_status_then_verify(shell: Shell, lit_cn: Repo) -> None:
    done = shell.run("get", "-d", "lit-cn", "--data-root", "sets/here")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Apache-2.0" in done.stderr  # the licence, before the download
    assert "Complete: lit-cn" in done.stdout
    assert commit_of("main")[:12] in done.stdout
    assert fits(done.stdout)
    folder = shell.folder / "sets/here/LIT-CN"
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
        "image_caption_long_cn.txt",
        "images.zip",
        "fgbench-source.json",
    }
    [row] = shell.json("status", "-d", "lit-cn", "--data-root", "sets/here")["datasets"]
    count = len(lit_cn.files["image_caption_long_cn.txt"].splitlines())
    assert (row["state"], row["pictures"], row["pictures_found"]) == ("present", count, count)
    [verified] = shell.json("verify", "-d", "lit-cn", "--data-root", "sets/here", "--decode", code=3)
    assert verified["checksums"] == 2
    assert {finding["kind"] for finding in verified["findings"]} == {"count"}

    shell.hub.seen.clear()
    again = shell.json("get", "-d", "lit-cn", "--data-root", "sets/here")
    assert again["sources"] == []
    assert again["datasets"] == [{"id": "lit-cn", "status": "present", "message": ""}]
    assert shell.hub.seen == []


def test_a_dry_run_writes_nothing(shell: Shell, lit_cn: Repo) -> None:
    content = shell.json("get", "-d", "lit-cn", "--data-root", "sets", "--dry-run")
    [source] = content["sources"]
    assert source["status"] == "listed"
    assert source["size"] == sum(len(lit_cn.files[name]) for name in source["files"])
    assert not (shell.folder / "sets").exists()
    done = shell.run("get", "-d", "lit-cn", "--data-root", "sets", "--dry-run")
    assert "Would be downloaded: lit-cn" in done.stdout


def test_what_the_hub_does_not_have_is_explained(shell: Shell) -> None:
    done = shell.run("get", "-d", "coco,imagenet-1k", "--data-root", "sets")
    assert done.returncode == 3
    assert "To be done by hand" in done.stdout
    assert "annotations_trainval2017.zip" in done.stdout
    assert "image-net.org" in done.stdout
    assert fits(done.stdout)
    assert not shell.hub.seen


def test_a_failure_does_not_stop_the_others(shell: Shell, lit_cn: Repo) -> None:
    """DOCCI-CN's archive has another checksum than the published one, DCI-CN is not there."""
    shell.hub.repos["qihoo360/DOCCI-CN"] = Repo({"a.txt": b"", "images.zip": b"other"}, large={"images.zip"})
    content = shell.json("get", "-d", "dci-cn,docci-cn,lit-cn", "--data-root", "sets", code=1)
    assert {source["repo"]: source["status"] for source in content["sources"]} == {
        "qihoo360/LIT-CN": "downloaded",
        "qihoo360/DCI-CN": "manual",
        "qihoo360/DOCCI-CN": "failed",
    }
    assert {row["id"]: row["status"] for row in content["datasets"]} == {
        "lit-cn": "present",
        "dci-cn": "manual",
        "docci-cn": "failed",
    }
    assert not (shell.folder / "sets/DOCCI-CN/images.zip").exists()
    done = shell.run("get", "-d", "docci-cn", "--data-root", "sets")
    assert done.returncode == 1
    assert "SHA-256" in done.stdout
    assert "Traceback" not in done.stderr


def test_an_archive_is_unpacked_where_the_loader_looks(shell: Shell, generated: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(generated / "imagenet-v2", ".")
    name = "imagenetv2-matched-frequency.tar.gz"
    shell.hub.repos["vaishaal/ImageNetV2"] = Repo({name: buffer.getvalue()}, large={name})
    done = shell.run("get", "-d", "imagenet-v2", "--data-root", "sets")
    count = sum(path.is_file() for path in (generated / "imagenet-v2").rglob("*"))
    assert done.returncode == 3  # most pictures are lacking: the rest has to come from somewhere
    assert f"{count} of 10,000 pictures" in done.stdout
    assert "deleting it frees" in done.stderr
    assert (shell.folder / "sets/imagenet-v2/imagenetv2-matched-frequency-format-val").is_dir()


def test_a_revision_is_for_one_repository(shell: Shell, lit_cn: Repo) -> None:
    lit_cn.revisions["v2"] = commit_of("v2")
    several = shell.run("get", "-d", "lit-cn,dci-cn", "--data-root", "sets", "--revision", "v2")
    assert several.returncode == 2
    assert "qihoo360/LIT-CN, qihoo360/DCI-CN" in several.stderr
    content = shell.json("get", "-d", "lit-cn", "--data-root", "sets", "--revision", "v2")
    assert content["sources"][0]["commit"] == commit_of("v2")
    unknown = shell.run("get", "-d", "lit-cn", "--data-root", "sets", "--revision", "v3")
    assert unknown.returncode == 2
    assert "no revision 'v3'" in unknown.stderr


def test_offline_says_what_to_do(shell: Shell, lit_cn: Repo) -> None:
    done = shell.run("get", "-d", "lit-cn", "--data-root", "sets", HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    assert "HF_HUB_OFFLINE" in done.stdout
    assert not shell.hub.seen


def test_the_generated_datasets_are_not_downloaded(shell: Shell) -> None:
    done = shell.run("get", "--data-root", "mini")
    assert done.returncode == 2
    assert "nothing to download" in done.stderr


def test_a_data_root_that_cannot_be_made(shell: Shell, lit_cn: Repo) -> None:
    (shell.folder / "file").write_text("", encoding="utf-8")
    done = shell.run("get", "-d", "lit-cn", "--data-root", "file/sets")
    assert done.returncode == 1
    assert "cannot be made" in done.stderr
    assert not shell.hub.seen


def test_status_fits_the_terminal_and_says_what_to_do_next(shell: Shell, generated: Path) -> None:
    done = shell.run("status", "--data-root", str(generated))
    assert done.returncode == 0, done.stderr
    assert fits(done.stdout)
    assert "24 of 24" in done.stdout
    assert "Licence: CC BY-NC 4.0" in done.stdout
    (shell.folder / "empty").mkdir()
    done = shell.run("status", "--data-root", "empty")
    assert fits(done.stdout)
    assert "fgbench data get" in done.stdout
    assert "No hard, medium, easy, trivial; looked in fgovd, fg-ovd, the data root" in done.stdout


def test_where_needs_no_data(shell: Shell) -> None:
    done = shell.run("where", "-d", "coco,lit-cn", "--data-root", "sets")
    assert done.returncode == 0, done.stderr
    assert fits(done.stdout)
    assert "--set lit-cn.annotations=" in done.stdout
    assert "captions_val2017.json  coco.annotations" in done.stdout
    content = shell.json("where", "-d", "coco", "--data-root", "sets")
    assert content["datasets"]["coco"]["roles"]["images"]["places"][0] == "coco/val2017"


def test_verify_shows_examples_and_counts_all(shell: Shell, generated: Path) -> None:
    shutil.copytree(generated, shell.folder / "data")
    pictures = sorted((shell.folder / "data/coco/val2017").iterdir())
    for path in pictures[:9]:
        path.unlink()
    missing = shell.run("verify", "-d", "coco")
    assert missing.returncode == 3
    assert fits(missing.stdout)
    assert "(9)" in missing.stdout
    assert "and 4 more" in missing.stdout
    pictures[9].write_bytes(b"")
    broken = shell.run("verify", "-d", "coco")
    assert broken.returncode == 1
    assert pictures[9].name in broken.stdout


def test_the_file_in_the_current_folder_is_used(shell: Shell, generated: Path) -> None:
    text = f'data_root = {json.dumps(str(generated))}\n[files]\n"lit-cn.images" = "elsewhere"\n'
    (shell.folder / "fgbench.toml").write_text(text, encoding="utf-8")
    rows = {row["id"]: row for row in shell.json("status", "-d", "coco,lit-cn")["datasets"]}
    assert rows["coco"]["state"] == "present"
    assert rows["lit-cn"]["roles"]["images"]["looked"] == ["elsewhere"]
    given = shell.json("status", "-d", "lit-cn", "--set", f"lit-cn.images={generated / 'LIT-CN/images'}")
    assert given["datasets"][0]["state"] == "present"


def test_wrong_usage_is_told_without_a_traceback(shell: Shell, generated: Path) -> None:
    for arguments, expected in (
        (("status", "-d", "cocoo"), "Did you mean"),
        (("status", "--data-root", "nowhere"), "does not exist"),
        (("status", "--data-root", str(generated), "--set", "coco.images"), "DATASET.ROLE=PATH"),
        (("where", "--set", "coco.labels=/x"), "no files called 'labels'"),
    ):
        done = shell.run(*arguments)
        assert done.returncode == 2, arguments
        assert expected in done.stderr
        assert "Traceback" not in done.stderr


def test_help_starts_without_the_heavy_libraries(shell: Shell) -> None:
    code = (
        "import sys; from fgbench import cli_data, cli; "
        "print([name for name in ('torch', 'huggingface_hub', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"
