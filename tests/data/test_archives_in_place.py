"""Pictures read from archives in place: equal to the files, bounded, and safe in forked workers."""

from __future__ import annotations

import io
import multiprocessing
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fgbench.data import images
from fgbench.data.archives import members, read_member
from fgbench.data.files import Folders, ImageRoot
from fgbench.data.images import decode, probe
from fgbench.errors import DataError
from fgbench.requests import ImageRef

from ..fakes import save_pictures

Pack = Callable[[Path, Path], Path]


def pack_zip(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.iterdir()):
            packed.write(path, f"images/{path.name}")
    return archive


def pack_tar(folder: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w") as packed:
        packed.add(folder, "./images")
    return archive


PACK: dict[str, Pack] = {"zip": pack_zip, "tar": pack_tar}


def root(place: Path) -> ImageRoot:
    return ImageRoot(place, "demo", Folders())


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    return [Path(ref.path) for ref in save_pictures(tmp_path / "files", 12)]


@pytest.fixture(params=PACK)
def archive(request: pytest.FixtureRequest, tmp_path: Path, pictures: list[Path]) -> Path:
    return PACK[request.param](pictures[0].parent, tmp_path / f"pictures.{request.param}")


def test_a_picture_in_an_archive_is_the_picture_in_the_file(archive: Path, pictures: list[Path]) -> None:
    place = root(archive)
    for path in pictures:
        ref, file = place.image(path.name, "here"), ImageRef(str(path))
        assert ref.path == str(archive)
        assert probe(ref) == probe(file)
        assert np.array_equal(np.asarray(decode(ref)), np.asarray(decode(file)))


def read(refs: list[ImageRef]) -> list[bytes]:
    return [read_member(ref, 10**6) for ref in refs]


def test_an_archive_in_the_current_folder_is_on_disk(
    archive: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its path has no folder then: ``--set coco.images=pictures.zip``."""
    monkeypatch.chdir(archive.parent)
    ref = root(Path(archive.name)).image(pictures[0].name, "here")
    assert Folders().has(ref.path)
    assert not Folders().has("another.zip")


def test_forked_workers_read_one_archive_together(archive: Path, pictures: list[Path]) -> None:
    """The parent has the archive open already: with one shared file position they would read each other's bytes."""
    found = members(archive)
    refs = [found[f"images/{path.name}"] for path in pictures]
    contents = [path.read_bytes() for path in pictures]
    assert read(refs) == contents
    orders = [refs[start:] + refs[:start] for start in range(len(refs))] * 8
    with multiprocessing.get_context("fork").Pool(4) as pool:
        results = pool.map(read, orders, chunksize=4)
    for number, result in enumerate(results):
        start = number % len(refs)
        assert result == contents[start:] + contents[:start]
    assert read(refs) == contents


def test_a_member_that_expands_beyond_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MiB of zeros are 64 KiB in the archive."""
    monkeypatch.setattr(images, "MAX_BYTES", 2**20)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.jpg", bytes(2**26))
    assert path.stat().st_size < 2**20
    [ref] = members(path).values()
    with pytest.raises(DataError, match=r"bomb.zip!a.jpg: larger than 1 MiB; no benchmark picture is. Not read"):
        probe(ref)
    assert len(read_member(ref, 1000)) == 1001


def test_a_tar_member_that_declares_more_than_the_limit_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 2**16)
    path = tmp_path / "bomb.tar"
    with tarfile.open(path, "w") as packed:
        info = tarfile.TarInfo("a.jpg")
        info.size = 2**17
        packed.addfile(info, io.BytesIO(bytes(2**17)))
    [ref] = members(path).values()
    with pytest.raises(DataError, match=r"bomb.tar!a.jpg: larger than"):
        probe(ref)


def test_a_header_that_declares_more_than_there_is_is_damage(tmp_path: Path) -> None:
    """A tar header may claim terabytes; nothing of that size is allocated."""
    info = tarfile.TarInfo("a.jpg")
    info.size = 2**42
    path = tmp_path / "a.tar"
    path.write_bytes(info.tobuf() + bytes(1024))
    with pytest.raises(DataError, match=r"a.tar"):
        list(map(probe, members(path).values()))


@pytest.mark.parametrize("suffix", [".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".rar", ".7z"])
def test_an_archive_that_cannot_be_read_in_place_is_refused_as_image_folder(tmp_path: Path, suffix: str) -> None:
    place = tmp_path / f"pictures{suffix}"
    place.write_bytes(b"anything")
    for look in (lambda: root(place).image("a.jpg", "here"), lambda: root(place).listing()):
        with pytest.raises(DataError, match=rf"{place}: not a folder, and not an archive .*\(.zip, .tar\). Unpack it"):
            look()


def test_one_that_lies_in_the_image_folder_is_ignored(tmp_path: Path, pictures: list[Path]) -> None:
    """It may be what the folder was unpacked from."""
    with tarfile.open(pictures[0].parent / "pictures.tar.gz", "w:gz") as packed:
        packed.add(pictures[0], "other.png")
    place = root(pictures[0].parent)
    assert place.image(pictures[0].name, "here").path == str(pictures[0])
    assert place.image("other.png", "here").member == ""


class TestAmbiguous:
    def pack(self, path: Path, *names: str) -> None:
        with zipfile.ZipFile(path, "w") as packed:
            for name in names:
                packed.writestr(name, name.encode())

    def test_a_last_part_that_several_members_share_is_not_guessed(self, tmp_path: Path) -> None:
        self.pack(tmp_path / "a.zip", "x/1/a.jpg", "x/2/a.jpg", "x/2/b.jpg")
        place = root(tmp_path)
        assert place.image("a.jpg", "here", anywhere=True).member == ""
        assert place.image("other/a.jpg", "here", anywhere=True).member == ""
        assert place.image("other/1/a.jpg", "here", anywhere=True).member == "x/1/a.jpg"
        assert place.image("other/b.jpg", "here", anywhere=True).member == "x/2/b.jpg"

    def test_three_times_the_same_name_is_still_ambiguous(self, tmp_path: Path) -> None:
        for number in range(3):
            self.pack(tmp_path / f"{number}.zip", "a.jpg")
        assert root(tmp_path).image("a.jpg", "here", anywhere=True).member == ""

    def test_a_name_that_is_the_end_of_another_is_ambiguous_only_there(self, tmp_path: Path) -> None:
        self.pack(tmp_path / "a.zip", "a.jpg", "x/a.jpg")
        place = root(tmp_path)
        assert place.image("x/a.jpg", "here").member == "x/a.jpg"
        assert place.image("a.jpg", "here").member == ""

    def test_a_listing_names_every_member_once_by_folder_and_name(self, tmp_path: Path) -> None:
        self.pack(tmp_path / "b.zip", "top/n1/1.jpg", "top/n1/2.jpg", "n2/3.jpg")
        self.pack(tmp_path / "c.zip", "n1/2.jpg", "n3/4.jpg")
        (tmp_path / "n3").mkdir()
        (tmp_path / "n3/4.jpg").touch()
        assert {name: str(ref).removeprefix(f"{tmp_path}/") for name, ref in root(tmp_path).listing().items()} == {
            "n1/1.jpg": "b.zip!top/n1/1.jpg",
            "n1/2.jpg": "b.zip!top/n1/2.jpg",
            "n2/3.jpg": "b.zip!n2/3.jpg",
            "n3/4.jpg": "n3/4.jpg",
        }
