from __future__ import annotations

import contextlib
import io
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbench.data.archives import is_archive, members, read_member
from fgbench.data.images import probe
from fgbench.errors import DataError
from fgbench.requests import ImageRef

CONTENT = {"a/one.bin": b"first" * 40, "b/two.bin": b"second", "三.bin": "三".encode() * 9}
LIMIT = 10_000


def write_zip(path: Path, content: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a folder/", b"")
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def write_tar(path: Path, content: dict[str, bytes], prefix: str = "") -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture(params=["zip", "tar"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write = write_zip if request.param == "zip" else write_tar
    return write(tmp_path / f"pictures.{request.param}", CONTENT)


def test_every_file_is_listed_and_read(archive: Path) -> None:
    found = members(archive)
    assert {name: read_member(ref, LIMIT) for name, ref in found.items()} == CONTENT


def test_reading_stops_behind_the_limit(archive: Path) -> None:
    """The caller sees one byte more than the limit and refuses."""
    assert read_member(members(archive)["a/one.bin"], 10) == CONTENT["a/one.bin"][:11]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_zip_method_is_read(tmp_path: Path, method: int) -> None:
    path = write_zip(tmp_path / "a.zip", CONTENT, method)
    assert {name: read_member(ref, LIMIT) for name, ref in members(path).items()} == CONTENT


def test_a_leading_dot_in_tar_names_is_dropped(tmp_path: Path) -> None:
    found = members(write_tar(tmp_path / "a.tar", CONTENT, prefix="./"))
    assert set(found) == set(CONTENT)
    assert read_member(found["b/two.bin"], LIMIT) == b"second"


def test_links_in_a_tar_file_are_not_members(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo(f"link-{kind!r}")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert members(tmp_path / "a.tar") == {}


def test_threads_may_read_one_archive_together(archive: Path) -> None:
    refs = list(members(archive).items()) * 50
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda entry: read_member(entry[1], LIMIT) == CONTENT[entry[0]], refs))
    assert all(found)


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
@pytest.mark.parametrize("data", [b"", b"not an archive", b"PK\3\4" + b"\0" * 100, b"\0" * 300 + b"x"])
def test_what_is_no_archive_is_refused_by_name(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"{path}: not a readable archive"):
        members(path)


def test_a_compressed_tar_file_is_not_read_in_place(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz"):
        pass
    assert not is_archive(tmp_path / "a.tar.gz")
    (tmp_path / "a.tar.gz").rename(tmp_path / "a.tar")
    assert is_archive(tmp_path / "a.tar")
    with pytest.raises(DataError, match="not a readable archive"):
        members(tmp_path / "a.tar")


def test_a_folder_called_like_an_archive_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.zip").mkdir()
    assert not is_archive(tmp_path / "a.zip")


def test_an_archive_that_shrank_is_cut_off(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", CONTENT)
    ref = members(path)["三.bin"]
    assert ref.span is not None
    path.write_bytes(path.read_bytes()[: ref.span[0] + 3])
    with pytest.raises(DataError, match=r"a.tar!三.bin: the archive is cut off"):
        read_member(ref, LIMIT)


def test_an_absent_member_is_named(archive: Path) -> None:
    span = None if archive.suffix == ".zip" else (10**9, 5)
    with pytest.raises(DataError, match=r"pictures.*!no.jpg"):
        read_member(ImageRef(str(archive), "no.jpg", span), LIMIT)


def test_an_encrypted_member_is_a_data_error(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"x.jpg": b"data"}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = data.rindex(signature)
        data[start + offset] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"x.jpg: cannot be read from its archive .*encrypted"):
        read_member(members(path)["x.jpg"], LIMIT)


@given(
    st.sampled_from([None, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=5),
)
def test_no_damage_ends_in_anything_but_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, method: int | None, changes: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = write_tar(folder / "a.tar", CONTENT) if method is None else write_zip(folder / "a.zip", CONTENT, method)
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    path.write_bytes(bytes(data))
    with contextlib.suppress(DataError):
        for ref in members(path).values():
            with contextlib.suppress(DataError):
                probe(ref)
