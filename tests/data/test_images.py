from __future__ import annotations

import hashlib
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from fgbench.data import images
from fgbench.data.images import decode, probe, read_bytes
from fgbench.errors import DataError
from fgbench.requests import ImageRef

from ..fakes import save_picture


def saved(folder: Path, data: bytes, name: str = "picture") -> ImageRef:
    path = folder / name
    path.write_bytes(data)
    return ImageRef(str(path))


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def noise(mode: str = "RGB", size: tuple[int, int] = (12, 8)) -> Image.Image:
    width, height = size
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header claims this size and which has hardly any data."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


class TestProbe:
    def test_it_tells_size_and_digest_of_the_bytes(self, tmp_path: Path) -> None:
        data = encoded(noise(size=(12, 8)), "PNG")
        found = probe(saved(tmp_path, data))
        assert (found.width, found.height) == (12, 8)
        assert found.digest == hashlib.sha256(data).hexdigest()

    def test_the_name_does_not_matter(self, tmp_path: Path) -> None:
        """Some published archives hold PNG files called ``.jpg``."""
        data = encoded(noise(), "PNG")
        assert probe(saved(tmp_path, data, "a.jpg")) == probe(saved(tmp_path, data, "b"))

    def test_an_exif_rotation_is_not_applied(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        ref = saved(tmp_path, encoded(noise(size=(12, 8)), "JPEG", exif=exif))
        assert (probe(ref).width, probe(ref).height) == (12, 8)
        assert decode(ref).size == (12, 8)


class TestDecode:
    @pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
    def test_lossless_forms_give_the_exact_pixels(self, tmp_path: Path, form: str) -> None:
        image = noise()
        assert decode(saved(tmp_path, encoded(image, form))).tobytes() == image.tobytes()

    @pytest.mark.parametrize("form", ["JPEG", "WEBP", "GIF"])
    def test_other_forms_give_what_pillow_gives(self, tmp_path: Path, form: str) -> None:
        data = encoded(noise(), form)
        assert decode(saved(tmp_path, data)).tobytes() == Image.open(io.BytesIO(data)).convert("RGB").tobytes()

    @pytest.mark.parametrize(("mode", "form"), [
        ("L", "PNG"), ("1", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("LA", "PNG"), ("L", "JPEG"), ("CMYK", "JPEG"),
        ("CMYK", "TIFF"), ("RGBA", "WEBP"), ("P", "GIF"), ("LAB", "TIFF"),
    ])  # fmt: skip
    def test_every_mode_becomes_rgb(self, tmp_path: Path, mode: str, form: str) -> None:
        found = decode(saved(tmp_path, encoded(noise(mode), form)))
        assert (found.mode, found.size) == ("RGB", (12, 8))

    def test_sixteen_bit_grey_becomes_rgb(self, tmp_path: Path) -> None:
        grey = Image.fromarray(np.arange(96, dtype=np.uint16).reshape(8, 12))
        found = decode(saved(tmp_path, encoded(grey, "PNG")))
        assert (found.mode, found.size) == ("RGB", (12, 8))

    def test_a_palette_with_transparency_keeps_its_colours(self, tmp_path: Path) -> None:
        data = encoded(Image.new("P", (4, 4), 1), "PNG", transparency=b"\x00\x80")
        plain = Image.open(io.BytesIO(data)).convert("RGB")
        assert decode(saved(tmp_path, data)).tobytes() == plain.tobytes()

    def test_grey_has_three_equal_channels(self, tmp_path: Path) -> None:
        red, green, blue = decode(saved(tmp_path, encoded(noise("L"), "PNG"))).split()
        assert red.tobytes() == green.tobytes() == blue.tobytes() == noise("L").tobytes()

    def test_alpha_is_dropped_not_blended(self, tmp_path: Path) -> None:
        clear = Image.new("RGBA", (3, 3), (200, 100, 50, 0))
        assert decode(saved(tmp_path, encoded(clear, "PNG"))).getpixel((1, 1)) == (200, 100, 50)

    def test_of_several_frames_the_first_counts(self, tmp_path: Path) -> None:
        frames = [Image.new("RGB", (5, 5), colour) for colour in ("red", "blue")]
        for form in ("GIF", "TIFF", "MPO"):
            data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
            red, _, blue = decode(saved(tmp_path, data)).getpixel((2, 2))  # type: ignore[misc]
            assert red > 250 > 5 > blue

    def test_one_pixel_is_a_picture(self, tmp_path: Path) -> None:
        assert decode(saved(tmp_path, encoded(noise(size=(1, 1)), "PNG"))).size == (1, 1)


class TestRefused:
    @pytest.mark.parametrize("read", [probe, decode])
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "not a picture that can be opened .an empty file"),
            (b"<html>404 Not Found</html>", "26 bytes starting with b'<html>404 No'"),
            (b"\xff\xd8\xff", "not a picture"),
            (b"\x89PNG\r\n\x1a\n", "not a picture"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        ],
    )
    def test_what_is_no_picture_is_refused(self, tmp_path: Path, read: Any, data: bytes, message: str) -> None:
        ref = saved(tmp_path, data)
        with pytest.raises(DataError, match=rf"{ref}: {message}|{ref}: .*{message}"):
            read(ref)

    @pytest.mark.parametrize("read", [probe, decode])
    def test_a_missing_file_is_named(self, tmp_path: Path, read: Any) -> None:
        with pytest.raises(DataError, match=rf"{tmp_path}/no.jpg: cannot be read \(No such file or directory\)"):
            read(ImageRef(f"{tmp_path}/no.jpg"))

    def test_a_folder_is_no_picture(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="cannot be read"):
            probe(ImageRef(str(tmp_path)))

    @pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "PPM"])
    def test_half_a_picture_has_a_size_but_cannot_be_decoded(self, tmp_path: Path, form: str) -> None:
        data = encoded(noise(size=(64, 64)), form)
        ref = saved(tmp_path, data[: len(data) // 2] if form != "TIFF" else without_pixels(data))
        assert (probe(ref).width, probe(ref).height) == (64, 64)
        with pytest.raises(DataError, match=rf"{ref}: damaged picture .* Download it again"):
            decode(ref)

    @pytest.mark.parametrize("read", [probe, decode])
    @pytest.mark.parametrize("size", [(50_000, 50_000), (10_001, 10_000), (2**31 - 1, 2**31 - 1), (100_000_001, 1)])
    def test_an_image_bomb_is_refused_by_its_header(self, tmp_path: Path, read: Any, size: tuple[int, int]) -> None:
        ref = saved(tmp_path, png_of_size(*size))
        with pytest.raises(DataError, match=rf"{ref}: (not a picture.*DecompressionBomb|{size[0]}×{size[1]} pixels)"):
            read(ref)

    def test_the_largest_picture_allowed_is_probed_without_a_warning(
        self, tmp_path: Path, recwarn: pytest.WarningsRecorder
    ) -> None:
        """Pillow itself warns from 89 million pixels on."""
        assert probe(saved(tmp_path, png_of_size(10_000, 10_000))).width == 10_000
        assert not recwarn.list

    def test_a_file_that_is_too_large_is_not_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(images, "MAX_BYTES", 1 << 20)
        ref = saved(tmp_path, b"x" * ((1 << 20) + 1))
        with pytest.raises(DataError, match="larger than 1 MiB"):
            read_bytes(ref)
        assert len(read_bytes(saved(tmp_path, b"x" * (1 << 20)))) == 1 << 20

    @pytest.mark.filterwarnings("ignore::UserWarning:PIL")
    @settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"]),
        st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
        st.integers(0, 2000),
    )
    @example("PNG", [(0, 0)], 2000)
    def test_no_damage_ends_in_anything_but_a_data_error(
        self, tmp_path: Path, form: str, changes: list[tuple[int, int]], length: int
    ) -> None:
        data = bytearray(encoded(noise(), form))
        for place, value in changes:
            data[place % len(data)] = value
        ref = saved(tmp_path, bytes(data[:length]))
        for read in (probe, decode):
            message = ""
            try:
                read(ref)
            except DataError as error:
                message = str(error)
            assert not message or str(ref) in message


def without_pixels(data: bytes) -> bytes:
    """A TIFF file whose directory, which lies at its end, says that the pixels are where the file is over."""
    (offset,) = Image.open(io.BytesIO(data)).tag_v2[273]  # type: ignore[attr-defined]
    return data.replace(struct.pack("<I", offset), struct.pack("<I", len(data) - 5))


def test_pictures_written_by_these_tests_are_reproducible(tmp_path: Path) -> None:
    first, again = save_picture(tmp_path / "a.png", 1), save_picture(tmp_path / "b.png", 1)
    assert probe(first).digest == probe(again).digest
    assert probe(first).digest != probe(save_picture(tmp_path / "c.png", 2)).digest
