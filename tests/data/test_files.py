from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.data.files import DatasetFiles, Folders, ImageRoot
from fgbench.data.images import probe
from fgbench.errors import DataError, DataMissingError, UsageError
from fgbench.requests import ImageRef

from ..fakes import dataset_spec, save_picture

HOSTILE = [
    "", ".", "/", "..", "../x.jpg", "a/../../x.jpg", "a/..", "/etc/passwd", "//server/share", "C:\\x", "C:x", "c:/x",
    "a\\..\\..\\x", "..\\x", "a\0b", "\0",
]  # fmt: skip


def files(root: Path, **overrides: Path) -> DatasetFiles:
    places = {"annotations": ("new/list.json", "old/list.json"), "images": ("pictures", "other")}
    return DatasetFiles(dataset_spec("demo", files=places), root, overrides)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


class TestRoles:
    def test_the_first_place_that_exists_is_taken(self, tmp_path: Path) -> None:
        old = touch(tmp_path / "old/list.json")
        assert files(tmp_path).annotation("annotations") == old
        new = touch(tmp_path / "new/list.json")
        assert files(tmp_path).annotation("annotations") == new

    def test_an_absent_file_is_reported_with_every_place_and_the_way_to_get_it(self, tmp_path: Path) -> None:
        with pytest.raises(DataMissingError) as caught:
            files(tmp_path).annotation("annotations")
        message = str(caught.value)
        assert message.startswith("demo: no annotations found")
        assert str(tmp_path / "new/list.json") in message
        assert str(tmp_path / "old/list.json") in message
        assert "Ask for it." in message

    def test_an_override_stands_in_for_all_places(self, tmp_path: Path) -> None:
        touch(tmp_path / "new/list.json")
        mine = touch(tmp_path / "mine.json")
        assert files(tmp_path, annotations=mine).annotation("annotations") == mine

    def test_an_override_that_does_not_exist_is_missing_whatever_lies_elsewhere(self, tmp_path: Path) -> None:
        touch(tmp_path / "new/list.json")
        with pytest.raises(DataMissingError, match=r"gone.json") as caught:
            files(tmp_path, annotations=tmp_path / "gone.json").annotation("annotations")
        assert "new/list.json" not in str(caught.value)

    def test_an_override_of_an_unknown_role_is_a_usage_error(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="demo has no files called 'pictures'; it has: annotations, images"):
            files(tmp_path, pictures=tmp_path)

    def test_annotation_files_are_remembered_once(self, tmp_path: Path) -> None:
        path = touch(tmp_path / "new/list.json")
        found = files(tmp_path)
        assert found.read == []
        found.annotation("annotations")
        found.annotation("annotations")
        assert found.read == [path]

    def test_without_an_image_folder_names_lead_to_the_first_place(self, tmp_path: Path) -> None:
        """So that the pictures are counted as missing."""
        ref = files(tmp_path).image_root().image("a.jpg", "here")
        assert ref.path == str(tmp_path / "pictures/a.jpg")


class TestNames:
    def root(self, place: Path) -> ImageRoot:
        return ImageRoot(place, "demo", Folders())

    @pytest.mark.parametrize("name", HOSTILE)
    def test_a_name_that_leaves_the_folder_is_refused(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(DataError, match=r"list.json:3: image name .* would leave the image folder .* of demo"):
            self.root(tmp_path).image(name, "list.json:3")

    @given(st.text(alphabet="ab./\\:~$ \0图", max_size=12))
    def test_whatever_the_name_the_picture_lies_below_the_folder(self, name: str) -> None:
        base = Path("/data/pictures")
        try:
            ref = self.root(base).image(name, "here", anywhere=True)
        except DataError:
            return
        path = Path(ref.path)
        assert ".." not in path.parts
        assert path != base
        assert path.is_relative_to(base)
        written = [part for part in name.split("/") if part not in ("", ".")]
        assert ref.path == "/data/pictures/" + "/".join(written)

    def test_a_picture_that_is_nowhere_is_not_found_but_has_a_place(self, tmp_path: Path) -> None:
        here = touch(tmp_path / "a.jpg")
        root = self.root(tmp_path)
        assert root.find("a.jpg", "here") == ImageRef(str(here))
        assert root.find("b.jpg", "here", anywhere=True) is None
        assert root.image("b.jpg", "here", anywhere=True) == ImageRef(str(tmp_path / "b.jpg"))

    @pytest.mark.parametrize("name", ["a.jpg", "val2017/a.jpg", "a b/图.jpg", "..a.jpg", "a..jpg", "~/a.jpg", "$HOME"])
    def test_an_ordinary_name_is_joined(self, tmp_path: Path, name: str) -> None:
        assert self.root(tmp_path).image(name, "here").path == str(tmp_path / name)

    def test_links_below_the_folder_are_followed(self, tmp_path: Path) -> None:
        real = save_picture(tmp_path / "elsewhere/a.png")
        (tmp_path / "pictures").mkdir()
        (tmp_path / "pictures/val2017").symlink_to(tmp_path / "elsewhere")
        ref = self.root(tmp_path / "pictures").image("val2017/a.png", "here")
        assert probe(ref) == probe(real)

    def test_the_last_part_is_enough_if_it_may_lie_anywhere(self, tmp_path: Path) -> None:
        touch(tmp_path / "a.jpg")
        assert self.root(tmp_path).image("sam/images/a.jpg", "here", anywhere=True).path == str(tmp_path / "a.jpg")
        assert self.root(tmp_path).image("sam/images/a.jpg", "here").path == str(tmp_path / "sam/images/a.jpg")

    def test_the_path_as_written_wins_over_the_last_part(self, tmp_path: Path) -> None:
        exact = touch(tmp_path / "sam/a.jpg")
        touch(tmp_path / "a.jpg")
        assert self.root(tmp_path).image("sam/a.jpg", "here", anywhere=True).path == str(exact)

    def test_a_listing_has_files_one_folder_deep_in_order(self, tmp_path: Path) -> None:
        for name in ("b/2.jpg", "b/1.jpg", "a/3.jpg"):
            touch(tmp_path / name)
        touch(tmp_path / "loose.jpg")
        assert list(self.root(tmp_path).listing()) == ["a/3.jpg", "b/1.jpg", "b/2.jpg"]


class TestArchivedNames:
    """Pictures in an archive are found by the name in the annotations, whatever the archive's folders are called."""

    @pytest.fixture
    def picture(self, tmp_path: Path) -> Path:
        return Path(save_picture(tmp_path / "source/a.png").path)

    def zipped(self, path: Path, picture: Path, *names: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.write(picture, name)
        return path

    @pytest.mark.parametrize("member", ["val2017/a.png", "a.png", "coco/val2017/a.png"])
    def test_the_archive_may_repeat_the_folder_or_not(self, tmp_path: Path, picture: Path, member: str) -> None:
        self.zipped(tmp_path / "coco/val2017.zip", picture, member)
        ref = ImageRoot(tmp_path / "coco", "demo", Folders()).image("val2017/a.png", "here")
        assert ref.member == member
        assert probe(ref).width == 24

    def test_the_archive_itself_may_be_the_image_root(self, tmp_path: Path, picture: Path) -> None:
        archive = self.zipped(tmp_path / "val2017.zip", picture, "val2017/a.png")
        assert ImageRoot(archive, "demo", Folders()).image("a.png", "here").member == "val2017/a.png"

    def test_a_tar_file_serves_as_well(self, tmp_path: Path, picture: Path) -> None:
        with tarfile.open(tmp_path / "val2017.tar", "w") as archive:
            archive.add(picture, "val2017/a.png")
        ref = ImageRoot(tmp_path, "demo", Folders()).image("val2017/a.png", "here")
        assert probe(ref).width == 24

    def test_a_file_wins_over_an_archive(self, tmp_path: Path, picture: Path) -> None:
        self.zipped(tmp_path / "coco/val2017.zip", picture, "val2017/a.png")
        loose = touch(tmp_path / "coco/val2017/a.png")
        ref = ImageRoot(tmp_path / "coco", "demo", Folders()).image("val2017/a.png", "here")
        assert (ref.path, ref.member) == (str(loose), "")

    def test_a_name_that_two_archives_have_is_not_guessed(self, tmp_path: Path, picture: Path) -> None:
        self.zipped(tmp_path / "coco/one.zip", picture, "one/a.png", "one/b.png")
        self.zipped(tmp_path / "coco/two.zip", picture, "two/a.png")
        root = ImageRoot(tmp_path / "coco", "demo", Folders())
        assert root.image("a.png", "here").member == ""
        assert root.image("b.png", "here").member == "one/b.png"
        assert root.image("two/a.png", "here").member == "two/a.png"

    def test_a_name_that_climbs_is_refused_before_archives_are_asked(self, tmp_path: Path, picture: Path) -> None:
        self.zipped(tmp_path / "val2017.zip", picture, "../a.png")
        with pytest.raises(DataError, match="would leave"):
            ImageRoot(tmp_path, "demo", Folders()).image("../a.png", "here")

    def test_a_damaged_archive_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "val2017.zip").write_bytes(b"PK\3\4 this was cut off")
        with pytest.raises(DataError, match=r"val2017.zip: not a readable archive"):
            ImageRoot(tmp_path, "demo", Folders()).image("a.png", "here")


class TestFolders:
    def test_a_folder_is_listed_once(self, tmp_path: Path) -> None:
        folders = Folders()
        touch(tmp_path / "a.jpg")
        assert folders.has(str(tmp_path / "a.jpg"))
        touch(tmp_path / "b.jpg")
        assert not folders.has(str(tmp_path / "b.jpg"))

    def test_lacking_is_every_picture_that_is_not_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(touch(tmp_path / "here/a.jpg").parent)
        touch(tmp_path / "b/c.jpg")
        archive = touch(tmp_path / "b/pictures.zip")
        names = ["a.jpg", "/a.jpg", "b.jpg", str(tmp_path / "b/c.jpg"), "a.jpg", str(tmp_path / "none/c.jpg")]
        refs = [*map(ImageRef, names), ImageRef(str(archive), "x.jpg")]
        assert Folders().lacking(refs) == {ref for ref in refs if not Folders().has(ref.path)}
        assert Folders().lacking(refs) == {refs[1], refs[2], refs[5]}

    def test_an_absent_folder_has_no_files(self, tmp_path: Path) -> None:
        assert not Folders().has(str(tmp_path / "none/a.jpg"))
        assert Folders().names(str(tmp_path / "none")) == frozenset()
