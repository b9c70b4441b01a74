"""What is on disk, where it belongs, and whether it is right."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fgbench import data_api, selection
from fgbench.data import inventory
from fgbench.data.inventory import DatasetState
from fgbench.errors import UsageError


def state(root: Path, dataset: str, **options: Any) -> DatasetState:
    [found] = data_api.status(dataset=dataset, data_root=root, **options).datasets
    return found


# What is there.


def test_all_generated_datasets_with_annotations_are_present(generated: Path) -> None:
    for found in data_api.status(data_root=generated).datasets:
        annotations = [role for role in found.roles if not role.pictures]
        assert found.state == ("present" if annotations else "partial"), found
        assert found.pictures_found > 0
        assert found.picture_bytes > 0
        assert not found.estimated
        assert found.licence


def test_an_empty_root_has_nothing(tmp_path: Path) -> None:
    result = data_api.status(data_root=tmp_path)
    assert {found.state for found in result.datasets} == {"missing"}
    assert all(found.problem and not found.annotation_bytes for found in result.datasets)
    looked = result.as_json()["datasets"][0]["roles"]["hard"]
    assert looked == {"found": None, "looked": [f"{f}h_attributes_llava.jsonl" for f in ("fgovd/", "fg-ovd/", "")]}


def test_pictures_that_are_absent_are_counted(root: Path) -> None:
    pictures = sorted((root / "coco/val2017").iterdir())
    pictures[0].unlink()
    pictures[1].unlink()
    found = state(root, "coco")
    assert (found.state, found.pictures, found.pictures_found) == ("partial", 48, 46)
    assert "2 of 48 pictures are not on disk" in (found.problem or "")
    assert str(pictures[0]) in (found.problem or "")


def test_annotations_that_are_absent_in_part(root: Path) -> None:
    (root / "fgovd/m_attributes_llava.jsonl").unlink()
    found = state(root, "fg-ovd")
    assert found.state == "partial"
    assert [role.name for role in found.roles if not role.found] == ["medium"]


def test_items_alone_do_not_make_a_dataset_present(root: Path) -> None:
    """Annotations and pictures of LVIS are there, but a model has no boxes to look at."""
    assert state(root, "lvis-minival").state == "present"
    shutil.rmtree(root / "lvis/proposals")
    found = state(root, "lvis-minival")
    assert (found.state, found.items) == ("partial", 48)
    assert "no proposals found" in (found.problem or "")


def test_the_data_root_itself_does_not_count_as_a_folder_of_pictures(tmp_path: Path) -> None:
    found = state(tmp_path, "fg-ovd")
    assert found.state == "missing"
    assert not any(role.found for role in found.roles)


def test_annotations_that_cannot_be_understood(root: Path) -> None:
    path = root / "coco/annotations/captions_val2017.json"
    path.write_text(path.read_text(encoding="utf-8")[:-50], encoding="utf-8")
    found = state(root, "coco")
    assert found.state == "broken"
    assert str(path) in (found.problem or "")


def test_pictures_in_an_archive_count_with_the_archive(root: Path) -> None:
    folder = root / "coco/val2017"
    with zipfile.ZipFile(root / "coco/val2017.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"val2017/{path.name}")
    shutil.rmtree(folder)
    found = state(root, "coco")
    assert found.state == "present"
    assert found.picture_bytes == (root / "coco/val2017.zip").stat().st_size


def test_without_annotations_the_published_number_of_pictures_is_expected(root: Path) -> None:
    there = len([path for path in (root / "imagenet-v2").rglob("*") if path.is_file()])
    found = state(root, "imagenet-v2")
    assert (found.state, found.pictures, found.pictures_found) == ("partial", 10_000, there)


def test_the_size_of_many_pictures_is_estimated(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = state(root, "coco").picture_bytes
    monkeypatch.setattr(inventory, "_SAMPLE", 6)
    found = state(root, "coco")
    assert found.estimated
    assert 0.5 * exact < found.picture_bytes < 2 * exact


def test_files_elsewhere_are_found_where_the_user_says(root: Path, tmp_path: Path) -> None:
    (root / "coco/annotations/captions_val2017.json").rename(tmp_path / "mine.json")
    found = state(root, "coco", files={"coco.annotations": tmp_path / "mine.json"})
    assert found.state == "present"
    assert found.as_json(root)["roles"]["annotations"]["found"] == str(tmp_path / "mine.json")
    assert found.as_json(root)["roles"]["images"]["found"] == "coco/val2017"


def test_the_rows_are_json(generated: Path) -> None:
    content = data_api.status(data_root=generated).as_json()
    assert json.loads(json.dumps(content)) == content
    assert sum(content["summary"].values()) == len(content["datasets"])


def test_a_root_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        data_api.status(data_root=tmp_path / "nowhere")


# Where it belongs.


def test_every_role_has_its_key_and_its_places(tmp_path: Path) -> None:
    root, places = data_api.where(data_root=tmp_path / "nowhere")
    assert root == tmp_path / "nowhere"
    for place in places:
        assert [role.key for role in place.roles] == [f"{place.spec.id}.{name}" for name in place.spec.files]
        assert all(role.places and role.found is None for role in place.roles)


def test_a_place_of_the_users_replaces_the_declared_ones(tmp_path: Path) -> None:
    _, [place] = data_api.where(dataset="coco", data_root=tmp_path, files={"coco.images": tmp_path})
    [role] = [role for role in place.roles if role.name == "images"]
    assert role.places == (tmp_path,)
    assert role.found == tmp_path


def test_the_example_is_what_the_generated_datasets_use(generated: Path) -> None:
    """A root laid out as in the example is one that works."""
    specs = [selection.datasets().get(name)[1] for name in ("coco", "fg-ovd", "lit-cn")]
    tree = inventory.layout(specs)
    assert tree["coco"]["val2017"] == {"": ["coco.images"]}
    assert tree["coco"][""] == ["fg-ovd.images"]

    def walk(node: dict[str, Any], folder: Path) -> None:
        for name, child in node.items():
            if name:
                assert (folder / name).exists()
                walk(child, folder / name)

    walk(tree, generated)
