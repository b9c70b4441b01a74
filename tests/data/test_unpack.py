"""Archives: unpacked completely, or refused without leaving anything behind."""

from __future__ import annotations

import errno
import io
import shutil
import stat
import struct
import tarfile
import zipfile
from collections import namedtuple
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fgbench.data.unpack import Limits, unpack
from fgbench.errors import DataError, StoreError

FILES = {"set/0/a.jpeg": b"a" * 3000, "set/1/b.jpeg": b"b", "set/list.txt": "猫\n".encode(), "top.txt": b""}


def write_zip(path: Path, files: dict[str, bytes], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as opened:
        for name, content in files.items():
            opened.writestr(zipfile.ZipInfo(name), content, compress_type=options.get("compression"))
    return path


def write_tar(path: Path, members: Sequence[tarfile.TarInfo | tuple[str, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as opened:  # type: ignore[call-overload]
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                opened.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                opened.addfile(info, io.BytesIO(member[1]))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def refused(archive: Path, folder: Path, match: str, limits: Limits | None = None) -> None:
    """Unpacking fails with this message and leaves nothing behind, in the folder or beside it."""
    folder.mkdir(exist_ok=True)
    (folder / "mine.txt").write_bytes(b"mine")
    before = sorted(folder.parent.rglob("*"))
    with pytest.raises(DataError, match=match) as caught:
        unpack(archive, folder, limits)
    assert str(archive) in str(caught.value) or archive.name in str(caught.value)
    assert sorted(folder.parent.rglob("*")) == before
    assert (folder / "mine.txt").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz", "x.TGZ", "x.tar.bz2", "x.tar.xz"])
def test_everything_comes_out(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("zip"):
        write_zip(path, FILES)
    else:
        mode = {"tar": "w", "gz": "w:gz", "TGZ": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}[name.rpartition(".")[2]]
        folder = special("set", tarfile.DIRTYPE)
        write_tar(path, [folder, *FILES.items()], mode)
    done = unpack(path, tmp_path / "out/deep")
    assert content(tmp_path / "out/deep") == FILES
    assert (done.members, done.size, done.top) == (4, sum(map(len, FILES.values())), ("set", "top.txt"))


def test_a_second_archive_adds_to_the_same_folders(tmp_path: Path) -> None:
    unpack(write_zip(tmp_path / "1.zip", {"images/a.png": b"a", "note.txt": b"n"}), tmp_path / "out")
    done = unpack(write_zip(tmp_path / "2.zip", {"images/b.png": b"b", "note.txt": b"n"}), tmp_path / "out")
    assert content(tmp_path / "out") == {"images/a.png": b"a", "images/b.png": b"b", "note.txt": b"n"}
    assert done.top == ("images", "note.txt")


def test_a_file_with_other_content_is_never_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out"
    unpack(write_zip(tmp_path / "1.zip", {"images/b.png": b"old"}), out)
    refused(write_zip(tmp_path / "2.zip", {"images/a.png": b"a", "images/b.png": b"new"}), out, "already there")
    assert (out / "images/b.png").read_bytes() == b"old"
    refused(write_zip(tmp_path / "3.zip", {"images": b"a file"}), out, "already there")


OUTSIDE = ["../evil.txt", "a/../../evil.txt", "/tmp/evil.txt", "a\\..\\evil.txt", "C:/evil.txt", "C:evil.txt"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_member_that_leaves_the_folder(tmp_path: Path, name: str) -> None:
    refused(write_zip(tmp_path / "x.zip", {"good.txt": b"", name: b"!"}), tmp_path / "out", "leave the folder")
    refused(write_tar(tmp_path / "x.tar", [("good.txt", b""), (name, b"!")]), tmp_path / "out", "leave the folder")


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc"),
        (tarfile.SYMTYPE, "inside"),
        (tarfile.LNKTYPE, "../../mine.txt"),
        (tarfile.CHRTYPE, ""),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_a_link_or_a_device_in_a_tar_file(tmp_path: Path, kind: bytes, target: str) -> None:
    members: list[tarfile.TarInfo | tuple[str, bytes]] = [
        ("inside", b"i"),
        special("link", kind, target),
        ("link/evil.txt", b"!"),
    ]
    refused(write_tar(tmp_path / "x.tar.gz", members, "w:gz"), tmp_path / "out", "link or a device")


def test_a_link_in_a_zip_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as opened:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(info, "/etc/passwd")
    refused(tmp_path / "x.zip", tmp_path / "out", "link or a device")


def test_an_archive_that_grows_out_of_proportion(tmp_path: Path) -> None:
    limits = Limits(size=100_000)
    zeros = {"zeros": bytes(200_000)}
    bomb = write_zip(tmp_path / "x.zip", zeros, compression=zipfile.ZIP_DEFLATED)
    refused(bomb, tmp_path / "out", "made to fill a disk", limits)
    refused(write_tar(tmp_path / "x.tar.gz", [*zeros.items()], "w:gz"), tmp_path / "out", "fill a disk", limits)


def test_the_limit_follows_the_size_of_the_archive() -> None:
    assert Limits().bytes_for(10**9) == 200 * 10**9 + (64 << 20)
    assert Limits().bytes_for(10**12) == 1 << 40


def test_the_declared_size_of_a_bomb_is_enough_to_refuse_it(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"a": b"tiny"})
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, entry + 24, 0xFFFFFFF0)
    path.write_bytes(data)
    refused(path, tmp_path / "out", "made to fill a disk")


def test_too_many_members(tmp_path: Path) -> None:
    many = {f"{number}": b"" for number in range(11)}
    refused(write_zip(tmp_path / "x.zip", many), tmp_path / "out", "more than 10 members", Limits(members=10))
    refused(write_tar(tmp_path / "x.tar", [*many.items()]), tmp_path / "out", "more than 10", Limits(members=10))


def test_a_header_of_gigabytes_is_not_read_into_memory(tmp_path: Path) -> None:
    comment = special("a", tarfile.REGTYPE)
    comment.pax_headers = {"comment": "x" * (9 << 20)}
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as opened:
        opened.addfile(comment)
    refused(tmp_path / "x.tar.gz", tmp_path / "out", "headers between two members")


def test_a_name_that_occurs_twice(tmp_path: Path) -> None:
    refused(write_tar(tmp_path / "x.tar", [("a", b"1"), ("a", b"2")]), tmp_path / "out", "occurs twice")
    refused(write_tar(tmp_path / "y.tar", [("a", b"1"), ("a/b", b"2")]), tmp_path / "out", "occurs twice")


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


@pytest.mark.parametrize("damage", [flip, lambda data: data[: len(data) // 2], lambda _: b"", lambda _: b"<html>"])
@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz", "x.tar.bz2", "x.tar.xz"])
def test_a_damaged_archive(tmp_path: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / name
    noise = b"".join(struct.pack("<Q", (number * 0x9E3779B97F4A7C15) % 2**64) for number in range(2000))
    if name.endswith("zip"):
        write_zip(path, {"a.bin": noise}, compression=zipfile.ZIP_DEFLATED)
    else:
        write_tar(path, [("a.bin", noise)], f"w:{name.rpartition('.')[2]}")
    path.write_bytes(damage(path.read_bytes()))
    refused(path, tmp_path / "out", "ownload it again")


def test_a_tar_file_that_is_cut_off(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", [("a", bytes(5000))])
    path.write_bytes(path.read_bytes()[:3000])
    refused(path, tmp_path / "out", "ownload it again")


def test_an_encrypted_zip_file(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"a": b"secret"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    refused(path, tmp_path / "out", "by hand")


def test_a_kind_of_archive_that_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "x.7z"
    path.write_bytes(b"7z")
    refused(path, tmp_path / "out", "expected .zip, .tar")


def test_too_little_space_is_found_out_before_a_zip_file_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 90, 10))
    with pytest.raises(StoreError, match=r"Unpacking x.zip: 3.00 kB needed, 10 B free"):
        unpack(write_zip(tmp_path / "x.zip", FILES), tmp_path / "out")
    assert content(tmp_path / "out") == {}


def test_a_disk_that_fills_up_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tar(tmp_path / "x.tar", [*FILES.items()])

    def full(self: Path, *arguments: Any, **options: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        with pytest.raises(StoreError, match="no space left on the disk"):
            unpack(path, tmp_path / "out")
    assert content(tmp_path / "out") == {}


def test_an_archive_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        unpack(tmp_path / "x.zip", tmp_path / "out")
