"""From photographs to proposals and back to result files, by the command line, with a tiny detector."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fgbench.data.proposals import INDEX, read_proposals

from ..adapters.tiny_detector import build

FAULTS = Path(__file__).resolve().parent / "faults"
NAMES = ["person", "bicycle", "car_(automobile)", "fish", "fish_(food)", "remote_control", "dog"]
PICTURES = 34

APP = """
import typer
from fgbench.cli_detect import mount
app = typer.Typer(pretty_exceptions_enable=False)
mount(app)
app()
"""


@dataclass(frozen=True)
class Place:
    """Data, a detector, and the commands on them.

    Attributes:
        root: data root.
        detector: folder of the checkpoint.
        images: rows of the annotation file.
    """

    root: Path
    detector: Path
    images: list[dict[str, Any]]

    def __call__(self, *arguments: str | Path, fault: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        if fault:
            environment |= {"PYTHONPATH": str(FAULTS), "FGBENCH_TEST_FAULT": fault}
        return subprocess.run(
            [sys.executable, "-c", APP, *map(str, arguments)],
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )

    def detect(self, output: Path, fault: str | None = None) -> subprocess.CompletedProcess[str]:
        what = ("--detector", self.detector, "--dataset", "lvis-minival", "--data-root", self.root)
        return self("detect", *what, "--device", "cpu", "--output", output, "--json", fault=fault)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Place:
    """Real photographs with an annotation file in LVIS's format, and a tiny detector."""
    folder = tmp_path_factory.mktemp("detect")
    mini = shared / "data/coco-mini"
    rows = json.loads((mini / "annotations/instances_val2017.json").read_text(encoding="utf-8"))["images"][:PICTURES]
    lists: dict[str, list[int]] = {"neg_category_ids": [], "not_exhaustive_category_ids": []}
    images = [{key: row[key] for key in ("id", "width", "height", "coco_url")} | lists for row in rows]
    categories = [{"id": number, "name": name, "frequency": "c"} for number, name in enumerate(NAMES, start=1)]
    root = folder / "data"
    (root / "lvis").mkdir(parents=True)
    content = json.dumps({"images": images, "annotations": [], "categories": categories})
    (root / "lvis/lvis_v1_val.json").write_text(content, encoding="utf-8")
    (root / "coco").symlink_to(mini)
    return Place(root, build(folder / "tiny", short=72, long=120), images)


@pytest.fixture(scope="module")
def undisturbed(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Proposals of a run that nobody interrupted."""
    output = tmp_path_factory.mktemp("undisturbed") / "proposals"
    done = place.detect(output)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["made"], report["reused"], report["images"]) == (3, 0, PICTURES)
    return output


def shards(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.glob("*.safetensors")}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(".tmp")}


def test_proposals_of_photographs(place: Place, undisturbed: Path) -> None:
    found = read_proposals(undisturbed)
    size = {row["id"]: (row["width"], row["height"]) for row in place.images}
    assert found.image_ids.tolist() == sorted(size)
    limits = np.array([size[image] for image in found.image_ids[found.box_image].tolist()])
    assert (found.box[:, 2:] <= limits).all()
    # One chunk of 7 names and 20 queries: all pairs are kept, the empty boxes excepted.
    dropped = found.metadata["dropped"]["empty_box"]
    assert len(found) == PICTURES * 20 * len(NAMES) - dropped
    assert set(found.det_category.tolist()) == set(range(1, len(NAMES) + 1))
    assert ((found.det_score > 0) & (found.det_score < 1)).all()
    detector = found.metadata["detector"]
    assert (detector["name"], detector["source"], detector["chunk_size"]) == ("tiny", "local:tiny", 40)
    assert found.metadata["annotations"].keys() == {"lvis_v1_val.json"}
    assert str(place.root) not in (undisturbed / INDEX).read_text(encoding="utf-8")
    # Different classes with one cleaned name are both scored; the detector cannot tell them apart.
    one, two = (found.det_score[found.det_category == category] for category in (4, 5))
    assert np.allclose(np.sort(one), np.sort(two), atol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_and_resumed(place: Place, undisturbed: Path, tmp_path: Path) -> None:
    output = tmp_path / "proposals"
    kept: dict[str, tuple[int, bytes]] = {}
    for fault in ("SIGKILL:half:2", "SIGKILL:before:1", "SIGKILL:unrenamed:3"):
        killed = place.detect(output, fault)
        assert killed.returncode == -signal.SIGKILL, (fault, killed.stderr)
        now = shards(output) if output.exists() else {}
        assert kept.items() <= now.items(), f"{fault}: a finished shard was written again or lost"
        kept = now
        assert not (output / INDEX).exists()
    assert len(kept) == 3  # the last fault struck at the index

    done = place.detect(output)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["reused"] == 3
    assert contents(output) == contents(undisturbed)


def test_export_import_and_back(place: Place, undisturbed: Path, tmp_path: Path) -> None:
    file, again = tmp_path / "results.json", tmp_path / "again"
    done = place("proposals", "export", undisturbed, file)
    assert done.returncode == 0, done.stderr
    rows = json.loads(file.read_text(encoding="utf-8"))
    assert [(row["image_id"], -row["score"]) for row in rows] == sorted((r["image_id"], -r["score"]) for r in rows)

    rows += [rows[0], {**rows[1], "bbox": [1, 1, 0, 5]}, {**rows[2], "bbox": [9000, 1, 5, 5]}]
    file.write_text(json.dumps(rows), encoding="utf-8")
    data = ("--dataset", "lvis-minival", "--data-root", place.root)
    done = place("proposals", "import", file, *data, "--output", again, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["dropped"] == {"empty_box": 1, "outside_image": 1, "repeated": 1}
    one, two = read_proposals(undisturbed), read_proposals(again)
    for name in ("image_ids", "det_category", "det_score", "box"):
        assert np.array_equal(np.sort(getattr(one, name), axis=0), np.sort(getattr(two, name), axis=0)), name

    done = place("proposals", "info", again)
    assert json.loads(done.stdout)["metadata"]["source"] == "results file results.json"

    file.write_text(json.dumps([{**rows[0], "score": float("nan")}]), encoding="utf-8")
    done = place("proposals", "import", file, *data, "--output", tmp_path / "never")
    assert done.returncode != 0
    assert "row 0: image" in done.stderr
    assert not (tmp_path / "never").exists()
