"""What is on disk, where it belongs, and whether it is right."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fgbench import data_api, selection
from fgbench.data import inventory
from fgbench.data.digests import file_sha256
from fgbench.data.inventory import DatasetState
from fgbench.data.mini import write_mini
from fgbench.data.receipts import Receipt, Received, write_receipt
from fgbench.data.verification import Finding, Verified, verify
from fgbench.errors import UsageError
from fgbench.runner.plan import make_plan
from fgbench.runner.progress import Silent
from fgbench.spec import DatasetSpec, HubSource


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("generated") / "data"
    write_mini(root)
    return root


@pytest.fixture
def root(generated: Path, tmp_path: Path) -> Path:
    """Generated datasets that a test may damage."""
    shutil.copytree(generated, tmp_path / "data")
    return tmp_path / "data"


def state(root: Path, dataset: str, **options: Any) -> DatasetState:
    [found] = data_api.status(dataset=dataset, data_root=root, **options).datasets
    return found


def check(root: Path, dataset: str, **options: Any) -> Verified:
    [found] = data_api.verify(dataset=dataset, data_root=root, **options)
    return found


def finding(verified: Verified, kind: str) -> Finding:
    [found] = [each for each in verified.findings if each.kind == kind]
    return found


def kinds(verified: Verified) -> set[str]:
    return {each.kind for each in verified.findings}


def with_spec(root: Path, dataset: str, **changes: Any) -> Verified:
    """Verify a dataset whose specification differs a little."""
    task, spec = selection.datasets().get(dataset)
    changed: DatasetSpec = replace(spec, **changes)
    [found] = verify(make_plan([(task, changed)], root), Silent())
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
    assert (found.state, found.pictures, found.pictures_found) == ("partial", 24, 22)
    assert "2 of 24 pictures are not on disk" in (found.problem or "")
    assert str(pictures[0]) in (found.problem or "")


def test_annotations_that_are_absent_in_part(root: Path) -> None:
    (root / "fgovd/m_attributes_llava.jsonl").unlink()
    found = state(root, "fg-ovd")
    assert found.state == "partial"
    assert [role.name for role in found.roles if not role.found] == ["medium"]


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
    found = state(root, "imagenet-v2")
    assert (found.state, found.pictures, found.pictures_found) == ("partial", 10_000, 24)


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


# Is it right?


def test_generated_datasets_lack_items_and_nothing_else(generated: Path) -> None:
    for verified in data_api.verify(data_root=generated, full=True):
        assert verified.verdict in ("ok", "missing"), verified
        assert kinds(verified) <= {"count", "texts_duplicated", "pictures_duplicated"}, verified
        assert verified.pictures == 24


def test_nothing_is_wrong_with_a_complete_dataset(root: Path) -> None:
    verified = with_spec(root, "dci", published_items={"*": 24})
    assert verified.verdict == "ok"
    assert verified.items == {"*": 24}


def test_other_counts_than_published(root: Path) -> None:
    counts = [each for each in check(root, "fg-ovd").findings if each.kind == "count"]
    assert [each.count for each in counts] == [3545 - 78, 2968 - 78, 1299 - 78, 3545 - 78]
    assert {each.severity for each in counts} == {"missing"}
    more = with_spec(root, "coco", published_items={"*": 20})
    assert (more.verdict, finding(more, "count").count) == ("broken", 4)


def test_everything_wrong_is_found_at_once(root: Path) -> None:
    pictures = sorted((root / "coco/val2017").iterdir())
    pictures[0].unlink()
    pictures[1].write_bytes(b"")
    pictures[2].write_bytes(b"<html>not found</html>")
    shutil.copy(pictures[4], pictures[5])
    shutil.copy(pictures[4], pictures[6])
    verified = check(root, "coco")
    assert verified.verdict == "broken"
    assert finding(verified, "pictures_missing").items == (f"coco/val2017/{pictures[0].name}",)
    assert finding(verified, "pictures_unreadable").count == 2
    names = " = ".join(f"coco/val2017/{pictures[number].name}" for number in (4, 5, 6))
    assert finding(verified, "pictures_duplicated").items == (names,)
    severities = [each.severity for each in verified.findings]
    assert severities == sorted(severities, key=("broken", "missing", "note").index)
    assert verified.pictures == 23


def test_a_cut_picture_is_only_seen_when_it_is_decoded(root: Path) -> None:
    path = sorted((root / "coco/val2017").iterdir())[3]
    with Image.open(path) as image:
        image.convert("RGB").resize((200, 200)).save(path, "JPEG", quality=95)
    path.write_bytes(path.read_bytes()[:-500])
    assert "pictures_unreadable" not in kinds(check(root, "coco"))
    found = finding(check(root, "coco", full=True), "pictures_unreadable")
    assert found.count == 1
    assert str(path) in found.items[0]


def test_annotation_files_that_are_absent_are_all_named(root: Path) -> None:
    for name in ("h_attributes_llava.jsonl", "e_attributes_llava.jsonl"):
        (root / "fgovd" / name).unlink()
    found = finding(check(root, "fg-ovd"), "annotations")
    assert found.severity == "missing"
    assert found.items == ("hard: fgovd/h_attributes_llava.jsonl", "easy: fgovd/e_attributes_llava.jsonl")


def test_annotation_files_that_are_broken(root: Path) -> None:
    (root / "LIT-CN/image_caption_long_cn.txt").write_text("no tab here\n", encoding="utf-8")
    verified = check(root, "lit-cn")
    assert verified.verdict == "broken"
    assert "image_caption_long_cn.txt:1" in finding(verified, "annotations").items[0]


def test_repeated_captions_are_noted(root: Path) -> None:
    path = root / "LIT-CN/image_caption_long_cn.txt"
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    lines[1][1] = lines[2][1] = lines[0][1]
    path.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")
    found = finding(check(root, "lit-cn"), "texts_duplicated")
    assert (found.severity, found.count) == ("note", 1)
    assert found.items[0].startswith("3 × ")


def test_repeated_items_are_noted(root: Path) -> None:
    path = root / "LIT-CN/image_caption_long_cn.txt"
    first = path.read_text(encoding="utf-8").splitlines(keepends=True)[0]
    path.write_text(path.read_text(encoding="utf-8") + first, encoding="utf-8")
    assert finding(check(root, "lit-cn"), "ids_duplicated").count == 1


def test_items_that_no_model_can_be_evaluated_on_are_noted(root: Path) -> None:
    path = root / "coco/annotations/instances_val2017.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["annotations"][0]["category_id"] = 4711
    path.write_text(json.dumps(content), encoding="utf-8")
    found = finding(check(root, "coco-box"), "items_rejected")
    assert found.items == ("unknown_category: 1",)


# Checksums.

NAME = "image_caption_long_cn.txt"


def hub(**options: Any) -> tuple[HubSource, ...]:
    return (HubSource("somebody/lit", (NAME,), "LIT-CN", **options),)


def test_a_published_checksum_is_compared(root: Path) -> None:
    digest = file_sha256(root / "LIT-CN" / NAME)
    right = with_spec(root, "lit-cn", hub=hub(sha256={NAME: digest}))
    assert right.checksums == 1
    assert "checksum" not in kinds(right)
    wrong = with_spec(root, "lit-cn", hub=hub(sha256={NAME: "ab" * 32}))
    assert wrong.verdict == "broken"
    assert finding(wrong, "checksum").items == (f"LIT-CN/{NAME}: SHA-256 {digest}, expected {'ab' * 32}",)


def received(root: Path, name: str, content: bytes, unpacked: tuple[str, ...] = ()) -> None:
    """Make believe that a file was downloaded."""
    (root / "LIT-CN" / name).write_bytes(content)
    entry = Received(len(content), file_sha256(root / "LIT-CN" / name), "c" * 40, unpacked)
    write_receipt(root / "LIT-CN", Receipt("somebody/lit", "main", "c" * 40, complete=True, files={name: entry}))


def test_a_file_that_changed_since_its_download(root: Path) -> None:
    received(root, "other.txt", b"as downloaded")
    assert with_spec(root, "lit-cn", hub=hub()).checksums == 1
    (root / "LIT-CN/other.txt").write_bytes(b"as edited")
    assert finding(with_spec(root, "lit-cn", hub=hub()), "checksum").count == 1


def test_a_file_that_is_gone_since_its_download(root: Path) -> None:
    received(root, "other.txt", b"as downloaded")
    (root / "LIT-CN/other.txt").unlink()
    verified = with_spec(root, "lit-cn", hub=hub(), published_items={})
    assert verified.verdict == "missing"
    assert finding(verified, "download_gone").items == ("LIT-CN/other.txt",)


def test_an_archive_may_be_deleted_once_it_is_unpacked(root: Path) -> None:
    received(root, "images.tar.gz", b"packed", unpacked=("images",))
    (root / "LIT-CN/images.tar.gz").unlink()
    assert "download_gone" not in kinds(with_spec(root, "lit-cn", hub=hub()))


def test_a_damaged_receipt_is_a_finding(root: Path) -> None:
    (root / "LIT-CN/fgbench-source.json").write_text("{}", encoding="utf-8")
    assert "Delete it" in finding(with_spec(root, "lit-cn", hub=hub()), "checksum").items[0]


def test_the_results_are_json(generated: Path) -> None:
    content = json.loads(json.dumps([each.as_json() for each in data_api.verify(data_root=generated)]))
    assert {row["verdict"] for row in content} <= {"ok", "missing"}
    assert all(row["findings"] == [] or row["findings"][0]["message"] for row in content)
