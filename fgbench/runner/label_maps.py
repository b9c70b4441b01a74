"""The class of every pixel from dense features and class prototypes, and how such maps are stored.

The score of a class at a patch is the cosine of the patch's embedding with the class prototype. Scores are upsampled to
the window, averaged over windows, brought to the size of the answer, and the highest wins.

Source: the training-free protocol of SCLIP, ClearCLIP and their kin; docs/protocols.md, "Segmentation".
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from fgbench.data.images import MAX_PIXELS
from fgbench.errors import StoreError
from fgbench.requests import Float32, PredictedMaps
from fgbench.runner.pixel_scores import Mosaic, best_on_device, chunk_size, upsample
from fgbench.runner.windows import Box, Size

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class ScoredWindow(NamedTuple):
    """What is kept of a window until all windows of its picture are there.

    Attributes:
        scores: float32 [K, rows, columns], as small as the token grid.
        box: where the window lies in the resized picture.
    """

    scores: Tensor
    box: Box


class PatchClassifier:
    """Class prototypes, ready to be compared with patches.

    Classes with equal prototypes are compared once, as the first of them: the lowest index wins, whatever a matrix
    product does to the last bit of its rows. (The 847 classes of ADE20K under their first names have 837 distinct
    prototypes.)

    Attributes:
        classes: uint16 [K]; index of each distinct class, ascending.
        prototypes: float32 [K, D], of the distinct classes, on the device.
    """

    def __init__(self, prototypes: Float32, device: torch.device) -> None:
        """
        Args:
            prototypes: float32 [classes, D], L2-normalised; at most 65,535 classes.
            device: where the patches will be.
        """
        import torch

        if not 0 < len(prototypes) <= PredictedMaps.NO_CLASS:
            raise ValueError(f"Expected 1 to {PredictedMaps.NO_CLASS} classes, but got {len(prototypes)}.")
        first: dict[bytes, int] = {}
        for number, row in enumerate(prototypes):
            first.setdefault(row.tobytes(), number)
        self.classes = np.array(list(first.values()), dtype=np.uint16)
        self.prototypes = torch.from_numpy(prototypes[self.classes].astype(np.float32)).to(device)

    def score(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Cosines of all patches with all distinct classes, in float32 whatever the precision of the run.

        Args:
            tokens: float [N, D], not normalised; the first rows * columns tokens, row by row, cover the window.
            grid: (rows, columns).

        Returns:
            float32 [K, rows, columns]; not finite where a patch is not (:func:`all_finite`).
        """
        import torch

        rows, columns = grid
        with torch.autocast(tokens.device.type, enabled=False):
            patches = torch.nn.functional.normalize(tokens[: rows * columns].float(), dim=-1)
            return (self.prototypes @ patches.T).reshape(-1, rows, columns)

    def label_map(
        self, windows: Sequence[ScoredWindow], canvas: Size, size: Size, chunk: int | None = None
    ) -> npt.NDArray[np.uint16]:
        """The class of every pixel.

        Args:
            windows: all windows of a picture; together they cover it.
            canvas: (width, height) of the resized picture that the windows lie in.
            size: (width, height) of the answer.
            chunk: classes at a time, which does not change the answer; None: as many as memory is meant for.

        Returns:
            uint16 [height, width].
        """
        return self.labels(self.winners(windows, canvas, size, chunk))

    def labels(self, winners: Tensor) -> npt.NDArray[np.uint16]:
        """The class of every pixel, from what :meth:`winners` gave; waits for the device."""
        labels: npt.NDArray[np.uint16] = self.classes[winners.cpu().numpy()]
        return labels

    def winners(self, windows: Sequence[ScoredWindow], canvas: Size, size: Size, chunk: int | None = None) -> Tensor:
        """As :meth:`label_map`, on the device: the number of the best of the distinct classes, int [height, width]."""
        mosaic = Mosaic(canvas, [window.box for window in windows])

        def scores(first: int, last: int) -> Tensor:
            def pasted(number: int) -> Tensor:
                maps, (left, top, right, bottom) = windows[number]
                return upsample(maps[first:last], (right - left, bottom - top))

            return upsample(mosaic(pasted), size)

        return best_on_device(len(self.classes), chunk or chunk_size(canvas, size), scores)


def all_finite(maps: Sequence[Tensor]) -> Tensor:
    """Bool [], on the device: is there neither NaN nor infinity in any of the maps?"""
    import torch

    return torch.stack([torch.isfinite(each).all() for each in maps]).all()


_HEADER = struct.Struct("<4sIII")
_MAGIC = b"FGL1"


def pack(labels: npt.NDArray[np.uint16]) -> bytes:
    """A label map as bytes, a few per cent of its size: differences along each row, deflated; with a CRC-32."""
    if labels.dtype != np.uint16 or labels.ndim != 2 or not labels.size:
        raise ValueError(f"Expected a uint16 map [H, W], but got {labels.dtype} {list(labels.shape)}.")
    difference = np.diff(labels, axis=1, prepend=np.uint16(0)).astype("<u2")
    deflated = zlib.compress(difference.tobytes(), level=6)
    return _HEADER.pack(_MAGIC, *labels.shape, zlib.crc32(deflated)) + deflated


def unpack(data: bytes) -> npt.NDArray[np.uint16]:
    """The label map uint16 [H, W] that :func:`pack` was given.

    Raises:
        StoreError: not a packed label map, damaged, or larger than any picture may be.
    """
    if len(data) < _HEADER.size or not data.startswith(_MAGIC):
        raise StoreError(f"Not a stored label map ({len(data)} bytes starting with {data[:8]!r}).")
    _, height, width, crc = _HEADER.unpack_from(data)
    if not 0 < height * width <= MAX_PIXELS:
        raise StoreError(f"A stored label map claims {width} × {height} pixels; expected 1 to {MAX_PIXELS:,}.")
    deflated = memoryview(data)[_HEADER.size :]
    if zlib.crc32(deflated) != crc:
        raise StoreError("A stored label map is damaged: its checksum differs.")
    expected = 2 * height * width
    inflate = zlib.decompressobj()
    try:
        content = inflate.decompress(deflated, expected + 1)
    except zlib.error as error:
        raise StoreError(f"A stored label map is damaged ({error}).") from error
    if len(content) != expected or not inflate.eof:
        raise StoreError(f"A stored label map of {width} × {height} pixels does not hold {expected:,} bytes.")
    difference = np.frombuffer(content, dtype="<u2").reshape(height, width)
    return np.cumsum(difference, axis=1, dtype=np.uint16)
