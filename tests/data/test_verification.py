"""Whether what is on disk is right: findings, counts and checksums."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from fgbench import data_api, selection
from fgbench.data.digests import file_sha256
from fgbench.data.receipts import Receipt, Received, write_receipt
from fgbench.data.verification import Finding, Verified, verify
from fgbench.runner.plan import make_plan
from fgbench.runner.progress import Silent
from fgbench.spec import DatasetSpec, HubSource


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


def test_generated_datasets_lack_items_and_nothing_else(generated: Path) -> None:
    found = data_api.verify(data_root=generated, full=True)
    shown_again = {verified.dataset for verified in found if "pictures_duplicated" in kinds(verified)}
    assert shown_again == {"mmmu", "mmbench-en", "mmbench-cn"}, "several questions about a picture, each with its copy"
    for verified in found:
        assert verified.verdict in ("ok", "missing"), verified
        assert kinds(verified) <= {"count", "pictures_duplicated"}, verified
        assert verified.pictures > 0


def test_nothing_is_wrong_with_a_complete_dataset(root: Path) -> None:
    verified = with_spec(root, "dci", published_items={"*": 48})
    assert verified.verdict == "ok"
    assert (verified.items, verified.pictures) == ({"*": 48}, 48)


def test_other_counts_than_published(root: Path) -> None:
    parts = ("h_attributes", "m_attributes", "e_attributes", "shuffle_negatives")
    there = [(root / f"fgovd/{part}_llava.jsonl").read_bytes().count(b"\n") for part in parts]
    counts = [each for each in check(root, "fg-ovd").findings if each.kind == "count"]
    wanted = [published - have for published, have in zip((3545, 2968, 1299, 3545), there, strict=True)]
    assert [each.count for each in counts] == wanted
    assert {each.severity for each in counts} == {"missing"}
    more = with_spec(root, "coco", published_items={"*": 40})
    assert (more.verdict, finding(more, "count").count) == ("broken", 8)


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
    assert verified.pictures == len(pictures) - 1


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


def test_proposals_that_are_absent_are_named(root: Path) -> None:
    shutil.rmtree(root / "lvis/proposals")
    verified = check(root, "lvis-minival")
    assert verified.verdict == "missing"
    assert verified.items == {"images": 48}
    assert finding(verified, "annotations").items == ("proposals: lvis/proposals/minival",)


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
