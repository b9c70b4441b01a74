"""Readers of short captions: COCO, Karpathy, Flickr30k, Flickr30k-CNA, COCO-CN."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fgbench.errors import DataError, DataMissingError
from fgbench.requests import Images, Texts

from ..layouts import coco_captions, coco_image, write_json
from .reading import EXCERPTS, excerpt, opened, touch, write

COCO = "coco/annotations/captions_val2017.json"
CNA = "flickr30k-cna/flickr30k_cna_test.txt"
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


def cna(*pictures: str, numbered: bool = True, captions: int = 5) -> list[str]:
    """Invented rows of the owner's form."""
    return [
        f"{name}{f'#{number}' if numbered else ''}\t{name} 的 T恤 {number}"
        for name in pictures
        for number in range(captions)
    ]


class TestFlickr30kCna:
    @pytest.mark.parametrize("numbered", [True, False])
    def test_q18_the_id_may_carry_a_number_and_nothing_is_lower_cased(self, tmp_path: Path, numbered: bool) -> None:
        write(tmp_path / CNA, "\n".join(cna("11", "7", numbered=numbered)))
        touch(tmp_path, "flickr30k/flickr30k-images/11.jpg", "flickr30k/flickr30k-images/7.jpg")
        found = opened("flickr30k-cna", tmp_path)
        assert found.paths == ["flickr30k/flickr30k-images/11.jpg", "flickr30k/flickr30k-images/7.jpg"]
        assert found.texts[:2] == ["11 的 T恤 0", "11 的 T恤 1"]
        texts = found.requests["texts"]
        assert isinstance(texts, Texts)
        assert texts.kind == "short"

    def test_pictures_come_in_order_of_first_appearance(self, tmp_path: Path) -> None:
        lines = cna("9", "10")
        mixed = [lines[index] for index in (0, 5, 6, 1, 7, 2, 3, 8, 4, 9)]
        write(tmp_path / CNA, "\n".join(mixed))
        found = opened("flickr30k-cna", tmp_path)
        assert found.ids == ["9", "10"]
        assert found.captions == [tuple(f"{name} 的 T恤 {number}" for number in range(5)) for name in ("9", "10")]

    def test_captions_are_stripped_and_line_ends_do_not_matter(self, tmp_path: Path) -> None:
        write(tmp_path / CNA, "\r\n".join(f"{line} \u3000" for line in cna("1")) + "\r\n\r\n")
        assert opened("flickr30k-cna", tmp_path).texts == [f"1 的 T恤 {number}" for number in range(5)]

    def test_other_separators_belong_to_the_caption(self, tmp_path: Path) -> None:
        lines = cna("1")
        lines[2] = "1#2\t一行\u2028两行"
        write(tmp_path / CNA, "\n".join(lines))
        assert opened("flickr30k-cna", tmp_path).texts[2] == "一行\u2028两行"

    def test_the_id_may_be_a_file_name(self, tmp_path: Path) -> None:
        write(tmp_path / CNA, "\n".join(cna("1.jpg")))
        assert opened("flickr30k-cna", tmp_path).ids == ["1"]

    @pytest.mark.parametrize("bad", ["没有标签", "1#0\t", "\t句子", "1#0 句子", "1#0\t一\t二"])
    def test_a_line_of_another_form_is_named_with_its_number(self, tmp_path: Path, bad: str) -> None:
        """A TAB inside a caption among them."""
        lines = cna("1", "2")
        path = write(tmp_path / CNA, "\n".join([*lines[:3], bad, *lines[3:]]))
        with pytest.raises(DataError, match=rf"{path}:4: expected 'id<TAB>caption'"):
            opened("flickr30k-cna", tmp_path)

    @pytest.mark.parametrize("count", [4, 6])
    def test_other_than_five_captions_are_refused_with_the_first_line_of_the_picture(
        self, tmp_path: Path, count: int
    ) -> None:
        path = write(tmp_path / CNA, "\n".join([*cna("1"), *cna("2", captions=count)]))
        with pytest.raises(DataError, match=rf"{path}:6: picture 2 has {count} captions"):
            opened("flickr30k-cna", tmp_path)

    def test_an_id_that_climbs_is_refused_with_its_line(self, tmp_path: Path) -> None:
        path = write(tmp_path / CNA, "\n".join(cna("1", "../2")))
        with pytest.raises(DataError, match=rf"{path}:6: image name '../2.jpg' would leave"):
            opened("flickr30k-cna", tmp_path)

    def test_q13_a_folder_with_or_without_a_slash_at_the_end_is_one_folder(self, tmp_path: Path) -> None:
        path = write(tmp_path / "elsewhere/test.txt", "\n".join(cna("1")))
        touch(tmp_path, "pictures/1.jpg")
        for folder in (f"{tmp_path}/pictures", f"{tmp_path}/pictures/"):
            found = opened("flickr30k-cna", tmp_path, annotations=path, images=Path(folder))
            assert found.paths == ["pictures/1.jpg"]


def coco_cn(name: str, number: int, caption: str, tag: str = "zhm") -> str:
    return f"{name}#{tag}#{number} {caption}"


TRAIN, VAL = "COCO_train2014_000000000009", "COCO_val2014_000000000042"


class TestCocoCn:
    def lines(self) -> list[str]:
        """Grouped by number and not by picture, like the real file."""
        order = [(number, name) for number in (3, 0, 4, 1, 2) for name in (VAL, TRAIN)]
        return [coco_cn(name, number, f"T恤 {name[-2:]} {number}") for number, name in order]

    def test_q19_lower_cased_short_and_named_translated(self, tmp_path: Path) -> None:
        write(tmp_path / "coco-cn/pair.txt", "\n".join(self.lines()))
        found = opened("coco-cn", tmp_path)
        assert found.texts[0] == "t恤 42 3"
        assert found.captions[0][0] == "T恤 42 3"
        texts = found.requests["texts"]
        assert isinstance(texts, Texts)
        assert texts.kind == "short"
        assert "translated" in found.spec.title

    def test_pictures_and_captions_come_in_the_order_of_the_file(self, tmp_path: Path) -> None:
        write(tmp_path / "coco-cn/pair.txt", "\n".join(self.lines()))
        found = opened("coco-cn", tmp_path)
        assert found.ids == [VAL, TRAIN]
        assert found.captions[1] == tuple(f"T恤 09 {number}" for number in (3, 0, 4, 1, 2))

    def test_a_sixth_caption_is_not_used(self, tmp_path: Path) -> None:
        write(tmp_path / "coco-cn/pair.txt", "\n".join([*self.lines(), coco_cn(VAL, 5, "第六")]))
        assert [len(captions) for captions in opened("coco-cn", tmp_path).captions] == [5, 5]

    def test_pictures_of_a_2014_tree(self, tmp_path: Path) -> None:
        write(tmp_path / "coco-cn/pair.txt", "\n".join(self.lines()))
        expected = [f"coco/val2014/{VAL}.jpg", f"coco/train2014/{TRAIN}.jpg"]
        touch(tmp_path, *expected, "coco/train2017/000000000042.jpg")
        assert opened("coco-cn", tmp_path).paths == expected

    @pytest.mark.parametrize("folders", [("train2017", "val2017"), ("val2017", "train2017")])
    def test_pictures_of_a_2017_tree_lie_in_either_folder(self, tmp_path: Path, folders: tuple[str, str]) -> None:
        """The years divide the pictures differently: both folders have to be tried."""
        write(tmp_path / "coco-cn/pair.txt", "\n".join(self.lines()))
        expected = [f"coco/{folders[0]}/000000000042.jpg", f"coco/{folders[1]}/000000000009.jpg"]
        touch(tmp_path, *expected)
        assert opened("coco-cn", tmp_path).paths == expected

    def test_pictures_in_archives_of_either_year(self, tmp_path: Path) -> None:
        write(tmp_path / "coco-cn/pair.txt", "\n".join(self.lines()))
        (tmp_path / "coco").mkdir()
        with zipfile.ZipFile(tmp_path / "coco/train2014.zip", "w") as archive:
            archive.writestr(f"train2014/{TRAIN}.jpg", b"")
        with zipfile.ZipFile(tmp_path / "coco/train2017.zip", "w") as archive:
            archive.writestr("train2017/000000000042.jpg", b"")
        assert opened("coco-cn", tmp_path).paths == [
            "coco/train2017.zip!train2017/000000000042.jpg",
            f"coco/train2014.zip!train2014/{TRAIN}.jpg",
        ]

    def test_an_absent_picture_is_looked_for_under_its_2014_name(self, tmp_path: Path) -> None:
        write(tmp_path / "coco-cn/pair.txt", "\n".join(self.lines()))
        (tmp_path / "coco").mkdir()
        assert opened("coco-cn", tmp_path).paths == [f"coco/val2014/{VAL}.jpg", f"coco/train2014/{TRAIN}.jpg"]

    @pytest.mark.parametrize(
        "bad",
        [
            "COCO_val2014_42#zhm#0 数字太短",
            f"{VAL}#en#0 english",
            f"{VAL} 没有编号",
            f"{VAL}#zhm#0",
            "COCO_test2014_000000000042#zhm#0 没有这一部分",
            "垃圾",
        ],
    )
    def test_q19_a_line_of_another_form_is_not_dropped_in_silence(self, tmp_path: Path, bad: str) -> None:
        lines = self.lines()
        path = write(tmp_path / "coco-cn/pair.txt", "\n".join([*lines[:2], bad, *lines[2:]]))
        with pytest.raises(DataError, match=rf"{path}:3: expected 'COCO_<part>2014_"):
            opened("coco-cn", tmp_path)

    def test_human_written_captions_are_another_dataset(self, tmp_path: Path) -> None:
        """One or two captions per picture."""
        lines = [coco_cn(VAL, 0, "一只T恤", "zhb"), coco_cn(TRAIN, 0, "两只", "zhb"), coco_cn(VAL, 1, "三只", "zhb")]
        write(tmp_path / "coco-cn/test_human.txt", "\n".join(lines) + "\n")
        found = opened("coco-cn-human", tmp_path)
        assert found.captions == [("一只T恤", "三只"), ("两只",)]
        assert found.spec.optional
        with pytest.raises(DataMissingError):
            opened("coco-cn", tmp_path)

    def test_an_empty_file_is_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path / "coco-cn/pair.txt", "\n\n")
        with pytest.raises(DataError, match=rf"{path}.*no picture"):
            opened("coco-cn", tmp_path)
