"""Readers of short Chinese captions: Flickr30k-CNA and COCO-CN."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from fgbench.errors import DataError, DataMissingError
from fgbench.requests import Texts

from .reading import opened, touch, write

CNA = "flickr30k-cna/flickr30k_cna_test.txt"
TRAIN, VAL = "COCO_train2014_000000000009", "COCO_val2014_000000000042"


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
