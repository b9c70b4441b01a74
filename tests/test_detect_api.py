"""What needs no detector: wrong use, import into a dataset's own place, export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from fgbench import cli_detect, detect_api
from fgbench.data.proposals import read_proposals
from fgbench.errors import DataMissingError, UsageError

from .layouts import write_json

URL = "http://images.cocodataset.org/val2017/{:012d}.jpg"
ROW = {"image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An LVIS file of two pictures."""
    lists: dict[str, Any] = {"neg_category_ids": [], "not_exhaustive_category_ids": []}
    images = [{"id": n, "width": 40, "height": 30, "coco_url": URL.format(n)} | lists for n in (7, 9)]
    categories = [{"id": n, "name": name, "frequency": "f"} for n, name in enumerate(("ant", "bee"), start=1)]
    content = {"images": images, "categories": categories, "annotations": []}
    write_json(tmp_path / "data/lvis/lvis_v1_val.json", content)
    return tmp_path / "data"


def test_import_into_the_datasets_own_place(root: Path, tmp_path: Path) -> None:
    file = write_json(tmp_path / "boxes.json", [ROW])
    done = detect_api.import_results(file, "lvis-minival", data_root=root)
    found = read_proposals(done.folder)
    assert done.folder.is_relative_to(root)
    assert found.image_ids.tolist() == [7, 9]
    assert found.metadata["dataset"] == "lvis-minival"
    assert found.metadata["annotations"].keys() == {"lvis_v1_val.json"}
    with pytest.raises(UsageError, match="already holds proposals"):
        detect_api.import_results(file, "lvis-minival", data_root=root)

    facts = detect_api.describe_proposals(done.folder)
    assert (facts["images"], facts["images_without"], facts["boxes"], facts["detections"]) == (2, 1, 1, 1)
    out = tmp_path / "out.json"
    assert detect_api.export_results(done.folder, out) == 1
    assert json.loads(out.read_text(encoding="utf-8")) == [ROW]
    with pytest.raises(UsageError, match="exists"):
        detect_api.export_results(done.folder, out)


def test_wrong_use(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"coco-box is not for detection\. Datasets that are: lvis-minival, lvis-val"):
        detect_api.detect("llmdet-tiny", "coco-box", data_root=root)
    with pytest.raises(UsageError, match="need a folder of their own: --output"):
        detect_api.detect("llmdet-tiny", "lvis-minival", data_root=root, limit=3)
    with pytest.raises(UsageError, match="Did you mean 'llmdet-tiny'"):
        detect_api.detect("llmdet-tinny", "lvis-minival", data_root=root)
    with pytest.raises(UsageError, match="batch_size is 0"):
        detect_api.detect("llmdet-tiny", "lvis-minival", data_root=root, device="cpu", batch_size=0)
    with pytest.raises(DataMissingError):
        detect_api.describe_proposals(tmp_path / "nowhere")


def test_commands(root: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    cli_detect.mount(app)
    shell = CliRunner()
    file = write_json(tmp_path / "boxes.json", [ROW, ROW, {**ROW, "image_id": 9, "bbox": [1, 1, 900, 1]}])
    place = tmp_path / "proposals"
    data = ["--dataset", "lvis-minival", "--data-root", str(root), "--output", str(place)]
    done = shell.invoke(app, ["proposals", "import", str(file), *data], catch_exceptions=False)
    assert done.output.splitlines()[1:] == [
        "2 of 3 entries kept",
        "1 dropped: repeats of an earlier entry",
        "1 boxes clipped to the picture",
    ]
    done = shell.invoke(app, ["proposals", "info", str(place)], catch_exceptions=False)
    assert json.loads(done.output)["metadata"]["import"]["dropped"] == {"repeated": 1}
    out = tmp_path / "out.json"
    done = shell.invoke(app, ["proposals", "export", str(place), str(out)], catch_exceptions=False)
    assert done.output.splitlines() == [f"{out}: 2 entries"]
