"""Readers of short English captions: COCO, Karpathy's split, Flickr30k."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fgbench.errors import DataError
from fgbench.requests import Images, Texts

from ..layouts import coco_captions, coco_image, write_json
from .reading import EXCERPTS, excerpt, opened, touch, write

COCO = "coco/annotations/captions_val2017.json"
FIVE = [f"Caption {number}." for number in range(5)]


class TestCoco:
    def test_q17_the_split_is_val2017_and_the_text_path_short(self, tmp_path: Path) -> None:
        coco_captions(tmp_path, [(1, "A Dog.")])
        found = opened("coco", tmp_path)
        assert found.paths == ["coco/val2017/000000000001.png"]
        assert "val2017" in found.spec.title
        assert found.spec.protocol.details["split"].startswith("val2017 (5,000 pictures), not the Karpathy")
        images, texts = found.requests["images"], found.requests["texts"]
        assert isinstance(images, Images)
        assert isinstance(texts, Texts)
        assert (images.budget, texts.kind, texts.texts) == (None, "short", ["a dog."])

    def test_a_real_excerpt_pictures_ascend_and_the_first_five_captions_count(self, tmp_path: Path) -> None:
        """One picture of the excerpt has six captions: the sixth is not used (25,000 of 25,014 in the whole file)."""
        write(tmp_path / COCO, (EXCERPTS / "coco_captions.json").read_bytes())
        content = excerpt("coco_captions.json")
        by_image: dict[int, list[str]] = {}
        for row in content["annotations"]:
            by_image.setdefault(row["image_id"], []).append(row["caption"])
        assert [row["id"] for row in content["images"]] == [296284, 165257, 52312]
        assert sorted(map(len, by_image.values())) == [5, 5, 6]
        found = opened("coco", tmp_path)
        assert found.ids == ["52312", "165257", "296284"]
        assert found.captions == [tuple(by_image[int(image)][:5]) for image in found.ids]
        assert found.texts == [text.lower() for captions in found.captions for text in captions]
        assert found.loaded.size == {"*": 3}

    def test_captions_keep_the_order_of_the_file_and_their_blanks(self, tmp_path: Path) -> None:
        rows = [(2, "Two b \n"), (1, " ONE"), (2, "Two a"), (1, "ÀÉ Straße İ")]
        coco_captions(tmp_path, rows, images=[2, 1])
        found = opened("coco", tmp_path)
        assert found.captions == [(" ONE", "ÀÉ Straße İ"), ("Two b \n", "Two a")]
        assert found.texts == [" one", "ÀÉ Straße İ".lower(), "two b \n", "two a"]

    def test_a_picture_without_captions_is_counted(self, tmp_path: Path) -> None:
        coco_captions(tmp_path, [(1, "One.")], images=[3, 1])
        found = opened("coco", tmp_path)
        assert found.loaded.rejected == {"no_caption": 1}
        assert found.loaded.size == {"*": 2}
        assert found.ids == ["1"]

    def test_the_limit_keeps_the_first_pictures_with_their_captions(self, tmp_path: Path) -> None:
        coco_captions(tmp_path, [(3, "c"), (1, "a"), (2, "b"), (1, "aa")])
        assert opened("coco", tmp_path, limit=2).captions == [("a", "aa"), ("b",)]

    @pytest.mark.parametrize(
        ("annotations", "message"),
        [
            ([{"id": 1, "image_id": 1, "caption": None}], r"annotations\[0\]: field 'caption' should be a string"),
            ([{"id": 1, "caption": "x"}], r"annotations\[0\]: field 'image_id' is missing"),
            ([3], r"annotations\[0\] should be an object"),
        ],
    )
    def test_a_bad_annotation_is_named(self, tmp_path: Path, annotations: list[Any], message: str) -> None:
        path = write_json(tmp_path / COCO, {"images": [coco_image(1)], "annotations": annotations})
        with pytest.raises(DataError, match=message) as caught:
            opened("coco", tmp_path)
        assert str(path) in str(caught.value)

    def test_an_image_without_a_file_name_is_named(self, tmp_path: Path) -> None:
        rows = [{"image_id": 7, "caption": "x"}]
        write_json(tmp_path / COCO, {"images": [{"id": 7}], "annotations": rows})
        with pytest.raises(DataError, match="image 7: field 'file_name' is missing"):
            opened("coco", tmp_path)

    def test_pictures_are_found_in_the_archive_as_downloaded(self, tmp_path: Path) -> None:
        coco_captions(tmp_path, [(1, "One.")])
        with zipfile.ZipFile(tmp_path / "coco/val2017.zip", "w") as archive:
            archive.writestr("val2017/000000000001.png", b"")
        assert opened("coco", tmp_path).paths == ["coco/val2017.zip!val2017/000000000001.png"]


def karpathy_row(name: str, texts: list[str], split: str = "test", **more: Any) -> dict[str, Any]:
    return {"filename": name, "split": split, "sentences": [{"raw": text, "sentid": 0} for text in texts], **more}


class TestKarpathy:
    def test_coco_s_test_split_with_the_folder_of_each_picture(self, tmp_path: Path) -> None:
        rows = [
            karpathy_row("COCO_val2014_1.jpg", FIVE, filepath="val2014"),
            karpathy_row("COCO_train2014_2.jpg", FIVE, "restval", filepath="train2014"),
            karpathy_row("COCO_val2014_3.jpg", [*FIVE, "A sixth."], filepath="val2014"),
        ]
        write(tmp_path / "coco/dataset_coco.json", {"images": rows, "dataset": "coco"})
        touch(tmp_path, "coco/val2014/COCO_val2014_1.jpg", "coco/val2014/COCO_val2014_3.jpg")
        found = opened("coco-karpathy", tmp_path)
        assert found.paths == ["coco/val2014/COCO_val2014_1.jpg", "coco/val2014/COCO_val2014_3.jpg"]
        assert found.captions == [tuple(FIVE), tuple(FIVE)]
        assert found.texts[0] == "caption 0."

    def test_the_real_row_is_of_the_train_split_and_left_out(self, tmp_path: Path) -> None:
        content = excerpt("flickr30k_karpathy.json")
        write(tmp_path / "flickr30k/dataset_flickr30k.json", content)
        with pytest.raises(DataError, match=r"dataset_flickr30k.json: .*no picture"):
            opened("flickr30k", tmp_path)
        content["images"][0]["split"] = "test"
        write(tmp_path / "flickr30k/dataset_flickr30k.json", content)
        found = opened("flickr30k", tmp_path)
        assert found.ids == ["1000092795.jpg"]
        assert found.captions[0][1] == "Two young, White males are outside near many bushes."
        assert found.texts[1] == "two young, white males are outside near many bushes."
        assert len(found.texts) == 5

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ([], "expected an object with 'images'"),
            ({"images": [5]}, r"images\[0\] should be an object"),
            ({"images": [{"filename": "a.jpg"}]}, r"images\[0\]: field 'split' is missing"),
            ({"images": [{"split": "test", "filename": "a", "sentences": ["x"]}]}, r"images\[0\]: field 'sentences'"),
            ({"images": [{"split": "test", "filename": "a", "sentences": [{}]}]}, r"images\[0\]: field 'raw' is miss"),
            ({"images": [karpathy_row("a.jpg", FIVE, filepath=3)]}, r"images\[0\]: field 'filepath' should be a str"),
            ({"images": [karpathy_row("../a.jpg", FIVE)]}, r"images\[0\]: image name '../a.jpg' would leave"),
            ({"images": [karpathy_row("a.jpg", FIVE[:4])]}, r"images\[0\]: picture a.jpg has 4 captions"),
        ],
    )
    def test_a_bad_row_is_named(self, tmp_path: Path, content: Any, message: str) -> None:
        path = write(tmp_path / "coco/dataset_coco.json", content)
        with pytest.raises(DataError, match=message) as caught:
            opened("coco-karpathy", tmp_path)
        assert str(path) in str(caught.value)


class TestFlickr30k:
    def test_a_real_excerpt(self, tmp_path: Path) -> None:
        write(tmp_path / "flickr30k/flickr30k_test.json", (EXCERPTS / "flickr30k_test.json").read_bytes())
        touch(tmp_path, *(f"flickr30k/{row['image']}" for row in excerpt("flickr30k_test.json")))
        found = opened("flickr30k", tmp_path)
        assert found.paths == [
            "flickr30k/flickr30k-images/1007129816.jpg",
            "flickr30k/flickr30k-images/1009434119.jpg",
        ]
        assert found.texts[2] == "a man with gauges and glasses is wearing a blitz hat."
        assert found.captions[1][4] == "A Boston terrier is running in the grass."

    @pytest.mark.parametrize(
        "place",
        [
            "flickr30k/flickr30k-images/1007129816.jpg",
            "flickr30k/flickr30k_images/1007129816.jpg",
            "flickr30k/1007129816.jpg",
        ],
    )
    def test_folders_of_several_names_serve(self, tmp_path: Path, place: str) -> None:
        write(tmp_path / "flickr30k/flickr30k_test.json", (EXCERPTS / "flickr30k_test.json").read_bytes())
        touch(tmp_path, place)
        assert opened("flickr30k", tmp_path).paths[0] == place

    def test_the_hub_s_archive_serves(self, tmp_path: Path) -> None:
        write(tmp_path / "flickr30k/flickr30k_test.json", (EXCERPTS / "flickr30k_test.json").read_bytes())
        with zipfile.ZipFile(tmp_path / "flickr30k/images_flickr_1k_test.zip", "w") as archive:
            archive.writestr("images_flickr_1k_test/1007129816.jpg", b"")
        first, second = opened("flickr30k", tmp_path).paths
        assert first == "flickr30k/images_flickr_1k_test.zip!images_flickr_1k_test/1007129816.jpg"
        assert "!" not in second

    @pytest.mark.parametrize("count", [0, 1, 4, 6])
    def test_other_than_five_captions_are_refused_with_row_and_picture(self, tmp_path: Path, count: int) -> None:
        """The official script takes five for granted: with another number every later text has the wrong picture."""
        rows = [{"image": "a.jpg", "caption": FIVE}, {"image": "b.jpg", "caption": ["x"] * count}]
        path = write(tmp_path / "flickr30k/flickr30k_test.json", rows)
        with pytest.raises(DataError, match=rf"{path}: row 1: picture b.jpg has {count} captions.* exactly 5"):
            opened("flickr30k", tmp_path)

    def test_six_sentences_in_karpathy_s_file_are_refused_as_well(self, tmp_path: Path) -> None:
        rows = [karpathy_row("a.jpg", [*FIVE, "A sixth."])]
        write(tmp_path / "flickr30k/dataset_flickr30k.json", {"images": rows})
        with pytest.raises(DataError, match=r"images\[0\]: picture a.jpg has 6 captions"):
            opened("flickr30k", tmp_path)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("text", "expected a list of rows"),
            ([3], "row 0 should be an object"),
            ([{"caption": FIVE}], "row 0: field 'image' is missing"),
            ([{"image": "a.jpg", "caption": "one"}], "row 0: field 'caption' should be a list"),
            ([{"image": "a.jpg", "caption": [*FIVE[:4], 5]}], r"row 0: field 'caption'\[4\] should be a string"),
            ([], "no picture"),
        ],
    )
    def test_a_bad_row_is_named(self, tmp_path: Path, content: Any, message: str) -> None:
        path = write(tmp_path / "flickr30k/flickr30k_test.json", json.dumps(content))
        with pytest.raises(DataError, match=message) as caught:
            opened("flickr30k", tmp_path)
        assert str(path) in str(caught.value)
