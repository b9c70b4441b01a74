"""Readers of long captions: ShareGPT4V, DCI, and the three Chinese sets of one form."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fgbench.data.verification import verify
from fgbench.errors import DataError, DataMissingError
from fgbench.requests import Texts
from fgbench.runner.plan import make_plan
from fgbench.runner.progress import Silent
from fgbench.selection import datasets

from .reading import EXCERPTS, Opened, opened, touch, write

SHAREGPT4V = "sharegpt4v/share-captioner_coco_lcs_sam_1246k_1107.json"
DCI = "dci/densely_captioned_images"

CHINESE = {
    "lit-cn": ("LIT-CN", "LIT-CN/image_caption_long_cn.txt"),
    "dci-cn": ("DCI-CN", "DCI-CN/image_caption_trans.txt"),
    "docci-cn": ("DOCCI-CN", "DOCCI-CN/image_caption_trans.txt"),
}


def kind(found: Opened) -> str:
    texts = found.requests["texts"]
    assert isinstance(texts, Texts)
    return texts.kind


def sharegpt4v(number: int, caption: str, folder: str = "sam/images") -> dict[str, Any]:
    """A row of the published shape; a real one could not be had."""
    return {
        "id": f"sa_{number}",
        "image": f"{folder}/sa_{number}.jpg",
        "conversations": [
            {"from": "human", "value": "<image>\nWhat do you see?"},
            {"from": "gpt", "value": caption},
            {"from": "human", "value": "Thanks."},
        ],
    }


class TestShareGpt4V:
    def test_q14_the_text_is_the_second_turn_lower_cased_with_its_newlines(self, tmp_path: Path) -> None:
        write(tmp_path / SHAREGPT4V, [sharegpt4v(7, "In the Image,\n\na Dog. "), sharegpt4v(3, "B")])
        touch(tmp_path, "sharegpt4v/sam/images/sa_7.jpg", "sharegpt4v/sam/images/sa_3.jpg")
        found = opened("sharegpt4v", tmp_path)
        assert found.texts == ["in the image,\n\na dog. ", "b"]
        assert found.paths == ["sharegpt4v/sam/images/sa_7.jpg", "sharegpt4v/sam/images/sa_3.jpg"]
        assert kind(found) == "long"

    def test_the_first_1000_rows_are_used_and_what_follows_is_not_even_parsed(self, tmp_path: Path) -> None:
        rows = ",".join(json.dumps(sharegpt4v(number, f"{number} {'x' * 1500}")) for number in range(1000))
        rest = "," + json.dumps(sharegpt4v(1000, "y" * 2_500_000))
        write(tmp_path / SHAREGPT4V, f"[{rows}{rest} and here it is broken")
        found = opened("sharegpt4v", tmp_path)
        assert found.loaded.size == {"*": 1000}
        assert found.ids[-1] == "sam/images/sa_999.jpg"

    @pytest.mark.parametrize("place", ["sharegpt4v/images", "sharegpt4v", "sam/images", "ShareGPT4V/sam/images"])
    @pytest.mark.parametrize("folder", ["sam/images", "sa_000012/images"])
    def test_a_flat_folder_of_pictures_serves(self, tmp_path: Path, place: str, folder: str) -> None:
        """As in the official script: the last part of the name. The second form is that of LoTLIP's copy."""
        write(tmp_path / "sharegpt4v/share4v_sam_10k.json", [sharegpt4v(7, "A.", folder)])
        touch(tmp_path, f"{place}/sa_7.jpg")
        assert opened("sharegpt4v", tmp_path).paths == [f"{place}/sa_7.jpg"]

    def test_archives_of_sa_1b_are_read_in_place(self, tmp_path: Path) -> None:
        write(tmp_path / SHAREGPT4V, [sharegpt4v(7, "A."), sharegpt4v(8, "B.")])
        (tmp_path / "sharegpt4v/images").mkdir()
        for number, archive in ((7, "sa_000000.tar"), (8, "sa_000001.tar")):
            with tarfile.open(tmp_path / "sharegpt4v/images" / archive, "w") as packed:
                packed.addfile(tarfile.TarInfo(f"./sa_{number}.json"))
                packed.addfile(tarfile.TarInfo(f"./sa_{number}.jpg"))
        assert opened("sharegpt4v", tmp_path).paths == [
            "sharegpt4v/images/sa_000000.tar!./sa_7.jpg",
            "sharegpt4v/images/sa_000001.tar!./sa_8.jpg",
        ]

    def test_q13_a_folder_with_or_without_a_slash_at_the_end_is_one_folder(self, tmp_path: Path) -> None:
        path = write(tmp_path / "rows.json", [sharegpt4v(7, "A.")])
        touch(tmp_path, "here/sa_7.jpg")
        for folder in (f"{tmp_path}/here", f"{tmp_path}/here/"):
            assert opened("sharegpt4v", tmp_path, annotations=path, images=Path(folder)).paths == ["here/sa_7.jpg"]

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ({"image": "a.jpg"}, "row 1: field 'conversations' is missing"),
            ({"image": "a.jpg", "conversations": [{"value": "x"}]}, "row 1: field 'conversations' should have"),
            ({"image": "a.jpg", "conversations": ["x", "y"]}, "row 1: field 'conversations' should have"),
            ({"image": "a.jpg", "conversations": [{}, {"from": "gpt"}]}, "row 1: field 'value' is missing"),
            ({"conversations": [{}, {"value": "x"}]}, "row 1: field 'image' is missing"),
            ({"image": "", "conversations": [{}, {"value": "x"}]}, "row 1: image name ''"),
            ("text", "row 1 should be an object"),
        ],
    )
    def test_a_bad_row_is_named(self, tmp_path: Path, row: Any, message: str) -> None:
        path = write(tmp_path / SHAREGPT4V, [sharegpt4v(0, "fine"), row])
        with pytest.raises(DataError, match=message) as caught:
            opened("sharegpt4v", tmp_path)
        assert str(path) in str(caught.value)

    def test_an_empty_array_is_refused(self, tmp_path: Path) -> None:
        write(tmp_path / SHAREGPT4V, [])
        with pytest.raises(DataError, match="no picture"):
            opened("sharegpt4v", tmp_path)


def dci(number: int, caption: str | None, **changes: Any) -> dict[str, Any]:
    """An annotation file of the published shape; a real one could not be had."""
    row = {
        "image": f"sa_{number}.jpg",
        "short_caption": "A short one.",
        "extra_caption": caption,
        "mask_data": {"0": {"idx": 0, "label": "sky", "caption": "A sky.", "parent": -1}},
        "mask_keys": ["0"],
        **changes,
    }
    return {key: value for key, value in row.items() if value is not None}


class TestDci:
    def test_q15_every_file_counts_by_name_and_the_text_is_the_extra_caption_alone(self, tmp_path: Path) -> None:
        """splits.json lies beside the folder and is not read."""
        write(tmp_path / DCI / "splits.json", {"train": ["a-data.json"], "valid": [], "test": ["9-data.json"]})
        for name, number in (("9-data", 1), ("10-data", 2), ("a-data", 3)):
            write(tmp_path / DCI / f"annotations/{name}.json", dci(number, f"Extra {number}\nLine."))
        touch(tmp_path, f"{DCI}/photos/sa_2.jpg")
        found = opened("dci", tmp_path)
        assert found.ids == ["10-data", "9-data", "a-data"]
        assert found.texts == ["extra 2\nline.", "extra 1\nline.", "extra 3\nline."]
        assert found.paths == [f"{DCI}/photos/sa_{number}.jpg" for number in (2, 1, 3)]
        assert kind(found) == "long"
        assert found.files.read == [tmp_path / DCI / "annotations"]

    @pytest.mark.parametrize("place", ["densely_captioned_images", "dci"])
    def test_the_folder_may_lie_higher_up(self, tmp_path: Path, place: str) -> None:
        write(tmp_path / place / "annotations/1-data.json", dci(1, "x"))
        touch(tmp_path, f"{place}/photos/sa_1.jpg")
        assert opened("dci", tmp_path).paths == [f"{place}/photos/sa_1.jpg"]

    def test_the_pictures_may_stay_in_sa_1b_s_archive(self, tmp_path: Path) -> None:
        write(tmp_path / DCI / "annotations/1-data.json", dci(1, "x"))
        (tmp_path / DCI / "photos").mkdir()
        with tarfile.open(tmp_path / DCI / "photos/sa_000138.tar", "w") as packed:
            packed.addfile(tarfile.TarInfo("./sa_1.jpg"))
        assert opened("dci", tmp_path).paths == [f"{DCI}/photos/sa_000138.tar!./sa_1.jpg"]

    def test_q13_a_folder_with_or_without_a_slash_at_the_end_is_one_folder(self, tmp_path: Path) -> None:
        write(tmp_path / "some/where/1-data.json", dci(1, "x"))
        touch(tmp_path, "pictures/sa_1.jpg")
        for slash in ("", "/"):
            annotations, images = Path(f"{tmp_path}/some/where{slash}"), Path(f"{tmp_path}/pictures{slash}")
            assert opened("dci", tmp_path, annotations=annotations, images=images).paths == ["pictures/sa_1.jpg"]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (dci(1, None), "field 'extra_caption' is missing; present are 'image', 'short_caption'"),
            (dci(1, "x", image=None), "field 'image' is missing"),
            (dci(1, "x", image="../sa_1.jpg"), "image name '../sa_1.jpg' would leave"),
            ({"train": [], "test": []}, "field 'image' is missing; present are 'train', 'test'"),
            (["a", "list"], "expected an object with 'image' and 'extra_caption'"),
            (b"\x00\x05\x16\x07Mac OS X \xb0", "not UTF-8"),
            ("{", "not valid JSON"),
        ],
        ids=["no caption", "no image", "climbing", "foreign", "list", "AppleDouble", "cut off"],
    )
    def test_a_foreign_or_damaged_file_is_named_with_its_field(
        self, tmp_path: Path, content: Any, message: str
    ) -> None:
        write(tmp_path / DCI / "annotations/1-data.json", dci(1, "x"))
        bad = write(tmp_path / DCI / "annotations/foreign.json", content)
        with pytest.raises(DataError, match=message) as caught:
            opened("dci", tmp_path)
        assert str(caught.value).startswith(str(bad))

    def test_files_of_other_kinds_are_no_annotations(self, tmp_path: Path) -> None:
        write(tmp_path / DCI / "annotations/1-data.json", dci(1, "x"))
        touch(tmp_path, f"{DCI}/annotations/README.txt", f"{DCI}/annotations/.DS_Store")
        assert opened("dci", tmp_path).ids == ["1-data"]

    def test_a_folder_without_annotations_is_missing_data(self, tmp_path: Path) -> None:
        touch(tmp_path, f"{DCI}/annotations/README.txt")
        with pytest.raises(DataMissingError, match=r"annotations holds no annotation file"):
            opened("dci", tmp_path)


@pytest.mark.parametrize("dataset", CHINESE)
class TestChinese:
    def test_q16_real_captions_are_taken_as_they_are(self, tmp_path: Path, dataset: str) -> None:
        """The image names are made up: how the published files write them is not known."""
        folder, path = CHINESE[dataset]
        captions = (EXCERPTS / "lit_cn_captions.txt").read_text(encoding="utf-8").splitlines()
        assert any(caption != caption.lower() for caption in captions)
        write(tmp_path / path, "\n".join(f"{folder}/images/{n}.jpg\t{text}" for n, text in enumerate(captions)))
        touch(tmp_path, *(f"{folder}/images/{n}.jpg" for n in range(5)))
        found = opened(dataset, tmp_path)
        assert found.texts == captions
        assert found.paths == [f"{folder}/images/{n}.jpg" for n in range(5)]
        assert kind(found) == "long"

    @pytest.mark.parametrize("name", ["{}/images/a/1.jpg", "images/a/1.jpg", "a/1.jpg"])
    def test_q16_names_may_start_at_the_data_root_the_dataset_or_the_image_folder(
        self, tmp_path: Path, dataset: str, name: str
    ) -> None:
        """The official script knows the working directory only. Another dataset's folder ``images`` is not meant."""
        folder, path = CHINESE[dataset]
        write(tmp_path / path, f"{name.format(folder)}\t图")
        touch(tmp_path, f"{folder}/images/a/1.jpg", f"{folder}/images/1.jpg", "images/a/1.jpg", "images/1.jpg")
        assert opened(dataset, tmp_path).paths == [f"{folder}/images/a/1.jpg"]

    @pytest.mark.parametrize("name", ["somewhere/else/1.jpg", "1.jpg", "images/1.jpg"])
    def test_q16_the_last_part_is_enough(self, tmp_path: Path, dataset: str, name: str) -> None:
        folder, path = CHINESE[dataset]
        write(tmp_path / path, f"{name}\t图")
        touch(tmp_path, f"{folder}/images/1.jpg")
        assert opened(dataset, tmp_path).paths == [f"{folder}/images/1.jpg"]

    def test_q16_a_folder_that_the_user_names_is_the_only_one(self, tmp_path: Path, dataset: str) -> None:
        folder, path = CHINESE[dataset]
        write(tmp_path / path, f"{folder}/images/1.jpg\t图\nother/2.jpg\t画")
        touch(tmp_path, f"{folder}/images/1.jpg", "mine/1.jpg", "other/2.jpg")
        found = opened(dataset, tmp_path, images=tmp_path / "mine")
        assert found.paths == ["mine/1.jpg", "mine/other/2.jpg"]

    def test_pictures_stay_in_the_archives_of_the_hub(self, tmp_path: Path, dataset: str) -> None:
        folder, path = CHINESE[dataset]
        write(tmp_path / path, "data/images/1.jpg\t图\ndata/images/2.jpg\t画")
        archives = ("images/images_1.zip", "images/images_2.zip") if dataset == "dci-cn" else ("images.zip", "more.zip")
        for number, archive in enumerate(archives, start=1):
            (tmp_path / folder / archive).parent.mkdir(exist_ok=True)
            with zipfile.ZipFile(tmp_path / folder / archive, "w") as packed:
                packed.writestr(f"images/{number}.jpg", b"")
        assert opened(dataset, tmp_path).paths == [
            f"{folder}/{archive}!images/{number}.jpg" for number, archive in enumerate(archives, start=1)
        ]

    def test_unrelated_archives_in_the_data_root_are_left_alone(self, tmp_path: Path, dataset: str) -> None:
        folder, path = CHINESE[dataset]
        write(tmp_path / path, "1.jpg\t图\n2.jpg\t画")
        write(tmp_path / "half_downloaded.zip", b"PK")
        touch(tmp_path, f"{folder}/images/1.jpg")
        assert opened(dataset, tmp_path).paths[0] == f"{folder}/images/1.jpg"

    @pytest.mark.parametrize(
        "bad",
        ["1.jpg 没有标签", "1.jpg\t一\t二", "", "   ", "1.jpg\t", "\t图"],
        ids=["no TAB", "TAB in the caption", "empty", "blank", "no caption", "no name"],
    )
    def test_a_bad_line_stops_with_its_number(self, tmp_path: Path, dataset: str, bad: str) -> None:
        path = write(tmp_path / CHINESE[dataset][1], f"0.jpg\t零\n{bad}\n2.jpg\t二\n")
        with pytest.raises(DataError, match=rf"{path}:2: expected 'path<TAB>caption' with one TAB"):
            opened(dataset, tmp_path)

    def test_a_name_that_climbs_is_refused_with_its_line(self, tmp_path: Path, dataset: str) -> None:
        path = write(tmp_path / CHINESE[dataset][1], "0.jpg\t零\n../../etc/x.jpg\t一")
        with pytest.raises(DataError, match=rf"{path}:2: image name '../../etc/x.jpg' would leave"):
            opened(dataset, tmp_path)

    def test_blanks_at_the_end_and_other_separators(self, tmp_path: Path, dataset: str) -> None:
        """Trailing white space is stripped; of the line ends of Unicode only the newline ends a line."""
        write(tmp_path / CHINESE[dataset][1], "\ufeff0.jpg\t 零 \u3000\r\n1.jpg\t一\u2028行\n\n \n")
        assert opened(dataset, tmp_path).texts == [" 零", "一\u2028行"]

    def test_duplicates_are_counted_by_verification(self, tmp_path: Path, dataset: str) -> None:
        write(tmp_path / CHINESE[dataset][1], "0.jpg\t零\n1.jpg\t零\n0.jpg\t二\n2.jpg\t零")
        plan = make_plan([datasets().get(dataset)], tmp_path)
        [result] = verify(plan, Silent())
        found = {finding.kind: finding.items for finding in result.findings}
        assert found["texts_duplicated"] == ("3 × 零",)
        assert found["ids_duplicated"] == ("2 × 0.jpg",)


def test_empty_captions_of_dci_are_counted_by_verification(tmp_path: Path) -> None:
    """At most one of them can be hit."""
    for number in range(3):
        write(tmp_path / DCI / f"annotations/{number}-data.json", dci(number, "" if number else "full"))
    [result] = verify(make_plan([datasets().get("dci")], tmp_path), Silent())
    found = {finding.kind: finding.items for finding in result.findings}
    assert found["texts_duplicated"] == ("2 × ",)
