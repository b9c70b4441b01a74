"""The miniature suite: the same everywhere, complete, small, and never half written."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import fgbench
from fgbench.cli import app
from fgbench.data import mini
from fgbench.data.mini import VERSION, mini_root, write_copy, write_mini
from fgbench.data.mini.boxes import lvis_categories
from fgbench.data.mini.files import headline
from fgbench.data.roots import resolve_root
from fgbench.errors import StoreError, UsageError
from fgbench.requests import ClassPrompts, LabelMaps, RegionScores
from fgbench.selection import datasets, select

PHOTOGRAPHS = {".jpg", ".JPEG", ".jpeg"}
BINARY = {*PHOTOGRAPHS, ".png", ".tif", ".parquet", ".tsv", ".safetensors"}
CONTENT = {4: "0d4457706da1f790"}
"""Digest of what the annotation files hold, by version."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini")
    write_mini(folder)
    return folder


def files(root: Path) -> dict[str, Path]:
    """Every file by its name below the root, sorted."""
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return dict(sorted(found.items()))


def digests(root: Path) -> dict[str, str]:
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files(root).items()}


def test_other_processes_write_the_same_bytes(root: Path, tmp_path: Path) -> None:
    """Neither the order of sets nor the locale may matter, nor what was made before."""
    code = "import pathlib, sys; from fgbench.data.mini import write_mini; write_mini(pathlib.Path(sys.argv[1]))"
    environment = {**os.environ, "PYTHONHASHSEED": "1", "LC_ALL": "C", "PYTHONUTF8": "0"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, check=True)
    assert digests(tmp_path) == digests(root)


def test_a_change_of_the_content_needs_a_new_version(root: Path) -> None:
    """Otherwise what an older fgbench left in the cache would be taken for it.

    Of pictures only names and sizes count here, of tables with pictures only the names: their bytes depend on the
    versions of the libraries that write them.
    """
    hasher = hashlib.sha256()
    for name, path in files(root).items():
        hasher.update(name.encode())
        if path.suffix in PHOTOGRAPHS:
            with Image.open(path) as image:
                hasher.update(repr(image.size).encode())
        elif path.suffix not in BINARY:
            hasher.update(path.read_bytes())
    assert {VERSION: hasher.hexdigest()[:16]} == CONTENT, "raise VERSION and note the new digest here"


def test_english_texts_have_capitals(root: Path) -> None:
    """Where the protocol lower-cases: a protocol that forgets to must not get away with it."""
    captions = json.loads((root / "coco/annotations/captions_val2017.json").read_text(encoding="utf-8"))["annotations"]
    texts = [row["caption"] for row in captions]
    for row in json.loads((root / "flickr30k/flickr30k_test.json").read_text(encoding="utf-8")):
        texts += row["caption"]
    for path in (root / "fgovd").iterdir():
        texts += json.loads(path.read_text(encoding="utf-8").splitlines()[0])["neg_expression"]
    texts += [row["name"] for row in lvis_categories()]
    assert len(texts) > 500
    assert all(text == headline(text) != text.lower() for text in texts)


def test_it_stays_small(root: Path) -> None:
    assert sum(path.stat().st_size for path in files(root).values()) < 12_000_000


def test_every_dataset_s_layout_is_found(root: Path) -> None:
    plan = fgbench.plan(data_root=root)
    wanted = [spec.id for _, spec in select(None, None)]
    assert {planned.spec.id: planned.status for planned in plan.datasets} == dict.fromkeys(wanted, "ready")
    for planned in plan.datasets:
        assert planned.problem is None
        assert planned.loaded is not None
        assert planned.loaded.rejected == {}
        assert sum(planned.loaded.size.values()) >= 24, planned.spec.id
        assert not planned.missing
        assert planned.requests


@pytest.mark.parametrize("dataset", [name for name in datasets() if not datasets().get(name)[1].optional])
def test_every_subset_has_items(root: Path, dataset: str) -> None:
    [planned] = fgbench.plan(dataset=dataset, data_root=root).datasets
    assert planned.loaded is not None
    derived = {"fused"}  # of detection: scores, not items
    subsets = {key.subset for key in planned.spec.main} - derived
    known = set(planned.loaded.size) | set(getattr(planned.loaded.items, "subsets", ()))
    assert subsets <= known


def test_classes_outnumber_nothing(root: Path) -> None:
    """Wherever classes are told apart there are several of them, under different names."""
    for planned in fgbench.plan(data_root=root).datasets:
        for request in planned.requests.values():
            prompts = request.classes if isinstance(request, (LabelMaps, RegionScores)) else request
            if isinstance(prompts, ClassPrompts):
                assert len(set(prompts.names)) >= 20, planned.spec.id


def test_negatives_are_other_texts(root: Path) -> None:
    for path in (root / "fgovd").iterdir():
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            [positive] = row["pos_expression"]
            assert len(set(row["neg_expression"])) == len(row["neg_expression"]) == 10
            assert positive not in row["neg_expression"]


def test_federated_lists_say_what_they_should(root: Path) -> None:
    content = json.loads((root / "lvis/lvis_v1_val.json").read_text(encoding="utf-8"))
    present = {(row["image_id"], row["category_id"]) for row in content["annotations"]}
    incomplete = 0
    for row in content["images"]:
        assert row["neg_category_ids"]
        assert not {(row["id"], category) for category in row["neg_category_ids"]} & present
        incomplete += len(row["not_exhaustive_category_ids"])
    assert incomplete
    assert {row["frequency"] for row in content["categories"]} == {"r", "c", "f"}


def test_the_cache_folder_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path))
    folder = resolve_root("mini")
    assert folder == tmp_path / f"mini-{VERSION}"
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    (folder / "mark").touch()
    assert resolve_root("mini") == folder
    assert (folder / "mark").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_an_interrupted_writer_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def interrupted(root: Path) -> None:
        (root / "coco").mkdir()
        (root / "coco/half.jpg").touch()
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(mini, "write_mini", interrupted)
        with pytest.raises(type(error)):
            mini_root(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert fgbench.plan(dataset="coco", data_root=mini_root(tmp_path)).summary()["total"]["missing"] == 0


def test_what_a_killed_writer_left_is_not_taken_for_the_data(tmp_path: Path, root: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from fgbench.data import mini\n"
        "mini.write_mini = lambda root: ((root / 'coco').mkdir(), os.kill(os.getpid(), signal.SIGKILL))\n"
        "mini.mini_root(Path(sys.argv[1]))"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -9
    assert not (tmp_path / f"mini-{VERSION}").exists()
    assert digests(mini_root(tmp_path)) == digests(root)


def test_of_two_writers_the_first_to_finish_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = mini.write_mini

    def overtaken(folder: Path) -> None:
        monkeypatch.setattr(mini, "write_mini", real)
        first = mini_root(tmp_path)
        (first / "first").touch()
        real(folder)

    monkeypatch.setattr(mini, "write_mini", overtaken)
    folder = mini_root(tmp_path)
    assert (folder / "first").exists()
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_copy_in_a_folder_of_one_s_own(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "empty").mkdir()
    result = CliRunner().invoke(app, ["data", "mini", "--output", str(tmp_path / "empty")])
    assert result.exit_code == 0, result.output
    assert digests(tmp_path / "empty") == digests(root)
    said = result.output.replace("\n", " ")
    assert f"version {VERSION}: {len(files(root))} files" in said
    assert "no benchmark" in said
    assert f"--data-root {tmp_path / 'empty'}" in said
    assert not (tmp_path / "cache").exists()
    with pytest.raises(UsageError, match="not an empty folder"):
        write_copy(tmp_path / "empty")
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written"):
        write_copy(tmp_path / "file/below")


def test_without_a_folder_the_copy_is_that_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path))
    result = CliRunner().invoke(app, ["data", "mini"])
    assert result.exit_code == 0, result.output
    assert "--data-root mini" in result.output
    assert [path.name for path in tmp_path.iterdir()] == [f"mini-{VERSION}"]


def test_records_do_not_depend_on_workers_or_hash_seeds(root: Path, tmp_path: Path) -> None:
    """Apart from timings, and from the arguments that were varied."""
    records = []
    for workers, seed in (("0", "0"), ("2", "1")):
        output = tmp_path / workers
        command = ["eval", "--model", "fgclip2-tiny", "--dataset", "boxclass-cn", "--data-root", str(root)]
        options = ["--output", str(output), "--workers", workers, "--json"]
        run = subprocess.run(
            [sys.executable, "-m", "fgbench", *command, *options],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        )
        found = json.loads(run.stdout)["records"]
        for record in found:
            del record["timings"], record["arguments"]
        items = [np.load(output / "fgclip2-tiny" / f"{record['dataset']}.items.npz") for record in found]
        records.append((found, [{name: part[name].tolist() for name in part} for part in items]))
    assert records[0] == records[1]
    assert len(records[0][0]) == 1
