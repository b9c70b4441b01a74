"""Label maps: what is read comes back exactly, and what is no label map is refused by name."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from fgbench.data import label_images
from fgbench.data.label_images import label_size, read_labels, read_rgb_labels
from fgbench.errors import DataError
from fgbench.requests import ImageRef

savemat = import_module("scipy.io").savemat

SMALL = np.array([[0, 1, 58], [150, 254, 255]], dtype=np.uint8)
WIDE = np.array([[0, 1, 458], [846, 65535, 255]], dtype=np.uint16)


def save(path: Path, values: npt.NDArray[Any], mode: str | None = None) -> ImageRef:
    """As .npy, .mat or a picture, which may get another mode without its values being converted."""
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".mat":
        savemat(path, {"LabelMap": values})
    elif mode == "P":
        image = Image.fromarray(values).copy()
        image.putpalette([(37 * n + 11) % 256 for n in range(768)])
        assert image.mode == "P"
        image.save(path)
    else:
        Image.fromarray(values).save(path)
    return ImageRef(str(path))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy", ".mat"])
class TestRoundTrips:
    def test_16_bits_stay_16_bits(self, tmp_path: Path, suffix: str) -> None:
        ref = save(tmp_path / f"a{suffix}", WIDE)
        found = read_labels(ref, wide=True)
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, WIDE)

    def test_8_bits_become_16(self, tmp_path: Path, suffix: str) -> None:
        found = read_labels(save(tmp_path / f"a{suffix}", SMALL))
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, SMALL)

    def test_the_size_is_read_without_the_pixels(self, tmp_path: Path, suffix: str) -> None:
        assert label_size(save(tmp_path / f"a{suffix}", WIDE)) == (2, 3)

    @pytest.mark.parametrize("keep", [0, 7, 60, -40])
    def test_a_file_that_is_cut_off_is_named(self, tmp_path: Path, suffix: str, keep: int) -> None:
        values = np.random.default_rng(0).integers(0, 65_535, (40, 50), dtype=np.uint16)
        ref = save(tmp_path / f"a{suffix}", values)
        data = Path(ref.path).read_bytes()
        Path(ref.path).write_bytes(data[:keep])
        with pytest.raises(DataError, match=ref.path):
            read_labels(ref)

    def test_a_missing_file_is_named(self, tmp_path: Path, suffix: str) -> None:
        with pytest.raises(DataError, match=f"a{suffix}: cannot be read"):
            read_labels(ImageRef(str(tmp_path / f"a{suffix}")))

    @given(data=st.binary(max_size=200))
    def test_any_bytes_are_refused(self, tmp_path_factory: pytest.TempPathFactory, suffix: str, data: bytes) -> None:
        path = tmp_path_factory.getbasetemp() / f"any{suffix}"
        path.write_bytes(data)
        for read in (read_labels, label_size):
            with pytest.raises(DataError, match="any"):
                read(ImageRef(str(path)))


class TestPictures:
    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    def test_the_index_of_a_palette_counts_and_not_its_colour(self, tmp_path: Path, suffix: str) -> None:
        ref = save(tmp_path / f"a{suffix}", SMALL, "P")
        np.testing.assert_array_equal(read_labels(ref), SMALL)
        assert (np.asarray(Image.open(ref.path).convert("L")) != SMALL).any()

    def test_a_palette_of_few_colours_is_stored_with_fewer_bits(self, tmp_path: Path) -> None:
        values = np.array([[0, 1, 2], [3, 1, 0]], dtype=np.uint8)
        path = tmp_path / "a.png"
        image = Image.fromarray(values).copy()
        image.putpalette([0, 0, 0, 9, 9, 9, 200, 1, 1, 7, 80, 3])
        image.save(path, bits=2)
        assert path.read_bytes()[24] == 2
        np.testing.assert_array_equal(read_labels(ImageRef(str(path))), values)

    def test_grey_of_few_bits_would_be_stretched(self, tmp_path: Path) -> None:
        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        path = tmp_path / "a.png"
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 4, 0, 0, 0, 0))
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0\x12")) + chunk(b"IEND", b""))
        assert np.asarray(Image.open(path)).tolist() == [[17, 34]], "stored were 1 and 2"
        with pytest.raises(DataError, match="grey PNG of 4 bits, whose values readers stretch"):
            read_labels(ImageRef(str(path)))

    def test_32_bits_are_read_if_the_values_fit(self, tmp_path: Path) -> None:
        ref = save(tmp_path / "a.tif", WIDE.astype(np.int32))
        assert Image.open(ref.path).mode == "I"
        np.testing.assert_array_equal(read_labels(ref, wide=True), WIDE)

    @pytest.mark.parametrize(("value", "shown"), [(-1, "from -1 to 0"), (65_536, "from 0 to 65536")])
    def test_32_bits_that_do_not_fit(self, tmp_path: Path, value: int, shown: str) -> None:
        ref = save(tmp_path / "a.tif", np.array([[0, value]], dtype=np.int32))
        with pytest.raises(DataError, match=f"labels {shown}; expected 0 to 65535"):
            read_labels(ref)

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "1", "F"])
    def test_other_modes_are_refused(self, tmp_path: Path, mode: str) -> None:
        path = tmp_path / ("a.tif" if mode == "F" else "a.png")
        Image.new(mode, (3, 2)).save(path)
        with pytest.raises(
            DataError, match=rf"{path}: a picture of mode '{mode}', not a label map: expected one number"
        ):
            read_labels(ImageRef(str(path)))

    def test_a_photograph_is_no_label_map(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        Image.new("L", (3, 2)).save(path, format="JPEG")
        with pytest.raises(DataError, match="not a PNG or TIFF label map"):
            read_labels(ImageRef(str(path)))

    @pytest.mark.parametrize(("mode", "suffix"), [(None, ".png"), ("P", ".png"), (None, ".tif"), (None, ".npy")])
    def test_8_bits_are_refused_where_16_are_needed(self, tmp_path: Path, mode: str | None, suffix: str) -> None:
        ref = save(tmp_path / f"a{suffix}", SMALL, mode)
        with pytest.raises(DataError, match="cannot hold more than 255 classes"):
            read_labels(ref, wide=True)

    def test_a_bomb_is_refused_before_it_is_decoded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        refs = [save(tmp_path / f"a{suffix}", WIDE) for suffix in (".png", ".tif", ".npy", ".mat")]
        monkeypatch.setattr(label_images, "MAX_PIXELS", 5)
        for ref in refs:
            for read in (read_labels, label_size):
                with pytest.raises(DataError, match="3×2 pixels; expected at least one and at most 5"):
                    read(ref)

    def test_a_member_of_an_archive(self, tmp_path: Path) -> None:
        ref = save(tmp_path / "a.tif", WIDE)
        with zipfile.ZipFile(tmp_path / "labels.zip", "w") as archive:
            archive.write(ref.path, "val/a.tif")
        np.testing.assert_array_equal(read_labels(ImageRef(str(tmp_path / "labels.zip"), "val/a.tif")), WIDE)


class TestRgb:
    def test_all_three_channels(self, tmp_path: Path) -> None:
        values = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        found = read_rgb_labels(save(tmp_path / "a.png", values))
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, values)

    def test_one_channel_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="mode 'L'; expected 'RGB'"):
            read_rgb_labels(save(tmp_path / "a.png", SMALL))


class TestArrays:
    @given(
        values=arrays.arrays(np.int64, (3, 4), elements=st.integers(0, 99)),
        kind=st.sampled_from(["u1", "i2", "<i4", ">u2", "i8"]),
    )
    def test_any_integers(self, tmp_path_factory: pytest.TempPathFactory, values: npt.NDArray[Any], kind: str) -> None:
        ref = save(tmp_path_factory.getbasetemp() / "integers.npy", values.astype(kind))
        np.testing.assert_array_equal(read_labels(ref), values)

    def test_fortran_order(self, tmp_path: Path) -> None:
        np.testing.assert_array_equal(read_labels(save(tmp_path / "a.npy", np.asfortranarray(WIDE))), WIDE)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (np.zeros((2, 3)), r"float64 \[2, 3\]; expected integers"),
            (np.zeros((2, 3), bool), r"bool \[2, 3\]; expected integers"),
            (np.zeros((1, 2, 3), np.uint16), r"uint16 \[1, 2, 3\]; expected integers \[height, width\]"),
            (np.zeros((0, 3), np.uint16), "3×0 pixels; expected at least one"),
            (np.full((1, 1), -7), "labels from -7 to -7"),
        ],
    )
    def test_other_arrays_are_refused(self, tmp_path: Path, values: npt.NDArray[Any], message: str) -> None:
        with pytest.raises(DataError, match=message):
            read_labels(save(tmp_path / "a.npy", values))

    def test_pickles_are_not_opened(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.array([[{"a": 1}]], dtype=object))
        with pytest.raises(DataError, match=r"object \[1, 1\]; expected integers"):
            read_labels(ImageRef(str(tmp_path / "a.npy")))

    def test_a_header_that_promises_more_than_there_is(self, tmp_path: Path) -> None:
        file = io.BytesIO()
        np.lib.format.write_array_header_1_0(file, {"descr": "<u2", "fortran_order": False, "shape": (9000, 9000)})
        (tmp_path / "a.npy").write_bytes(file.getvalue() + b"\0" * 10)
        with pytest.raises(DataError, match=r"cut off: .* do not hold 9000×9000 values of uint16"):
            read_labels(ImageRef(str(tmp_path / "a.npy")))


class TestMatlab:
    def test_doubles_that_are_integers(self, tmp_path: Path) -> None:
        np.testing.assert_array_equal(read_labels(save(tmp_path / "a.mat", WIDE.astype(np.float64))), WIDE)

    def test_other_doubles_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="a matrix of fractions; expected integers"):
            read_labels(save(tmp_path / "a.mat", np.array([[0.5]])))

    def test_compressed_files_and_other_matrices_beside_it(self, tmp_path: Path) -> None:
        savemat(tmp_path / "a.mat", {"x": "text", "LabelMap": WIDE}, do_compression=True)
        np.testing.assert_array_equal(read_labels(ImageRef(str(tmp_path / "a.mat"))), WIDE)

    def test_another_name(self, tmp_path: Path) -> None:
        savemat(tmp_path / "a.mat", {"labels": WIDE})
        with pytest.raises(DataError, match="no matrix 'LabelMap'; present are 'labels'"):
            read_labels(ImageRef(str(tmp_path / "a.mat")))

    def test_three_dimensions(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"is \[2, 3, 4\]; expected \[height, width\]"):
            label_size(save(tmp_path / "a.mat", np.zeros((2, 3, 4), np.uint16)))
